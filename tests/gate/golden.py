#!/usr/bin/env python3
"""The golden table against both judges: app.gate in Postgres and the evaluator.

Each line of golden.jsonl is a world, a moment, the rule it is about, and what the gate must say then: a reason (null: dial) and the
moment at which that can change (null: by somebody's act only). Expectations are derived from the rules' text. Lines of variant
"bare" are judged with the country's own hours and the platform's caps out of the way, as counsel might set them, so that
the rules of the states are seen alone.

usage: golden.py [--purpose NAME] [--url URL]     URL: a migrated throw-away database; else one is made
Prints TAP, a line per rule.
"""
import argparse
import collections
import json
import os

import database
from evaluator import Facts, moment, verdict
from worlds import gather, question

HERE = os.path.dirname(os.path.abspath(__file__))
WHOLE_DAY = {"spans": [{"days": [1, 2, 3, 4, 5, 6, 7], "from": "00:00", "to": "24:00"}]}
BARE = """SET session_replication_role = replica;
UPDATE public.compliance_rules SET value = '%s' WHERE jurisdiction = 'US' AND rule = 'hours';
DELETE FROM public.compliance_rules WHERE jurisdiction = 'ALL' AND rule = 'frequency';
RESET session_replication_role;
""" % json.dumps(WHOLE_DAY)


def golden_rows():
    with open(os.path.join(HERE, "golden.jsonl"), encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    for n, row in enumerate(rows, 1):
        row["n"] = n
        row["want"] = (row["reason"], moment(row["next"]))
    return rows


def bare_rules(tables):
    kept = []
    for row in tables["compliance_rules"]:
        if (row["jurisdiction"], row["rule"]) == ("ALL", "frequency"):
            continue
        kept.append({**row, "value": WHOLE_DAY} if (row["jurisdiction"], row["rule"]) == ("US", "hours") else row)
    return {**tables, "compliance_rules": kept}


def prepare(url, rows):
    """Stores every world and its question; returns the tables as data."""
    tables = gather((row["n"], row["world"]) for row in rows)
    database.psql(url, database.load_script(tables) + database.ask_script(
        [(row["id"] + ("b" if row.get("variant") else "p"), row["n"], row["world"], row["at"]) for row in rows]))
    return tables


def ask_sql(url):
    said = database.psql(url, database.answers_sql(where="q.key LIKE '%p'") + "BEGIN;" + BARE
                         + database.answers_sql(where="q.key LIKE '%b'") + "ROLLBACK;\n")
    return {key[:-1]: answer for key, answer in database.read_answers(said).items()}


def ask_evaluator(rows, tables, shared):
    facts = {None: Facts({**tables, **shared}), "bare": Facts({**tables, **bare_rules(shared)})}
    return {row["id"]: verdict(facts[row.get("variant")], *question(row["n"], row["world"]), row["at"]) for row in rows}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--purpose", default="gategold")
    options.add_argument("--url")
    options = options.parse_args()
    rows = golden_rows()
    url = options.url or database.fresh(options.purpose)
    try:
        tables = prepare(url, rows)
        shared = database.shared_tables(url)
        said = {"sql": ask_sql(url), "evaluator": ask_evaluator(rows, tables, shared)}
    finally:
        if not options.url:
            database.tool("pg-private", "--purpose", options.purpose, "destroy")
    rules = collections.defaultdict(list)
    for row in rows:
        for judge, answers in said.items():
            if answers[row["id"]] != row["want"]:
                rules[row["rule"]].append("%s: %s\n#   want %s, %s says %s" % (row["id"], row["title"], row["want"], judge, answers[row["id"]]))
        rules.setdefault(row["rule"], [])
    for n, (rule, wrong) in enumerate(sorted(rules.items()), 1):
        for line in wrong:
            print("# " + line)
        print("%s %d - %s: %d rows" % ("not ok" if wrong else "ok", n, rule, sum(row["rule"] == rule for row in rows)))
    print("1..%d" % len(rules))
    print("# %d rows, two judges, %d disagreements" % (len(rows), sum(map(len, rules.values()))))
    return 1 if any(rules.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
