#!/usr/bin/env python3
"""The gate from outside: lists that are read in, and the switches that stop dialing within a second and survive restarts."""
import datetime
import os
import time

import report
import world

WITHIN_S = 1.0
LEADS = 40


def dials(w):
    return [e for e in w.truth() if e["event"] == "accepted" and e["leg"] == "lead"]


def moment(event):
    return datetime.datetime.fromisoformat(event["at"].replace("Z", "+00:00")).timestamp()


def write_list(w, name, rows):
    path = os.path.join(w.dir, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(rows) + "\n")
    return path


def quiet_after(w, t, name, *switch):
    """The switch is thrown while calls begin every moment; what the carrier accepted after it, by its own clock."""
    before = len(dials(w))
    world.until(lambda: len(dials(w)) >= before + 2, 30, w.progress)
    w.command("dialing", "pause", *switch, "--reason", "story")
    thrown = time.time()
    # Twice the promise: what comes later than the promise shows.
    world.until(lambda: time.time() > thrown + 2 * WITHIN_S, 10, "two seconds")
    late = [moment(e) - thrown for e in dials(w)]
    t.note("%s: last call accepted %+.3f s after the switch" % (name, max((moment(e) - thrown for e in dials(w)), default=0)))
    t.none([s for s in late if s > WITHIN_S], "%s: no call begins later than a second after the switch" % name)
    return len(dials(w))


with report.Report("gate") as t, world.World("gate", people={"busy": 1}) as w:
    daemon = w.daemon().ready()
    w.setup([w.campaign(lines=4, calls_per_second=4, retry_policy="quick")], account={"lines": 4, "calls_per_second": 4})
    w.import_leads(LEADS)
    numbers = [row["phone_e164"] for row in w.rows("SELECT phone_e164 FROM leads ORDER BY phone_e164")]

    # A list in force; its newer version; a file that ends in the middle of nothing.
    path = write_list(w, "list.csv", ["phone", numbers[0], numbers[1], "0412", "not a number"])
    said = w.command("dnc", "import", "--list", "au-register", "--as-of", time.strftime("%Y-%m-%d", time.gmtime()), "--rejects",
                     os.path.join(w.dir, "rejects.csv"), path)
    t.same((said["status"], said["rows"], said["entries"], said["rejected"]), ("active", 4, 2, 2), "a list comes into force, its bad rows are named")
    with open(os.path.join(w.dir, "rejects.csv"), encoding="utf-8") as handle:
        t.same(len(handle.read().splitlines()), 3, "a heading and two rejects")
    listed = {row["list"]: row for row in w.command("dnc", "lists")["lists"]}
    t.same((listed["au-register"]["state"], listed["au-register"]["age_days"]), ("in force", 0), "dnc lists shows its age")
    t.same(listed["us-national"]["state"], "missing", "and what a rule asks for and nobody has")
    t.ok(w.command("dnc", "import", "--kind", "internal", "--list", "ours", "--as-of", "2026-01-01", write_list(w, "own.csv", [numbers[2]]))["entries"] == 1,
         "our own list is taken over")
    w.start()
    world.until(lambda: w.number("SELECT count(*) FROM call_queue WHERE last_error = 'dnc_list'") == 2, 30, w.progress)

    # A rule of our own, which is refused its shape, added and closed.
    t.same(w.command("rule", "tighten", "AU", "frequency", '{"24h": 2}')["change"], "created", "an own rule")
    t.same([r["value"] for r in w.command("rule", "list", "AU")["rules"]], [{"24h": 2}], "stands beside the law's")
    t.same(w.command("rule", "tighten", "AU", "frequency", "--close", "--from", "2099-01-01")["change"], "closed", "until it is closed")

    # The switches.
    for name, switch in (("tenant", ["--tenant"]), ("campaign", ["--campaign", world.CAMPAIGN])):
        quiet_after(w, t, name, *switch)
        w.command("dialing", "resume", *switch)
    stopped = quiet_after(w, t, "platform", "--platform")

    # It survives a restart.
    daemon.signal(9)
    daemon.wait(10)
    daemon.start()
    daemon.ready()
    began = time.time()
    world.until(lambda: time.time() > began + 2, 10, "two seconds")
    t.same(len(dials(w)), stopped, "after a restart nothing is dialed either")
    w.command("dialing", "resume", "--platform")
    world.until(lambda: len(dials(w)) > stopped, 30, w.progress)
    t.ok(True, "and goes on when it is lifted")
    quiet_after(w, t, "caller id", "--number", w.value("SELECT phone_e164 FROM phone_numbers"))
    t.same({e["to"] for e in dials(w)} & set(numbers[:3]), set(), "nobody on a list was dialed")
    t.same(w.number("SELECT count(*) FROM call_queue WHERE last_error = 'dial_paused' AND status = 'failed'"), 0, "a pause cost nobody their turn")
    w.check_processes(t)
    w.stop_daemons(t)
