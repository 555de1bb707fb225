#!/usr/bin/env python3
"""Two daemons on one database and one data directory; the one that holds every line is killed. The other proves
its death, asks what became of its calls and goes on with its work; no limit is exceeded meanwhile."""
import json
import signal
import time

import report
import world

LEADS = 14
LINES = 4
RATE = 4
TAKEN_OVER_S = 2.0


def moment(text):
    return world.datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def logged(daemon, event):
    """(seconds, line) of each such line in a daemon's log."""
    found = []
    with open(daemon.log, encoding="utf-8", errors="replace") as handle:
        for text in handle:
            if text.startswith("{") and '"%s"' % event in text:
                line = json.loads(text)
                found.append((moment(line["at"]), line))
    return found


def attempt_of(event):
    name = event["answer_url"].split("#")[0].rsplit("/", 1)[1].split(".")[0]
    return "-".join((name[:8], name[8:12], name[12:16], name[16:20], name[20:]))


with report.Report("many nodes") as t, world.World(
        "nodes", people={"not_interested": 3, "curious": 2, "busy": 1}, sim=["--no-answer", "2000"], seed=5) as w:
    first = w.daemon("node-1").ready()
    w.setup([w.campaign(lines=LINES, calls_per_second=RATE, transfer="off")], account={"lines": LINES + 2, "calls_per_second": RATE + 1})
    second = w.daemon("node-2", DIALWRIGHT_DATA_DIR=first.data)
    first.signal(signal.SIGSTOP)  # not before the other one is there
    second.ready()
    second.signal(signal.SIGSTOP)
    first.signal(signal.SIGCONT)
    w.import_leads(LEADS)
    w.start()
    world.until(lambda: w.number("SELECT count(*) FROM call_logs WHERE status = 'in_progress'") >= LINES - 1, 40, w.progress)
    second.signal(signal.SIGCONT)
    world.until(lambda: second.status("/readyz") == 200 and w.number(
        "SELECT count(*) FROM call_logs WHERE status IN ('in_progress', 'ringing')") >= LINES - 1, 40, w.progress)
    killed_at = time.time()
    first.signal(signal.SIGKILL)
    first.wait(10)
    w.daemons.remove(first)
    w.wait_settled(150)
    # --- what it took ---
    node = {r["id"]: r["name"] for r in w.rows("SELECT l.id, n.name FROM call_logs l JOIN nodes n ON n.id = l.node_id")}
    calls = {}
    for event in w.truth():
        if event["leg"] == "lead" and event["event"] in ("accepted", "hangup"):
            calls.setdefault(event["call_uuid"], {})[event["event"]] = event
    lag = w.limits["cdr_lag_ms"] / 1000
    orphaned = {attempt_of(c["accepted"]): moment(c["hangup"]["at"]) + lag for c in calls.values()
                if node[attempt_of(c["accepted"])] == "node-1" and moment(c["hangup"]["at"]) > killed_at}
    t.ok(len(orphaned) >= LINES - 1, "the dead held the lines", orphaned)
    proof = max(moment(r["ended_at"]) for r in w.rows("SELECT w.ended_at FROM workers w JOIN nodes n ON n.id = w.node_id"
                                                      " WHERE n.name = 'node-1' AND w.proof = 'lock'"))
    t.ok(proof - killed_at <= TAKEN_OVER_S, "its death is proven within %.0f s" % TAKEN_OVER_S, proof - killed_at)
    ended = {line["call"]: at for at, line in logged(second, "dial.reconciled") if line["now"] == "ended"}
    late = {call: ended.get(call, float("inf")) - max(proof, free) for call, free in orphaned.items()}
    t.none(["%s: %.1f s" % pair for pair in late.items() if pair[1] > TAKEN_OVER_S],
           "each of its calls is settled within %.0f s of being in the carrier's list" % TAKEN_OVER_S)
    free_at = max(proof, min(orphaned.values()))
    dials = sorted(moment(c["accepted"]["at"]) for c in calls.values() if node[attempt_of(c["accepted"])] == "node-2"
                   and moment(c["accepted"]["at"]) > killed_at)
    t.ok(dials and dials[0] - free_at <= TAKEN_OVER_S, "the survivor dials within %.0f s of the first free line" % TAKEN_OVER_S,
         dials and dials[0] - free_at)
    t.note("kill to proof %.2f s; a line known free to the survivor's dial %.2f s; settled after %s s" % (
        proof - killed_at, dials[0] - free_at, ", ".join("%.2f" % s for s in sorted(late.values()))))
    t.same(w.number("SELECT count(*) FROM campaigns WHERE status = 'completed'"), 1, "the campaign is complete")
    w.check_dials(t)
    w.check_ground_truth(t, but=["recordings are there, stereo and not silent", "each conversation was recorded",
                                 "who answered was spoken to", "each conversation was analysed"])
    t.same(second.metric("anomalies_total"), 0, "no anomaly")
    w.check_processes(t)
    w.stop_daemons(t)
