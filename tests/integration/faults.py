#!/usr/bin/env python3
"""Campaigns while the carrier and the model misbehave, by the simulator's profiles: the invariants hold."""
import sys

import report
import world

LEADS = 30
PROFILES = {"demo": 21, "hostile": 22}
profile = sys.argv[2] if len(sys.argv) > 2 else "demo"

with report.Report("faults: " + profile) as t, world.World(
        "faults", people={"not_interested": 4, "curious": 3, "hangs_up_in_greeting": 2, "opts_out": 2, "wants_human": 2,
                          "busy+not_interested": 1, "no_answer+curious": 1, "voicemail": 1, "interrupts": 1, "silent": 1},
        sim=["--faults", profile, "--no-answer", "2500"], seed=PROFILES[profile]) as w:
    t.note("seed %d" % PROFILES[profile])
    daemon = w.daemon().ready()
    w.setup([w.campaign(calls_per_second=6)])
    w.import_leads(LEADS)
    w.start()
    w.wait_settled(200)
    state = w.state()
    t.ok(sum(state["faults"].values()) >= 20, "the faults have struck", state["faults"])
    t.note("faults: %s" % state["faults"])
    t.same(state["carrier"]["forged_accepted"], 0, "no forged webhook was taken (%d sent)" % state["carrier"]["forged_sent"])
    t.same(state["carrier"]["bad_documents"], 0, "the carrier understood each document")
    t.same(state["carrier"]["unknown_attributes"], 0, "and each attribute")
    w.check_dials(t)
    w.check_ground_truth(t)
    t.same(daemon.metric("anomalies_total"), 0, "no anomaly")
    t.same(daemon.metric("call_phase_refused_total"), 0, "no talk made a move that does not exist")
    t.same(daemon.metric("unknown_attempts"), 0, "nothing is unknown in the end")
    w.check_processes(t)
    w.stop_daemons(t)
