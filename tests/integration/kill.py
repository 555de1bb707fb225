#!/usr/bin/env python3
"""The daemon is killed at random moments of a campaign and started again: nobody is rung twice for one
attempt, no attempt is lost, and each comes to an end within the horizon."""
import random
import signal
import time

import report
import world

LEADS = 30
KILLS = 5
SEED = 7

with report.Report("kill -9") as t, world.World(
        "kill", people={"not_interested": 3, "hangs_up_in_greeting": 3, "busy+not_interested": 2, "no_answer+opts_out": 1,
                        "curious": 2}, sim=["--no-answer", "2500"], seed=SEED) as w:
    rng = random.Random(SEED)
    t.note("seed %d" % SEED)
    daemon = w.daemon().ready()
    w.setup([w.campaign(calls_per_second=6)])
    w.import_leads(LEADS)
    w.start()
    moments = []
    for i in range(KILLS):
        # A moment between two sights of the carrier's record: no clock decides alone.
        wanted = len(w.truth()) + rng.randrange(3, 30)
        world.until(lambda: len(w.truth()) >= wanted or w.settled(), 30, w.progress)
        at = time.monotonic() + rng.random() / 2
        world.until(lambda: time.monotonic() >= at, 2, "the moment")
        daemon.signal(signal.SIGKILL)
        t.same(daemon.wait(10), -signal.SIGKILL, "kill %d, at %d of the carrier's events" % (i + 1, len(w.truth())))
        moments.append(w.value("SELECT json_object_agg(status, n) FROM (SELECT status, count(*) n FROM call_logs GROUP BY 1) x"))
        daemon.start()
        daemon.ready()
    t.note("states at the kills: %s" % " ".join(moments))
    w.wait_settled(120)
    t.ok(w.number("SELECT count(*) FROM call_logs WHERE status = 'ended'") >= LEADS - 3, "the campaign went on", w.progress())
    w.check_dials(t)
    # What a killed process had on its way to disk is gone; what it had told the database is not.
    w.check_ground_truth(t, but=["each conversation was recorded", "who answered was spoken to"])
    t.same(daemon.metric("anomalies_total"), 0, "no anomaly")
    w.check_processes(t)
    w.stop_daemons(t)
