#!/usr/bin/env python3
"""tap.py -- counts what test programs said, and names what failed.

    tools/tap.py tap NAME LOG EXIT_CODE    a log of TAP, from a program that ended so
    tools/tap.py meson TESTLOG_JSON        what `meson test` left in meson-logs/testlog.json

Prints one line for each failure and each skip, then `tally: PASSED FAILED SKIPPED`.
"""
import json
import re
import sys

RESULT = re.compile(r"^\s{0,4}(ok|not ok)\b\s*(\d+)?\s*(?:- )?(.*)$")


def count_tap(name, text, failed_exit):
    """(passed, failed, skipped, lines) of one program's TAP."""
    passed = failed = skipped = 0
    lines = []
    plan = re.search(r"^1\.\.(\d+)", text, re.M)
    for line in text.splitlines():
        match = RESULT.match(line)
        if not match or line.startswith("    "):
            continue
        verdict, _, what = match.groups()
        skip = re.search(r"#\s*skip\w*\s*(.*)$", what, re.I)
        if verdict == "not ok" and not re.search(r"#\s*todo", what, re.I):
            failed += 1
            lines.append("FAILED  %s: %s" % (name, what))
        elif skip:
            skipped += 1
            lines.append("skipped %s: %s" % (name, what))
        else:
            passed += 1
    whole = re.search(r"^1\.\.0\s*#\s*skip\w*\s*(.*)$", text, re.M | re.I)
    if whole:
        return 0, 0, 1, ["skipped %s: %s" % (name, whole.group(1))]
    if plan and int(plan.group(1)) != passed + failed + skipped:
        failed += 1
        lines.append("FAILED  %s: planned %s tests, saw %d" % (name, plan.group(1), passed + failed + skipped - 1))
    if passed + failed + skipped == 0:
        failed += 1
        lines.append("FAILED  %s: said nothing" % name)
    if failed_exit and not failed:
        failed += 1
        lines.append("FAILED  %s: ended with exit code %s" % (name, failed_exit))
    return passed, failed, skipped, lines


def count_meson(path):
    totals = [0, 0, 0]
    lines = []
    with open(path, encoding="utf-8") as handle:
        runs = [json.loads(line) for line in handle if line.strip()]
    for run in runs:
        name = run["name"].split(" / ")[-1]
        text = run.get("stdout") or ""
        bad = run["result"] in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS")
        if re.search(r"^(ok|not ok|1\.\.)", text, re.M):
            passed, failed, skipped, said = count_tap(name, text, run["result"] if bad else "")
        else:
            skip = run["result"] == "SKIP"
            passed, failed, skipped = int(not bad and not skip), int(bad), int(skip)
            said = ["%s %s: %s" % ("FAILED " if bad else "skipped", name, run["result"])] if bad or skip else []
        if bad and run.get("stderr"):
            said += ["    | " + line for line in run["stderr"].splitlines()[-15:]]
        totals = [a + b for a, b in zip(totals, (passed, failed, skipped))]
        lines += said
    if not runs:
        totals[1] += 1
        lines.append("FAILED  meson test: no test ran")
    return (*totals, lines)


def main(arguments):
    if len(arguments) == 4 and arguments[0] == "tap":
        with open(arguments[2], encoding="utf-8", errors="replace") as handle:
            result = count_tap(arguments[1], handle.read(), "" if arguments[3] == "0" else arguments[3])
    elif len(arguments) == 2 and arguments[0] == "meson":
        result = count_meson(arguments[1])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    passed, failed, skipped, lines = result
    for line in lines:
        print(line)
    print("tally: %d %d %d" % (passed, failed, skipped))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
