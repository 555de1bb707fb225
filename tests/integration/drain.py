#!/usr/bin/env python3
"""SIGTERM in the middle of a campaign: no new calls, those that run end well, exit 0; and the next start goes on."""
import signal
import time

import report
import world

LEADS = 8

with report.Report("drain") as t, world.World("drain", people={"not_interested": 1, "curious": 1}) as w:
    daemon = w.daemon().ready()
    w.setup([w.campaign(lines=4, calls_per_second=4)], account={"lines": 4})
    w.import_leads(LEADS)
    w.start()
    world.until(lambda: w.number("SELECT count(*) FROM call_logs WHERE disclosure_played_at IS NOT NULL AND status = 'in_progress'") >= 2, 40, w.progress)
    daemon.signal(signal.SIGTERM)
    world.until(lambda: daemon.status("/readyz") != 200, 5, "not ready")
    t.ok(True, "/readyz says so")
    begun = {e["call_uuid"] for e in w.truth() if e["event"] == "accepted"}
    began = time.monotonic()
    t.same(daemon.wait(75), 0, "exit 0")
    t.note("%.1f s" % (time.monotonic() - began))
    t.same({e["call_uuid"] for e in w.truth() if e["event"] == "accepted"} - begun, set(), "nobody was phoned meanwhile")
    talked = w.rows("SELECT id, status, disclosure_played_at, disconnect_reason, answered_at FROM call_logs WHERE answered_at IS NOT NULL")
    ends = {e["call_uuid"]: e for e in w.truth() if e["event"] == "hangup"}
    t.note(str([(r["status"], r["disconnect_reason"]) for r in talked]))
    t.none([r for r in talked if r["status"] != "ended"], "each call that was answered has ended in the ledger")
    t.none(w.rows("SELECT id, status FROM call_logs WHERE status NOT IN ('ended', 'not_placed')"), "no call is left open")
    t.none(w.rows("SELECT l.id FROM call_logs l WHERE l.disclosure_played_at IS NOT NULL AND NOT EXISTS (SELECT FROM call_turns c"
                  " WHERE c.call_log_id = l.id AND c.speaker = 'lead')"), "talks went on to the lead's answer")
    t.none(w.rows("SELECT l.id FROM call_logs l WHERE l.disclosure_played_at IS NOT NULL AND l.recording_url IS NULL"), "and were recorded")
    t.same(w.number("SELECT count(*) FROM workers WHERE status = 'alive'"), 0, "no worker is left that might phone")
    w.check_logs(t)
    daemon.start()
    daemon.ready()
    w.wait_settled(100)
    t.same(w.number("SELECT count(*) FROM call_queue WHERE status = 'completed'"), LEADS, "the next start brings the rest to its end")
    w.check_dials(t)
    w.check_ground_truth(t)
    w.check_processes(t)
    w.stop_daemons(t)
