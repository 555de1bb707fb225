#!/usr/bin/env python3
"""Postgres goes away in the middle of a campaign: 503, nothing is acknowledged that is not committed, and all
goes on by itself when it is back."""
import os
import subprocess

import report
import wire
import world

LEADS = 10


def postgres(w, *arguments):
    """pg_ctl as the server's user, the way pg-private runs it."""
    data = world.run([world.PG, "--purpose", w.cluster, "dir"]).strip() + "/data"
    binary = [p for v in (18, 17, 16, 15) for p in ["/usr/lib/postgresql/%d/bin/pg_ctl" % v] if os.access(p, os.X_OK)][0]
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    subprocess.run(user + ["env", "-C", "/", binary, "-D", data, *arguments], check=True, capture_output=True)


def live_call(w, daemon):
    """A call that rings or talks, as the carrier would report of it."""
    row = w.rows("SELECT id, organization_id, queue_id, attempt_number, call_sid, request_uuid, caller_number, callee_number"
                 " FROM call_logs WHERE status IN ('ringing', 'in_progress') AND call_sid IS NOT NULL LIMIT 1")[0]
    asked = {"call_uuid": row["call_sid"], "request_uuid": row["request_uuid"], "from": row["caller_number"],
             "to": row["callee_number"], "answer_url": "http://x/answer/" + ".".join(
                 [row["id"].replace("-", ""), row["organization_id"].replace("-", ""), row["queue_id"].replace("-", ""),
                  str(row["attempt_number"]), "4102444800", "0"])}
    return wire.Call(asked, world.SECRET, world.AUTH_TOKEN, daemon.url)


def acknowledged_without_a_row(w):
    """Webhooks that the carrier saw answered 200, and that are in no inbox."""
    known = {(r["call_uuid"], r["kind"]) for r in w.rows(
        "SELECT l.call_sid AS call_uuid, e.kind FROM call_events e JOIN call_logs l ON l.id = e.call_log_id")}
    for event in w.truth():
        if event["event"] == "webhook" and event["how"] == "sent" and event["status"] == 200 and event["leg"] == "lead":
            if event["kind"] in ("ring", "answer", "hangup", "stream") and (event["call_uuid"], event["kind"]) not in known:
                yield "%s of %s" % (event["kind"], event["call_uuid"])


with report.Report("database away") as t, world.World(
        "away", people={"not_interested": 3, "curious": 3, "hangs_up_in_greeting": 1, "busy+not_interested": 1},
        own_cluster=True) as w:
    daemon = w.daemon().ready()
    w.setup([w.campaign(calls_per_second=5, lines=5)])
    w.import_leads(LEADS)
    w.start()
    # Five lines: the first outage meets the first half of the people, the second the second.
    for how, waiting in (("immediate", LEADS // 2 - 1), ("fast", 0)):
        world.until(lambda: w.number("SELECT count(*) FROM call_logs WHERE status IN ('ringing', 'in_progress')") >= 2
                    and w.number("SELECT count(*) FROM call_queue WHERE status = 'queued'") <= waiting + 1, 60, w.progress)
        call = live_call(w, daemon)
        postgres(w, "-m", how, "-w", "stop")
        world.until(lambda: daemon.status("/readyz") == 503, 15, "not ready")
        t.ok(True, "stopped %s: /readyz is 503" % how)
        t.same(daemon.status("/healthz"), 200, "/healthz is 200")
        placed = daemon.metric("places_total")
        for name, hook in (("ring", call.ring()), ("hangup", call.hangup()), ("answer", call.answer()), ("after", call.after())):
            got = wire.post(hook)
            t.ok(got.status == 503 and b"<" not in got.body, "%s: 503" % name, got)
        fallback = wire.post(call.hook("fallback", "StartApp", "in-progress"))
        t.ok(fallback.status == 200 and b"<Speak" in fallback.body and b"<Hangup" in fallback.body,
             "the fallback's address apologises and ends", fallback)
        t.ok(wire.post(call.hook("hangup", "Hangup", "completed")._replace(
            url=call.url("hangup")[:-4] + "0000")).status == 403, "a forged address is refused without a database")
        t.same(daemon.metric("places_total"), placed, "nobody is phoned meanwhile")
        postgres(w, "-w", "-l", "/dev/null", "start")
        world.until(lambda: daemon.status("/readyz") == 200, 30, "ready again")
        t.ok(True, "started: ready by itself")
    w.wait_settled(120)
    t.same(w.number("SELECT count(*) FROM leads l WHERE NOT EXISTS (SELECT FROM call_logs c WHERE c.lead_id = l.id AND"
                    " c.status = 'ended')"), 0, "everybody was phoned in the end")
    t.none(acknowledged_without_a_row(w), "nothing was acknowledged that is not committed")
    w.check_dials(t)
    w.check_ground_truth(t)
    t.same(daemon.metric("anomalies_total"), 0, "no anomaly")
    w.check_processes(t)
    w.stop_daemons(t)
