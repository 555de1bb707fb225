#!/usr/bin/env python3
"""The crash table with the real daemon: killed, stopped, or cut from its database at exactly the step that the row names.
Each row has a lead of its own, and its end is always the same: the carrier was asked for it once, or its phone never rang.
What the database decides of these rows by itself is in sql/tests/820_crash_table.sql."""
import re
import signal
import subprocess
import threading
import time

import crash_carrier
import database
import report
import wire
import world

# H = place timeout + queue + ring timeout + record lag
SETTINGS = {"DIALWRIGHT_PLACE_TIMEOUT_MS": "2000", "DIALWRIGHT_CARRIER_QUEUE_MS": "0", "DIALWRIGHT_RING_TIMEOUT_S": "5",
            "DIALWRIGHT_CDR_LAG_MS": "1000", "DIALWRIGHT_LEASE_MS": "1000", "DIALWRIGHT_ABSENCE_SCAN_GAP_MS": "600",
            "DIALWRIGHT_RECONCILE_INTERVAL_MS": "300"}
HORIZON_S = 8
# The last look waits for lock 820, the end of a claim for lock 821.
GATE = r"""
DO $$
BEGIN
    EXECUTE replace(replace(pg_get_functiondef('app.may_post(uuid, timestamptz)'::regprocedure), E'\nBEGIN\n',
        E'\nBEGIN\nPERFORM pg_advisory_lock_shared(820); PERFORM pg_advisory_unlock_shared(820);\n'), ' STABLE ', ' VOLATILE ');
    ASSERT pg_get_functiondef('app.may_post(uuid, timestamptz)'::regprocedure) LIKE '%lock_shared(820)%';
END $$;
CREATE FUNCTION public.wait_in_claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_advisory_xact_lock_shared(821); RETURN NULL; END $$;
CREATE TRIGGER zz_wait AFTER INSERT ON public.call_attempts FOR EACH ROW EXECUTE FUNCTION public.wait_in_claim();
"""


class Latch:
    """An advisory lock that the daemon's step has to pass."""

    def __init__(self, w, key):
        self.process = subprocess.Popen(["psql", "-qAtX", w.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.ask("SELECT pg_advisory_lock(%d)" % key)

    def ask(self, query):
        self.process.stdin.write(query + ";\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def open(self):
        self.process.stdin.close()
        self.process.wait(10)


class Story:
    def __init__(self, t, w, carrier):
        self.t = t
        self.w = w
        self.carrier = carrier
        self.count = 0
        self.daemon = None

    def use(self, daemon):
        daemon.stop = lambda: daemon.signal(signal.SIGSTOP)
        self.daemon = self.carrier.daemon = daemon
        return daemon

    def lead(self, *plan):
        """A new lead whose POSTs will go as planned; its number."""
        number = "+614120%05d" % self.count
        self.carrier.plan[number] = list(plan)
        self.w.import_leads(1, first=self.count)
        self.count += 1
        return number

    def rows(self, number):
        return self.w.rows("SELECT id, status, resolved_by, place_detail, attempt_number FROM call_logs WHERE callee_number = '%s'"
                           " ORDER BY attempt_number" % number)

    def states(self, number):
        return " ".join("%s/%s" % (r["status"], r["resolved_by"]) for r in self.rows(number))

    def until(self, number, wanted, seconds=30):
        world.until(lambda: self.states(number) == wanted, seconds,
                    lambda: "%s to be %s, is %s\n%s" % (number, wanted, self.states(number), self.w.progress()))

    def again(self):
        """The daemon, after its death."""
        self.daemon.wait(10)
        self.daemon.start()
        self.daemon.ready()

    def over(self, number, wanted, dials, what):
        """The end of a row, once all is settled. Between the first attempt and the last others may have been struck by what
        a later row did to the daemon: those must not have been placed."""
        # A report that overtakes the answer to the POST tells the same.
        got = self.states(number).replace("ended/hook", "ended/response").split()
        first, last = wanted.split()[0], wanted.split()[-1]
        between = got[1:-1] if len(got) > 1 else []
        self.t.ok(got and (got[0] == first or first == last) and re.fullmatch(last, got[-1]) and len(self.carrier.dials.get(number, [])) == dials
                  and all(g.startswith("not_placed/") for g in between + (got[:1] if first != last else [])),
                  what,
                  "got    %s\nwanted %s, %d dials of %d requests" % (got, wanted, dials, self.carrier.posts.get(number, 0)))


def answers_of_the_carrier(s):
    """8 to 13, 19, 33: what the POST came to. (row, number, states in the end, dials, what)"""
    rows = [(10, s.lead("cut_dialed"), "ended/cdr", 1, "crash row 10: taken, and the connection dies: found in the records, not asked again"),
            (11, s.lead("502_dialed"), "ended/cdr", 1, "crash row 11: a 5xx of a call that was dialed: the same"),
            (12, s.lead("503"), "not_placed/absent ended/response", 1, "crash row 12: a 5xx without a call: absent, then phoned once"),
            (13, s.lead("400"), "not_placed/4xx ended/response", 1, "crash row 13: a documented 4xx: not placed, then phoned once"),
            (19, s.lead("quiet"), "ended/response", 1, "crash row 19: every webhook lost: ended by the records")]
    number = s.lead("503")
    s.carrier.silent.add(number)
    rows.append((33, number, "not_placed/absent ended/response", 1, "crash row 33: the carrier's API down: unknown for long, then absent, then phoned once"))
    return rows


def killed(s):
    """1, 5, 9, 14, 22: SIGKILL at a step."""
    rows = [(9, s.lead("kill"), "not_placed/absent ended/response", 1, "crash row 09: killed while the request was on the way, not taken: absent, then phoned once")]
    s.again()
    rows.append((14, s.lead("201_unread"), "ended/cdr", 1, "crash row 14: killed with the 201 unread: found in the records, not asked again"))
    s.again()
    latch = Latch(s.w, 820)
    number = s.lead()
    s.until(number, "reserved/None")
    s.daemon.kill()
    latch.open()
    s.again()
    rows.append((5, number, "not_placed/absent ended/response", 1, "crash row 05: killed between commit and POST: absent, then phoned once"))
    died = threading.Event()
    number = s.lead("502_dialed")

    def die(asked):
        if asked == number and not died.is_set():
            died.set()
            s.daemon.kill()
            raise crash_carrier.Cut
    s.carrier.on_list = die
    world.until(died.is_set, 20, s.w.progress)
    s.carrier.on_list = None
    s.again()
    rows.append((22, number, "ended/cdr", 1, "crash row 22: killed in the middle of a look at the lists: looked again, ended once"))
    return rows


def restarted_in_a_talk(s):
    """34: the daemon dies while somebody talks."""
    number = s.lead("quiet")
    world.until(lambda: number in s.carrier.calls_of, 10, s.w.progress)
    s.until(number, "dialing/response")
    hook = s.carrier.hook(s.carrier.calls_of[number])
    wire.post(hook.ring())
    stream = wire.media_url(wire.post(hook.answer()).body)
    s.daemon.kill()
    s.again()
    after = wire.post(hook.after())
    s.t.ok(stream is not None and after.status == 200 and b"<Speak" in after.body and b"<Hangup" in after.body and wire.media_url(after.body) is None,
           "crash row 34: restarted during a talk: an apology, and the end", after)
    s.t.same(wire.post(hook.hangup()).status, 200, "crash row 34: and the hang-up is taken")
    return [(34, number, "ended/response", 1, "crash row 34: the ledger has its end")]


def forged(s, number):
    """20"""
    call = s.carrier.calls_of[number]
    hook = s.carrier.hook(call).hangup()
    before = s.rows(number)
    for what, bad in (("a signature of nobody's", hook._replace(headers=dict(hook.headers, **{"X-Plivo-Signature-V3": "x" * 44}))),
                      ("an identity of nobody's", hook._replace(url=hook.url[:-6] + "000000"))):
        s.t.same(wire.post(bad).status, 403, "crash row 20: %s: 403" % what)
    s.t.same(s.rows(number), before, "crash row 20: and nothing has changed")


def no_more_commits(w):
    """Every commit waits for a standby that is not there, from when this returns: one of ours does."""
    w.value("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    w.value("SELECT pg_reload_conf()")
    while True:
        probe = subprocess.Popen(["psql", "-qAtX", w.url, "-c", "CREATE TABLE IF NOT EXISTS public.probe (); DROP TABLE public.probe"])
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'postgres'"
        world.until(lambda: probe.poll() is not None or w.number(waiting) > 0, 20, "the probe")
        if probe.poll() is None:
            return probe


def doubtful_commits(s):
    """2, 3, 4: the claim's commit fails, or its acknowledgement, or it is not replicated."""
    w = s.w
    rows = []
    waiting = "FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
    for row, how, what in ((3, "pg_terminate_backend", "crash row 03: committed, the acknowledgement lost: not POSTed; absent, then phoned once"),
                           (4, "pg_cancel_backend", "crash row 04: committed with the warning that it is not replicated: not POSTed; absent, then phoned once")):
        latch = Latch(w, 821)
        number = s.lead()
        world.until(lambda: w.number("SELECT count(*) " + waiting), 10, w.progress)
        claim = w.number("SELECT pid " + waiting + " LIMIT 1")
        probe = no_more_commits(w)
        latch.open()
        world.until(lambda: w.value("SELECT wait_event FROM pg_stat_activity WHERE pid = %d" % claim) == "SyncRep", 10, w.progress)
        w.value("SELECT %s(%d)" % (how, claim))
        world.until(lambda: s.states(number) != "", 10, w.progress)
        w.value("ALTER SYSTEM RESET synchronous_standby_names")
        w.value("SELECT pg_reload_conf()")
        probe.wait(20)
        rows.append((row, number, "not_placed/absent ended/response", 1, what))
    latch = Latch(w, 821)
    number = s.lead()
    world.until(lambda: w.number("SELECT count(*) " + waiting), 10, w.progress)
    w.value("SELECT count(pg_terminate_backend(pid)) " + waiting)
    s.t.same(s.states(number), "", "crash row 02: nothing is left of a claim that was not committed")
    latch.open()
    rows.append((2, number, "ended/response", 1, "crash row 02: the database fails before the commit: the lead is phoned once"))
    return rows


def paused_campaign(s):
    """32"""
    latch = Latch(s.w, 820)
    number = s.lead()
    s.until(number, "reserved/None")
    s.w.value("UPDATE campaigns SET status = 'paused'")
    latch.open()
    s.until(number, "not_placed/sign_off")
    s.t.same((s.rows(number)[0]["place_detail"], s.carrier.posts.get(number, 0)), ("campaign_paused", 0),
             "crash row 32: paused between claim and POST: signed off, not POSTed")
    s.w.value("UPDATE campaigns SET status = 'active'")
    return [(32, number, "not_placed/sign_off ended/response", 1, "crash row 32: and phoned once when it goes on")]


def asleep(s):
    """6, 7: the owner stands still for longer than lease and horizon, while another daemon looks after things."""
    first = s.daemon
    out = s.lead("hold")
    world.until(s.carrier.held.is_set, 10, s.w.progress)
    s.carrier.denied.add(out)
    latch = Latch(s.w, 820)
    claimed = s.lead()
    s.until(claimed, "reserved/None")
    first.stop()
    latch.open()
    second = s.use(s.w.daemon("node-2", **SETTINGS).ready())
    for number in (out, claimed):
        s.until(number, "outcome_unknown/None")
    seen = dict(s.carrier.asked_for)
    at = time.monotonic() + HORIZON_S + 2
    world.until(lambda: time.monotonic() > at and all(s.carrier.asked_for.get(n, 0) > seen.get(n, 0) + 3 for n in (out, claimed)),
                HORIZON_S + 20, s.w.progress)
    s.t.same((s.states(claimed), s.carrier.posts.get(claimed, 0)), ("outcome_unknown/None", 0),
             "crash row 06: asleep longer than lease and horizon: looked for again and again, and no absence")
    s.t.same((s.states(out), s.carrier.posts.get(out, 0)), ("outcome_unknown/None", 1), "crash row 07: nor with its request out, though the lists deny the call")
    s.carrier.release.set()
    first.signal(signal.SIGCONT)
    s.until(claimed, "not_placed/sign_off ended/response")
    s.t.same(s.rows(claimed)[0]["place_detail"], "deadline", "crash row 06: it wakes up, sees the deadline, signs off")
    s.carrier.denied.discard(out)
    both = s.lead("502_dialed")
    s.until(both, "ended/cdr")
    s.t.same(s.w.number("SELECT count(*) FROM outbox WHERE topic = 'call.ended' AND subject_id = '%s'" % s.rows(both)[0]["id"]), 1,
             "crash row 23: two reconcilers: ended once")
    second.signal(signal.SIGTERM)
    s.t.same(second.wait(30), 0, "the second daemon ends well")
    s.w.daemons.remove(second)
    s.use(first)
    return [(7, out, "ended/(cdr|response)", 1, "crash row 07: its late answer, or the records, end it once"), (6, claimed, "not_placed/sign_off ended/response", 1, "crash row 06: phoned once"),
            (23, both, "ended/cdr", 1, "crash row 23: dialed once")]


def without_database(s):
    """15, 24: a 201 in hand, and Postgres killed, for longer than the horizon."""
    s.carrier.release.clear()
    number = s.lead("hold")
    world.until(s.carrier.held.is_set, 10, s.w.progress)
    s.carrier.denied.add(number)
    database.stop(s.w, "immediate")
    s.carrier.release.set()
    at = time.monotonic() + HORIZON_S + 1
    world.until(lambda: time.monotonic() > at, HORIZON_S + 5, "the horizon")
    database.start(s.w)
    s.until(number, "dialing/response")
    s.t.ok(True, "crash row 15: the 201 is written after the horizon, though the lists deny the call")
    asked = s.carrier.asked_for.get(number, 0)
    s.carrier.denied.discard(number)
    s.t.note("the lists were asked %d times meanwhile" % asked)
    s.carrier.hang_up(s.carrier.calls_of[number])
    return [(15, number, "ended/response", 1, "crash row 15: and the call ends once"), (24, number, "ended/response", 1, "crash row 24: Postgres killed at that moment: as the step in hand")]


def nobody_there(s):
    """8: nobody listens where the carrier should be."""
    port = world.free_port()
    s.daemon.signal(signal.SIGTERM)
    s.t.same(s.daemon.wait(30), 0, "the daemon ends well")
    first = s.daemon
    lost = s.w.daemon("node-8", **dict(SETTINGS, PLIVO_API_URL="http://127.0.0.1:%d/v1" % port,
                                       DIALWRIGHT_CARRIER_HOSTS_ALLOWED="127.0.0.1:%d" % port)).ready()
    number = s.lead()
    s.until(number, "not_placed/nosend")
    lost.kill()
    s.w.daemons.remove(lost)
    s.use(first)
    s.again()
    return [(8, number, "not_placed/nosend ended/response", 1,
             "crash row 08: connection refused: known not to have been sent, then phoned once")]


def play(t, w, carrier):
    s = Story(t, w, carrier)
    # A server that could have a standby: without, no commit waits for one.
    w.value("ALTER SYSTEM SET wal_level = 'replica'")
    w.value("ALTER SYSTEM SET max_wal_senders = 2")
    database.stop(w, "fast")
    database.control(w, "-w", "-l", "/dev/null", "start")  # pg-private would write its own settings again
    s.use(w.daemon(**SETTINGS).ready())
    w.setup([w.campaign(max_attempts=1, ring_timeout_s=20, transfer="off", lines=40)], agents=False)
    w.value(GATE)
    number = s.lead()
    s.daemon.kill()
    s.again()
    w.start()
    ends = [(1, number, "ended/response", 1, "crash row 01: killed before the claim: the next one claims it")]
    ends += answers_of_the_carrier(s)
    quiet = next(n for row, n, *_ in ends if row == 19)
    silent = next(n for row, n, *_ in ends if row == 33)
    world.until(lambda: quiet in carrier.calls_of, 10, w.progress)
    s.until(quiet, "dialing/response")
    forged(s, quiet)
    ends += killed(s)
    ends += restarted_in_a_talk(s)
    ends += doubtful_commits(s)
    ends += paused_campaign(s)
    ends += asleep(s)
    t.same(s.states(silent), "outcome_unknown/None", "crash row 33: without one complete look it is unknown, however long")
    carrier.silent.clear()
    ends += without_database(s)
    ends += nobody_there(s)
    open_calls = "SELECT count(*) FROM call_logs WHERE status NOT IN ('ended', 'not_placed')"
    open_jobs = "SELECT count(*) FROM call_queue WHERE status NOT IN ('completed', 'failed')"
    world.until(lambda: w.number(open_calls) + w.number(open_jobs) == 0, 60, w.progress)
    for _, *end in sorted(ends):
        s.over(*end)
    t.none([(n, len(c)) for n, c in carrier.dials.items() if len(c) > 1], "nobody was phoned twice (%d leads)" % s.count)
    t.same(s.daemon.metric("anomalies_total"), 0, "no anomaly")
    w.check_processes(t)
    w.stop_daemons(t)


if __name__ == "__main__":
    the_carrier = crash_carrier.Carrier(world.AUTH_ID)
    with report.Report("crash") as the_report, world.World("crash", carrier=the_carrier.url, own_cluster=True) as the_world:
        play(the_report, the_world, the_carrier)
    the_carrier.close()
