#!/usr/bin/env python3
"""failover.py -- the primary dies in the middle of a campaign, its standby is promoted, the daemon goes on.

    tests/failover/failover.py BUILD_DIR [--rounds N] [--async | --patroni | --restore] [--seed S] [--leads N]

One daemon, one simulator, two Postgres servers. Each round starts a campaign, kills the primary with SIGKILL at a
moment that the seed chose, promotes the standby, and makes the dead one a standby again. With --async nothing waits
for the standby, and the sender of the log is stopped before the kill, so that commits which were acknowledged and
dialed upon are really lost: a run that lost none has proven nothing and fails. Then the carrier's record is
compared with the ledger. The last line is `N failovers, M violations`.
"""
import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))

import pair as pairs  # noqa: E402
import patroni  # noqa: E402
import report  # noqa: E402
import world  # noqa: E402


# What an asynchronous failover loses for good: the inbox rows of reports. Their calls end by the carrier's record.
LOST_BY_NATURE = {"what was acknowledged is on file"}


class FailoverWorld(world.World):
    """A World on two servers."""

    def __init__(self, name, pair, **more):
        self.pair = pair
        super().__init__(name, **more)

    def open_database(self):
        self.cluster = None
        self.pair.primary.query("CREATE DATABASE story")
        self.url = self.pair.url("story")
        self.login = self.pair.url("story", "app_login")
        world.migrate(self.url)
        self.pair.primary.query("ALTER ROLE app_login PASSWORD '%s'" % patroni.PASSWORD)

    def end(self):
        for process in self.daemons + [self.sim]:
            process.kill()
        self.pair.destroy()
        if os.environ.get("DIALWRIGHT_KEEP_STORIES"):
            print("# kept: %s" % self.dir)
        else:
            world.shutil.rmtree(self.dir, ignore_errors=True)


# The carrier's records carry none of our ids. Two dials of one pair within the horizon are told apart by them only as
# long as the ledger knows one of the two, so in these campaigns nobody is tried twice (in life half an hour lies between, by
# number_spacing_s). A dial that only a record remembers gets an id of its own.
ONCE = {"transfer": "off", "max_duration_s": 30, "max_attempts": 1}
BY_RECORD = {"I3 each dial is one ended row"}


def dials(w):
    return [e for e in w.truth() if e["event"] == "accepted" and e["leg"] == "lead"]


def one_campaign(w, name, first, leads, rng, rate=None):
    fields = w.campaign(name=name, calls_per_second=rate or rng.choice([4, 6, 10]), **ONCE)
    w.setup([fields], agents=False)
    w.import_leads(leads, campaign=name, first=first)
    w.start(name)


def wait_dials(w, wanted, seconds):
    """A moment in the middle of the campaign: so many dials, or so long."""
    with contextlib.suppress(world.StoryError):
        world.until(lambda: len(dials(w)) >= wanted, seconds, "%d dials" % wanted, every=0.01)


def one_round(w, n, options, rng):
    """Returns how long nothing was dialed."""
    pair = w.pair
    before = len(dials(w))
    one_campaign(w, "round %d" % n, n * options.leads, options.leads, rng)
    if options.asynchronous:
        world.until(pair.caught_up, 20, "the standby has what there is")
        wait_dials(w, before + rng.randrange(0, 3), 20)
        pair.primary.signal("walsender", signal.SIGSTOP)
        wait_dials(w, len(dials(w)) + rng.randrange(2, options.leads - 2), 4)
    else:
        wait_dials(w, before + rng.randrange(0, options.leads // 2), 20)
        if rng.random() < 0.3:
            pair.primary.signal("walsender", signal.SIGSTOP)  # commits hang, and are never acknowledged
    time.sleep(rng.random() * 0.2)
    killed = time.monotonic()
    pair.fail_over()
    promoted = time.monotonic()
    pair.make_standby()
    daemon = w.daemons[0]
    world.until(lambda: daemon.metric("history_open") == 1 and w.number(
        "SELECT count(*) FROM dial_histories WHERE opened_at IS NOT NULL AND timeline = (SELECT max(timeline) FROM dial_histories)"
        " AND timeline > %d" % n) == 1, 120, lambda: w.value("SELECT engine.recovery_status(now())") + daemon.tail())
    return promoted - killed, time.monotonic() - killed


def row_four(w, t):
    """A commit that was made here and is perhaps nowhere else: its claims are not dialed upon."""
    daemon, primary = w.daemons[0], w.pair.primary
    one_campaign(w, "row four", 90000, 8, random.Random(4), rate=2)
    primary.signal("walsender", signal.SIGSTOP)
    # From here on no commit is acknowledged: what is dialed now was claimed before.
    world.until(lambda: daemon.metric("dialer_placing") == 0, 10, "what was claimed before is dialed")
    before = len(dials(w))

    def told():
        primary.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        return "a claim's commit was not acknowledged" in daemon.tail(200)
    world.until(told, 20, lambda: "the daemon was told\n" + primary.query(
        "SELECT string_agg(concat_ws(' ', state, wait_event, left(query, 60)), '\n') FROM pg_stat_activity") + daemon.tail())
    t.ok(w.pair.primary.query("SELECT count(*) FROM call_logs WHERE status IN ('reserved', 'outcome_unknown')", "story") != "0",
         "row 4: such a claim is committed")
    t.same(len(dials(w)), before, "crash row 04: a claim that might not have been replicated is not dialed upon")
    primary.signal("walsender", signal.SIGCONT)


def spoil(path, lines):
    """Changes a letter in each of the last dials of a journal's segment."""
    with open(path, "r+b") as handle:
        text = handle.read()
        starts = [at + 1 for at in range(len(text)) if text[at:at + 3] == b"\nD "]
        for at in starts[-lines:]:
            handle.seek(at + 40)
            handle.write(b"x")
    return min(lines, len(starts))


def restore(w, t):
    """Row 29: an older copy of the data takes the database's place. Nothing is dialed unasked, and nobody twice."""
    pair, daemon = w.pair, w.daemons[0]
    one_campaign(w, "before", 0, 6, random.Random(1))
    w.wait_settled(120)
    w.setup([w.campaign(name="after", **ONCE)], agents=False)
    w.import_leads(8, campaign="after", first=100)
    world.until(pair.caught_up, 20, "the copy has what there is")
    pair.standby.stop()  # the backup
    time_of_backup = w.value("SELECT now()")
    w.start("after")
    w.wait_settled(120)
    dialed = len(dials(w))
    world.until(lambda: w.value("SELECT max(heartbeat_at) > timestamptz '%s' + interval '3 seconds' FROM nodes" % time_of_backup) == "t", 20,
                "more is missing than a failover may lose")
    daemon.signal(signal.SIGKILL)
    daemon.wait(10)
    journal = os.path.join(daemon.data, "journal")
    segment = os.path.join(journal, sorted(os.listdir(journal))[-1])
    spoiled = spoil(segment, 2)
    pair.primary.kill()
    pair.standby.start()
    pair.standby.run("pg_ctl", "-D", pair.standby.data, "-w", "-t", "60", "promote")
    pair.primary, pair.standby = pair.standby, pair.primary
    daemon.start()
    daemon.ready()
    world.until(lambda: b"recovery accept" in world.wire.get(daemon.url + "/readyz").body, 30, "/readyz says what to do")
    t.ok(True, "/readyz names the command")
    status = world.subprocess.run([world.DAEMON, "recovery", "status", "--json"], env=w.env, capture_output=True, text=True, check=False)
    t.same((status.returncode, json.loads(status.stdout)["kind"]), (3, "restore"), "recovery status: exit 3")
    w.start("after")  # as an operator might, who sees a draft
    world.until(lambda: daemon.metric("history_open") == 0 and daemon.metric("dialer_claiming") == 0, 10, "it waits")
    t.same(len(dials(w)), dialed, "crash row 29: nothing is dialed before an operator has said so")
    why = world.subprocess.run([world.DAEMON, "recovery", "accept"], env=w.env, capture_output=True, text=True, check=False)
    t.same(why.returncode, 2, "recovery accept asks for a reason")
    t.same(w.command("recovery", "accept", "--why", "disk lost", "--since", time_of_backup)["change"], "accepted", "accepted")
    world.until(lambda: daemon.metric("history_open") == 1, 60, lambda: w.value("SELECT engine.recovery_status(now())") + daemon.tail())
    adopted = w.rows("SELECT a.gate ->> 'adopted' AS by, count(*) AS n FROM call_attempts a WHERE a.gate ? 'adopted' GROUP BY 1")
    by = {row["by"]: row["n"] for row in adopted}
    t.ok(by.get("journal", 0) > 0, "dials put back from the journal", by)
    t.same(by.get("cdr", 0), spoiled, "and those whose lines were spoiled from the carrier's records")
    w.wait_settled(120)
    again = world.subprocess.run([world.DAEMON, "recovery", "accept", "--why", "x"], env=w.env, capture_output=True, text=True, check=False)
    t.same(again.returncode, 3, "nothing is left to accept")
    t.same(w.command("node", "list")["nodes"][0]["name"], "node-1", "node list")
    refused = world.subprocess.run([world.DAEMON, "node", "dead", "node-1", "--why", "x"], env=w.env, capture_output=True, text=True, check=False)
    t.same(refused.returncode, 3, "a node that lives is not declared dead")
    t.same(w.command("call", "unknown")["calls"], [], "no call is left unknown")


def check(w, t, options):
    w.wait_settled(300)
    w.check_dials(t)
    text = world.run(["/usr/bin/python3", os.path.join(world.ROOT, "tools", "check_ground_truth.py"), "--invariants", "--database-url",
                      w.url, "--ground-truth", w.truth_path, "--data-dir", w.daemons[0].data])
    for found in json.loads(text):
        if (options.asynchronous or options.restore) and found["name"] in LOST_BY_NATURE:
            continue
        if options.restore and found["name"] in BY_RECORD:
            continue
        t.ok(found["ok"], found["name"], found["detail"])
    rebuilt = w.number("SELECT count(*) FROM call_attempts WHERE gate ->> 'adopted' IN ('journal', 'hook')")
    unplaced = w.number("SELECT count(*) FROM audit_log WHERE action = 'call.adopted' AND detail ->> 'result' = 'no_job'")
    orphans = w.number("SELECT count(*) FROM audit_log WHERE action = 'call.orphan'")
    if options.restore:
        pass
    elif options.asynchronous:
        t.ok(rebuilt > 0, "crash row 28: commits were really lost, and put back: %d dials" % rebuilt)
    else:
        t.same(rebuilt, 0, "crash row 25: nothing that was acknowledged was lost")
    t.same(unplaced, 0, "each dial of the journal found its job")
    t.same(orphans, 0, "no call of nobody")
    t.same(w.daemons[0].metric("anomalies_total"), 0, "no anomaly")
    w.check_processes(t)
    w.stop_daemons(t)
    return rebuilt


def run(options):
    rng = random.Random(options.seed)
    name = "failover, " + ("Patroni" if options.patroni else "asynchronous" if options.asynchronous else
                           "restore" if options.restore else "synchronous")
    pair = patroni.PatroniPair() if options.patroni else pairs.Pair("failover", not (options.asynchronous or options.restore))
    took = []
    rebuilt = 0
    with report.Report(name) as t:
        with FailoverWorld(name, pair, people={"hangs_up_in_greeting": 5, "busy": 2, "no_answer": 2},
                           sim=["--no-answer", "1500"], seed=options.seed) as w:
            t.note("seed %d, %d rounds of %d leads" % (options.seed, options.rounds, options.leads))
            w.setup([w.campaign(name="first", **ONCE)], agents=False)
            w.daemon(DIALWRIGHT_FAILOVER_WAIT_MS="1000", DIALWRIGHT_ORPHAN_SWEEP_S="20",
                     DIALWRIGHT_FAILOVER_LOSS_S="2" if options.restore else "600").ready()
            world.until(lambda: w.daemons[0].metric("history_open") == 1, 20, "the journal is read, the history is known")
            if options.restore:
                restore(w, t)
                took.append((0, 0))
                options.rounds = 0
            elif not (options.asynchronous or options.patroni):
                row_four(w, t)
            try:
                for n in range(1, options.rounds + 1):
                    took.append(one_round(w, n, options, rng))
            finally:
                options.done = len(took)
            rebuilt = check(w, t, options)
            attempts = w.number("SELECT count(*) FROM call_logs")
            t.note("%d dials, %d attempts, %d rebuilt from the journal or their webhooks; killed to open again: median %.1f s, longest %.1f s"
                   " (promotion alone %.1f s)" % (len(dials(w)), attempts, rebuilt, statistics.median(x[1] for x in took),
                                                  max(x[1] for x in took), statistics.median(x[0] for x in took)))
        options.violations = t.failed
        t.failed += 0
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--async", dest="asynchronous", action="store_true")
    parser.add_argument("--restore", action="store_true")
    parser.add_argument("--patroni", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--leads", type=int, default=12)
    options = parser.parse_args()
    options.done = 0
    options.violations = 1  # unless it ran to its end
    code = 1
    try:
        run(options)
    except SystemExit as end:
        code = end.code
    print("%d failovers, %d violations" % (options.done, options.violations))
    return code


if __name__ == "__main__":
    sys.exit(main())
