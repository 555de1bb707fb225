#!/usr/bin/env python3
"""check_crash_table.py -- holds each row of the dial protocol's crash table to a test that names it.

    tools/check_crash_table.py           TAP: one line a row, with where its tests are
    tools/check_crash_table.py --list    the names, to read

A test names a row by "crash row NN" (or crash_row_NN, where a name has to be an identifier) in a file that runs as part
of `script/test`. A row without a test fails; so does a number that is not in the table.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLACES = (("sql/tests", r"\.sql$"), ("src", r"_test\.c$"), ("tests", r"\.(py|c|sh)$"), ("script", r"^model$"))
NAME = re.compile(r"crash[ _]row[ _](\d\d)(?!\d)(?=[:_ ]*(.{0,100}))")
ROWS = {
    1: "before the claim", 2: "in the claim, before its commit", 3: "committed, the acknowledgement lost",
    4: "committed, not replicated", 5: "between commit and POST", 6: "paused for longer than lease and horizon",
    7: "paused between the deadline and the request", 8: "nothing could be sent", 9: "the request partly written",
    10: "taken, the connection dies", 11: "5xx of a call that was dialed", 12: "5xx without a call", 13: "a documented 4xx",
    14: "201 received, dead before it was written", 15: "201 received, the database away", 16: "webhooks while unknown",
    17: "hang-up before the answer", 18: "webhooks repeated", 19: "all webhooks lost", 20: "a forged webhook",
    21: "a webhook of what was written off", 22: "the reconciler dies in the middle", 23: "two reconcilers",
    24: "Postgres killed", 25: "failover, synchronous", 26: "failover, asynchronous, no remedy",
    27: "failover, asynchronous, a list scan only", 28: "failover, asynchronous, journal and scan", 29: "restored from a backup",
    30: "the clock is stepped", 31: "opt-out between claim and answer", 32: "paused between claim and POST",
    33: "the carrier's API is down for hours", 34: "restarted during a talk"}


def files():
    for place, pattern in PLACES:
        for folder, _, names in os.walk(os.path.join(ROOT, place)):
            for name in sorted(names):
                if re.search(pattern, name):
                    yield os.path.join(folder, name)


def found():
    """{row: [(file, name)]}"""
    rows = {}
    for path in files():
        with open(path, encoding="utf-8", errors="replace") as handle:
            text = handle.read()
        where = os.path.relpath(path, ROOT)
        for number, name in NAME.findall(text):
            rows.setdefault(int(number), []).append((where, name))
    return rows


def main(arguments):
    if arguments not in ([], ["--list"]):
        print(__doc__, file=sys.stderr)
        return 2
    rows = found()
    failed = 0
    for number, what in ROWS.items():
        tests = rows.get(number, [])
        if arguments:
            print("%02d  %s" % (number, what))
            for where, name in tests:
                print("      %-42s %s" % (where, name.strip(" '\",;):")))
            continue
        places = sorted({where for where, _ in tests})
        failed += not tests
        print("%sok %d - crash table, row %d (%s): %s" % ("" if tests else "not ", number, number, what,
                                                          "%d in %s" % (len(tests), ", ".join(places)) if tests else "no test names it"))
    strange = sorted(set(rows) - set(ROWS))
    if not arguments:
        print("%sok %d - no test names a row that is not in the table" % ("not " if strange else "", len(ROWS) + 1))
        for number in strange:
            print("# row %d: %s" % (number, rows[number]))
        print("1..%d" % (len(ROWS) + 1))
    return 1 if failed or strange else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
