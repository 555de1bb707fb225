#!/usr/bin/env python3
"""Key 9, three times over: on record within a second; asked elsewhere, a talk ends politely and a phone that rings hears
goodbye; and said while the database is away, it outlives kill -9."""
import glob
import os
import shutil
import signal
import statistics
import subprocess
import threading
import time

import database
import report
import wire
import world

TIMED = 8
LEADS = TIMED + 3
BOUND_S = 10  # from the words to the end of the stream


class Watch:
    """One psql that is asked again and again, so that a look costs no process."""

    def __init__(self, url):
        self.process = subprocess.Popen(["psql", "-qAtX", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, query):
        self.process.stdin.write(query + ";\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Line:
    """The carrier's end of an answered call: plays what comes, says when it was over."""

    def __init__(self, call):
        wire.post(call.ring())
        self.call = call
        self.socket = wire.Socket(wire.media_url(wire.post(call.answer()).body))
        self.socket.start(call.uuid)
        self.heard = threading.Event()
        self.over = threading.Event()
        self.ended = None
        self.lock = threading.Lock()
        for what in (self.play, self.breathe):
            threading.Thread(target=what, daemon=True).start()

    def play(self):
        while True:
            got = self.socket.read()
            if got is None or got[0] == 8:
                break
            self.heard.set()
        self.ended = time.monotonic()
        self.over.set()
        with self.lock:
            self.socket.close()

    def breathe(self):
        """Silence of a person who listens: a stream without frames would be taken for a dead one."""
        while not self.over.wait(0.2):
            try:
                with self.lock:
                    self.socket.media()
            except OSError:
                return

    def press(self, digit):
        with self.lock:
            self.socket.text({"event": "dtmf", "streamId": "s", "sequenceNumber": 3, "dtmf": {"digit": digit, "track": "inbound", "timestamp": "1"}})
        return time.monotonic()


def answered(call):
    line = Line(call)
    if not line.heard.wait(20):
        raise world.StoryError("the model did not begin to speak")
    return line


def within_a_second(t, w, calls):
    """From the key to a commit that everybody sees."""
    lines = [answered(call) for call in calls]
    watch = Watch(w.url)
    took = []
    for line in lines:
        began = line.press("9")
        number = "+" + line.call.asked["to"].lstrip("+")
        while watch.ask("SELECT count(*) FROM do_not_call WHERE phone_e164 = '%s' AND source = 'dtmf' AND lifted_at IS NULL" % number) != "1":
            if time.monotonic() - began > 5:
                raise world.StoryError("key 9 is not on record after 5 s")
        took.append(time.monotonic() - began)
        left = watch.ask("SELECT count(*) FROM call_queue q JOIN leads l ON l.id = q.lead_id WHERE l.phone_e164 = '%s' AND q.status = 'queued'" % number)
        if left != "0":
            t.same(left, "0", "nothing waits for %s" % number[-2:])
    watch.close()
    t.note("effective after key 9: median %.0f ms, worst %.0f ms of %d" % (1000 * statistics.median(took), 1000 * max(took), len(took)))
    t.ok(max(took) < 1, "each is on record within a second, and nothing waits for them", took)
    began = time.monotonic()
    t.none([line.call.uuid for line in lines if not line.over.wait(BOUND_S)], "each stream is over within %d s" % BOUND_S)
    t.none([line.socket.code for line in lines if line.socket.code != 1000], "and was ended by us, in order")
    t.note("the last stream ended %.1f s after the last key" % (time.monotonic() - began))
    for line in lines:
        body = wire.post(line.call.after()).body.decode()
        if "<Hangup" not in body:
            t.ok(False, "the carrier is told to hang up", body)
        wire.post(line.call.hangup())


def asked_elsewhere(t, w, talking, ringing):
    """`dnc add` by a colleague, while one is talked to and another one's phone rings."""
    line = answered(talking)
    wire.post(ringing.ring())
    for call in (talking, ringing):
        w.command("dnc", "add", "+" + call.asked["to"].lstrip("+"), "--reason", "manual", "--words", "asked by mail")
    began = time.monotonic()
    body = wire.post(ringing.answer()).body.decode()
    t.ok("<Speak" in body and "<Hangup" in body and "<Stream" not in body, "who picks up now hears a goodbye, and no talk", body)
    wire.post(ringing.hangup())
    t.ok(line.over.wait(BOUND_S), "a talk is over within %d s of the word of another" % BOUND_S)
    t.note("a talk ended %.1f s after `dnc add`" % (line.ended - began if line.ended else -1))
    wire.post(talking.after())
    wire.post(talking.hangup())
    t.same(w.value("SELECT disconnect_reason FROM call_logs WHERE call_sid = '%s'" % talking.uuid), "opted_out", "and says why")


def spools(daemon, end=".spool"):
    return [f for f in glob.glob(os.path.join(daemon.data, "opt_outs", "*" + end)) if os.path.getsize(f) > 0]


def outlives_the_kill(t, w, daemon, call):
    number = "+" + call.asked["to"].lstrip("+")
    before = w.number("SELECT count(*) FROM do_not_call")
    line = answered(call)
    database.stop(w, "immediate")
    world.until(lambda: daemon.status("/readyz") == 503, 15, "not ready")
    began = line.press("9")
    files = world.until(lambda: spools(daemon), 5, "it is on disk")
    t.note("on disk %.0f ms after the key, the database being away" % (1000 * (time.monotonic() - began)))
    t.same(os.stat(files[0]).st_mode & 0o777, 0o600, "readable by its owner alone")
    with open(files[0], encoding="utf-8") as handle:
        t.ok(number in handle.read(), "with the number")
    t.ok(line.over.wait(BOUND_S), "the person is not kept waiting: over within %d s" % BOUND_S)
    t.ok(daemon.metric("opt_outs_waiting") == 1, "and counted as waiting")
    daemon.signal(signal.SIGKILL)
    daemon.wait(10)
    with open(daemon.log, encoding="utf-8", errors="replace") as handle:
        t.ok(number not in handle.read(), "no number in the log")
    database.start(w)
    t.same(w.number("SELECT count(*) FROM do_not_call"), before, "killed: the database knows of nothing")
    copy = files[0] + ".copy"
    shutil.copy(files[0], copy)
    daemon.start()
    daemon.ready()
    began = time.monotonic()
    world.until(lambda: w.number("SELECT count(*) FROM do_not_call WHERE phone_e164 = '%s' AND source = 'dtmf'" % number) == 1, 10, w.progress)
    t.note("in the database %.0f ms after the restart was ready" % (1000 * (time.monotonic() - began)))
    world.until(lambda: not spools(daemon), 5, "the file is played out")
    t.same(daemon.metric("opt_out_spool_total", result="replayed"), 1, "played once")
    # The same file once more, as after a kill between the commit and the emptying; and one that a full disk has torn.
    with open(copy, encoding="utf-8") as handle:
        text = handle.read()
    with open(os.path.join(daemon.data, "opt_outs", "torn.spool"), "w", encoding="utf-8") as out:
        out.write(text + text[:len(text) // 2])
    world.until(lambda: spools(daemon, ".torn"), 15, "a torn file is put aside")
    t.same(daemon.metric("opt_out_spool_total", result="torn"), 1, "and counted")
    t.same(w.number("SELECT count(*) FROM do_not_call WHERE phone_e164 = '%s'" % number), 1, "played twice, it is one entry")
    return number


carrier = wire.Carrier(world.AUTH_ID)
with report.Report("opt-out kept") as t, world.World("kept", carrier=carrier.url, own_cluster=True) as w:
    daemon = w.daemon(DIALWRIGHT_RECONCILE_INTERVAL_MS="600000", DIALWRIGHT_ANALYSIS_DELAY_MS="0").ready()
    w.setup([w.campaign("first", max_attempts=1, transfer="off", calls_per_second=50), w.campaign("second", max_attempts=1, transfer="off", calls_per_second=50)],
            account={"calls_per_second": 50})
    for name in ("first", "second"):
        w.import_leads(LEADS + (1 if name == "second" else 0), campaign=name)
    w.start("first")
    world.until(lambda: len(carrier.calls) == LEADS, 30, "all leads are asked of the carrier")
    world.until(lambda: w.number("SELECT count(*) FROM call_logs WHERE status = 'dialing'") == LEADS, 10, "all are dialing")
    calls = [wire.Call(asked, world.SECRET, world.AUTH_TOKEN, daemon.url) for asked in carrier.calls]
    within_a_second(t, w, calls[:TIMED])
    asked_elsewhere(t, w, calls[TIMED], calls[TIMED + 1])
    number = outlives_the_kill(t, w, daemon, calls[TIMED + 2])
    wire.post(calls[TIMED + 2].hangup())
    # All of them wait in the second campaign, with one who never said a word.
    t.same(w.number("SELECT count(*) FROM call_queue q JOIN campaigns c ON c.id = q.campaign_id WHERE c.name = 'second' AND q.status = 'queued'"), 1, "of the second campaign one may still be called")
    w.start("second")
    world.until(lambda: len(carrier.calls) > LEADS, 20, w.progress)
    world.until(lambda: w.number("SELECT count(*) FROM call_queue q JOIN campaigns c ON c.id = q.campaign_id WHERE c.name = 'second' AND q.status = 'queued'") == 0, 10, w.progress)
    t.same([c["to"] for c in carrier.calls[LEADS:]], ["614120%05d" % LEADS] if not carrier.calls[LEADS]["to"].startswith("+") else ["+614120%05d" % LEADS],
           "and only that one is dialed")
    t.ok(number not in ["+" + c["to"].lstrip("+") for c in carrier.calls[LEADS:]], "the number of the word that was said in the dark is not")
    t.same(daemon.metric("opt_outs_waiting"), 0, "nothing waits any more")
    w.check_logs(t)
    daemon.kill()
carrier.close()
