#!/usr/bin/env python3
"""`doctor --live`: one test call through gate, queue and daemon; refused with its reason; taken out of the queue again."""
import json
import signal
import subprocess

import report
import world

ANN = "+61412000000"
BEN = "+61412000001"
STRANGER = "+61412077777"


def doctor(w, *arguments, human=False):
    more = [] if human else ["--json"]
    done = subprocess.run([world.DAEMON, "doctor", "--live", *arguments, *more], env=w.env, capture_output=True, text=True,
                          timeout=120, check=False)
    text = done.stdout + done.stderr if human else ""
    return done.returncode, text if human else json.loads(done.stdout), done.stderr


def queue(w, number):
    return w.value("SELECT concat_ws(' ', q.status, q.priority, q.last_error) FROM call_queue q JOIN leads l ON l.id = q.lead_id"
                   " WHERE l.phone_e164 = '%s'" % number)


def dials(w, number):
    return [e for e in w.truth() if e["event"] == "accepted" and e["leg"] == "lead" and e["to"] == number]


def before_a_daemon(t, w):
    code, answer, _ = doctor(w, ANN)
    t.ok(code == 2 and "--campaign" in answer["usage"], "no active campaign: which one must be said", answer)
    w.start()
    # Everybody waits for tomorrow, so that only the test is dialed.
    w.value("UPDATE call_queue SET next_retry_at = now() + interval '1 day'")
    t.same(doctor(w, "12")[0], 2, "what is no number is wrong usage")
    t.same(doctor(w, ANN, "--wait", "soon")[0], 2, "so is what is no number of seconds")
    t.same(doctor(w, ANN, "--campaign", "nowhere")[0], 1, "a campaign that is not there")
    code, answer, _ = doctor(w, ANN)
    t.ok(code == 1 and "no daemon is running" in answer["error"], "no daemon: says so", answer)
    t.same(len(w.truth()), 0, "and nobody was dialed")


def answered(t, w):
    code, answer, progress = doctor(w, ANN)
    t.ok("steps" in answer, "the test call says its steps", answer)
    steps = [s["step"] for s in answer["steps"]]
    wanted = ["daemon", "gate", "queued", "claimed", "dialing", "ringing", "answered", "disclosed", "ended", "outcome"]
    t.same([s for s in steps if s in wanted], wanted, "each step is told, in order")
    t.ok(code == 0 and answer["result"] == "answered" and answer["call"]["status"] == "ended", "answered", answer)
    t.ok("ringing" in progress and "answered" in progress, "progress goes to stderr", progress)
    t.same(len(dials(w, ANN)), 1, "one dial at the carrier")
    t.same(w.number("SELECT count(*) FROM call_attempts WHERE gate IS NOT NULL"), 1, "an attempt like every other, with its gate")
    t.ok(queue(w, ANN).split()[1] == "0", "not first in line any more", queue(w, ANN))
    code, text, _ = doctor(w, ANN, human=True)
    t.ok(code == 0 and "the phone rings" in text and "outcome" in text, "again, in words", text)
    t.same(len(dials(w, ANN)), 2, "a second dial for the second test")


def refused(t, w):
    code, answer, _ = doctor(w, STRANGER)
    t.ok(code == 3 and answer["result"] == "refused" and answer["reason"] == "consent_missing", "no consent: refused", answer)
    t.same(queue(w, STRANGER), "", "and not enrolled")
    w.command("dnc", "add", STRANGER)
    t.same(doctor(w, STRANGER)[1]["reason"], "dnc", "who asked not to be called is no lead")
    w.value("UPDATE campaigns SET time_start = ((now() AT TIME ZONE '%s') + interval '2 hours')::time,"
            " time_end = ((now() AT TIME ZONE '%s') + interval '3 hours')::time" % (w.zone, w.zone))
    code, answer, _ = doctor(w, BEN)
    t.ok(code == 3 and answer["reason"] == "outside_window" and answer["next"], "outside the window: refused, and until when", answer)
    w.value("UPDATE campaigns SET time_start = '00:00', time_end = '24:00'")
    t.same(len(dials(w, BEN)) + len(dials(w, STRANGER)), 0, "none of them was dialed")


def not_claimed(t, w, daemon):
    before = queue(w, BEN)
    daemon.signal(signal.SIGSTOP)
    code, answer, _ = doctor(w, BEN, "--wait", "1")
    daemon.signal(signal.SIGCONT)
    t.ok(code == 1 and answer["result"] == "not claimed", "a daemon that hangs: said so after --wait", answer)
    t.same(queue(w, BEN), before, "and the row stands as it stood")
    t.same(len(dials(w, BEN)), 0, "nobody is dialed later because of it")


def main():
    with report.Report("live call") as t:
        w = world.World("live", people={"interested": 1})
        w.setup()
        w.import_leads(2)
        before_a_daemon(t, w)
        daemon = w.daemon()
        daemon.ready()
        world.until(lambda: w.number("SELECT count(*) FROM nodes") == 1, 10, "the daemon to say that it is there")
        answered(t, w)
        refused(t, w)
        not_claimed(t, w, daemon)
        w.end()


main()
