#!/usr/bin/env python3
"""Two daemons on one database: lines and calls per second are kept by both together, and all is done."""
import datetime

import report
import world

LEADS = 26
LINES = 5
RATE = 3


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def most_at_once(spans):
    """The largest number of spans that overlap."""
    edges = sorted([(end, -1) for _, end in spans] + [(begin, 1) for begin, _ in spans])
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def most_within(times, seconds):
    times = sorted(times)
    return max(sum(1 for u in times if at <= u < at + seconds) for at in times)


with report.Report("two daemons") as t, world.World(
        "two", people={"not_interested": 3, "hangs_up_in_greeting": 4, "busy": 1, "no_answer+hangs_up_in_greeting": 1},
        sim=["--no-answer", "2000"]) as w:
    # Neither has room for all the lines: whoever frees one takes it again at once, and could keep them all.
    daemons = [w.daemon(name, DIALWRIGHT_CALLS_MAX=str(LINES - 2)).ready() for name in ("node-1", "node-2")]
    w.setup([w.campaign(lines=LINES, calls_per_second=RATE)], account={"lines": LINES + 2, "calls_per_second": RATE + 1})
    w.import_leads(LEADS)
    w.start()
    w.wait_settled(150)
    spans, begun = [], []
    calls = {}
    for event in w.truth():
        if event["leg"] == "lead" and event["event"] in ("accepted", "hangup"):
            calls.setdefault(event["call_uuid"], {})[event["event"]] = moment(event["at"])
    for call in calls.values():
        spans.append((call["accepted"], call["hangup"]))
        begun.append(call["accepted"])
    t.ok(most_at_once(spans) <= LINES, "never more than %d lines" % LINES, most_at_once(spans))
    t.ok(most_at_once(spans) == LINES, "but as many", most_at_once(spans))
    # A claim is what is paced; its request may come some milliseconds after another one's.
    intents = [moment(r["intent_at"]) for r in w.rows("SELECT intent_at FROM call_logs")]
    t.ok(most_within(intents, 0.999) <= RATE, "never more than %d claims in a second" % RATE, most_within(intents, 0.999))
    t.ok(most_within(begun, 5) <= RATE * 5 + RATE, "nor more calls in five", most_within(begun, 5))
    nodes = w.rows("SELECT n.name, count(*) AS calls FROM call_logs l JOIN nodes n ON n.id = l.node_id GROUP BY 1 ORDER BY 1")
    looks = ["%s: %d looks, %d claims" % (d.name, d.metric("claim_seconds_count"), d.metric("claims_total")) for d in daemons]
    t.ok(len(nodes) == 2 and all(n["calls"] > 0 for n in nodes), "both have phoned", [nodes, looks])
    t.note("; ".join(looks))
    t.same(w.number("SELECT count(*) FROM campaigns WHERE status = 'completed'"), 1, "the campaign is complete")
    t.same(w.number("SELECT count(*) FROM audit_log WHERE action = 'campaign.completed'"), 1,
           "and was completed once")
    w.check_dials(t)
    w.check_ground_truth(t, but=["recordings are there, stereo and not silent"])
    for daemon in daemons:
        t.same(daemon.metric("anomalies_total"), 0, "%s: no anomaly" % daemon.name)
    w.check_processes(t)
    w.stop_daemons(t)
