#!/usr/bin/env python3
"""Compares docs/field-ownership.md with the columns of a migrated database. Prints TAP.

usage: tools/check_ownership.py DATABASE_URL
"""
import re
import subprocess
import sys

ALWAYS = {"id", "organization_id", "created_at", "updated_at"}
QUERY = ("SELECT table_name || '.' || column_name FROM information_schema.columns"
         " WHERE table_schema = 'public' ORDER BY 1")


def documented(path):
    """{table.column} of the page, and the columns that stand there twice."""
    found, twice, table = set(), [], None
    with open(path, encoding="utf-8") as page:
        for line in page:
            heading = re.match(r"## (\w+)$", line)
            if heading:
                table = heading.group(1)
            elif table and line.startswith("| `"):
                for column in re.findall(r"`(\w+)`", line.split("|")[1]):
                    name = f"{table}.{column}"
                    if name in found:
                        twice.append(name)
                    found.add(name)
    return found, twice


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    text = subprocess.run(["psql", "-XAt", "-c", QUERY, sys.argv[1]], check=True, capture_output=True,
                          text=True).stdout
    stored = {name for name in text.split() if name.split(".")[1] not in ALWAYS}
    page, twice = documented("docs/field-ownership.md")
    checks = [
        ("every column has its writer on the page", sorted(stored - page)),
        ("every column of the page exists", sorted(page - stored)),
        ("no column stands there twice", twice),
    ]
    print(f"1..{len(checks)}")
    for number, (name, wrong) in enumerate(checks, 1):
        print(("ok" if not wrong else "not ok"), number, "-", name)
        for item in wrong:
            print("#", item)
    return 1 if any(wrong for _, wrong in checks) else 0


if __name__ == "__main__":
    sys.exit(main())
