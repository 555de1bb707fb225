#!/usr/bin/env python3
"""Runs one Criterion program, and fails it when a sanitizer reported anything.

Criterion runs each test in a process of its own and takes no notice of the leak report that comes at
that process's end; this adds it as one more TAP line. (With plain --tap the reports are lost, so the
TAP goes through a file.)

usage: run_test.py PROGRAM [ARGUMENT...]
"""
import re
import subprocess
import sys
import tempfile

REPORT = re.compile(r"ERROR: (LeakSanitizer|AddressSanitizer)|runtime error:")


def main(command):
    with tempfile.NamedTemporaryFile(suffix=".tap") as tap:
        run = subprocess.run(command + [f"--tap={tap.name}"], stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, check=False)
        lines = tap.read().decode(errors="replace").splitlines()
    errors = run.stderr.decode(errors="replace")
    sys.stderr.write(errors)
    count = 0
    for line in lines:
        plan = re.fullmatch(r"1\.\.(\d+)", line)
        if plan:
            count = int(plan[1])
            line = f"1..{count + 1}"
        print(line)
    reported = REPORT.search(errors)
    print(f"{'not ok' if reported else 'ok'} {count + 1} - no sanitizer report")
    return 1 if reported else run.returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
