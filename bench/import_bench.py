#!/usr/bin/python3
"""import_bench.py -- a list of 100,000 leads read in by `dialwright import`, beside COPY of the same file.

  script/bench import [--rows N] [--runs N] [--json]

Every row is parsed, judged by country, zone, refusals and consent, and becomes a lead, a consent and a queue row
or a reject. docs/performance.md says how to read the figures."""
import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench  # noqa: E402

TARGET_S = 10
DATABASE = "bench_import"
CAMPAIGN = "Bench"
HEADER = ["name", "phone", "email", "timezone", "consent_at", "consent_evidence", "consent_scope", "company"]
US_AREAS = ["205", "212", "213", "303", "305", "312", "404", "415", "512", "602", "612", "617", "702", "713", "808", "907"]
SETUP = {
    "organization": {"slug": "bench", "name": "Bench", "legal_name": "Bench Ltd", "timezone": "UTC"},
    "carrier": [{"name": "bench", "lines": 60, "calls_per_second": 15}],
    "numbers": [{"phone": "+12025550100"}],
    "regions": ["US", "GB", "IN", "DE"],
    "campaigns": [{"name": CAMPAIGN, "numbers": ["+12025550100"], "callback_number": "+12025550100",
                   "time_start": "09:00", "time_end": "18:00", "weekdays": [1, 2, 3, 4, 5],
                   "disclosure": "This is an AI assistant.", "greeting": "Hello.", "farewell": "Goodbye.",
                   "instructions": "Be brief.", "language": "en", "lines": 60, "calls_per_second": 15}],
}


def phone(n):
    """Numbers of four countries as people write them, all different."""
    if n % 10 < 6:
        local = n // 16
        return "(%s) %03d-%04d" % (US_AREAS[n % 16], 200 + local // 10000, local % 10000)
    if n % 10 < 8:
        return "+44 7400 %06d" % n
    return "+91 98%08d" % n if n % 10 == 8 else "+49 1512 %07d" % n


def write_list(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as handle:
        out = csv.writer(handle)
        out.writerow(HEADER)
        for n in range(rows):
            # One in a hundred is no number, one in a hundred has no consent: rejects cost too.
            out.writerow(["Lead %d" % n, "12345" if n % 100 == 50 else phone(n), "lead%d@example.com" % n, "",
                          "" if n % 100 == 70 else "2026-05-%02dT10:00:00Z" % (n % 28 + 1),
                          "signed order form, section %d" % (n % 9), "ai_voice", "Company %d" % (n % 5000)])


def active_ms(server):
    """Time that sessions of the database spent on statements, all told."""
    return float(server.sql("postgres", "SELECT active_time FROM pg_stat_database WHERE datname = '%s'" % DATABASE))


def import_once(server, path):
    server.copy(DATABASE, "bench_template")
    before = active_ms(server)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = server.env(DATABASE)
    began = time.monotonic()
    done = subprocess.run([os.path.join(bench.BUILD, "src", "dialwright"), "import", "--campaign", CAMPAIGN,
                           "--consent-level", "written", "--default-region", "US", "--json", path], env=env,
                          cwd=bench.ROOT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise bench.BenchError("import failed:\n" + done.stdout + done.stderr)
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": seconds, "database_seconds": (active_ms(server) - before) / 1000,
            "client_cpu_seconds": now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime,
            "answer": json.loads(done.stdout)}


def copy_once(server, path):
    """The same file into a plain table with a key, by COPY: the least that storing these rows can cost."""
    server.sql(DATABASE, "DROP TABLE IF EXISTS public.bench_plain; CREATE TABLE public.bench_plain (id bigserial PRIMARY KEY, %s);"
               % ", ".join("%s text" % name for name in HEADER))
    began = time.monotonic()
    server.sql(DATABASE, "\\copy public.bench_plain (%s) FROM '%s' CSV HEADER\n" % (", ".join(HEADER), path))
    return time.monotonic() - began


def work():
    parser = argparse.ArgumentParser(prog="script/bench import")
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not 1000 <= options.rows <= 1000000 or options.runs < 1:
        parser.error("--rows takes 1000 to 1000000, --runs at least 1")
    box = bench.machine()
    runs = []
    copies = []
    with bench.Cluster() as server, tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "leads.csv")
        write_list(path, options.rows)
        with open(os.path.join(scratch, "setup.json"), "w", encoding="utf-8") as handle:
            json.dump(SETUP, handle)
        bench.say("== %d rows" % options.rows)
        server.create("bench_template")
        bench.run([os.path.join(bench.BUILD, "src", "dialwright"), "setup", os.path.join(scratch, "setup.json")],
                  dict(server.env("bench_template"), DIALWRIGHT_KEK="a key that wraps the bench's secrets",
                       PLIVO_AUTH_ID="MABENCH", PLIVO_AUTH_TOKEN="bench"))
        for n in range(options.runs):
            bench.say("   run %d of %d" % (n + 1, options.runs))
            runs.append(import_once(server, path))
            copies.append(copy_once(server, path))
    return report(box, options.rows, runs, copies), options.json, show


def report(box, rows, runs, copies):
    answer = runs[0].pop("answer")
    seconds = bench.spread([one["seconds"] for one in runs])
    copy = bench.spread(copies)
    return {"bench": "import", "machine": box, "rows": rows, "added": answer["added"], "rejected": answer["rejected"],
            "seconds": seconds, "target_seconds": TARGET_S, "rows_per_second": round(rows / seconds["median"]),
            "client_cpu_seconds": bench.spread([one["client_cpu_seconds"] for one in runs]),
            "database_seconds": bench.spread([one["database_seconds"] for one in runs]),
            "yardstick": "COPY of the same file into a plain table", "yardstick_seconds": copy,
            "ratio": round(seconds["median"] / copy["median"], 2)}


def show(answer):
    print("import: %d rows (%d leads, %d rejects); median (min to max)" % (answer["rows"], answer["added"], answer["rejected"]))
    print(bench.describe(answer["machine"]))
    for name, words in (("seconds", "from start to end"), ("client_cpu_seconds", "reading, numbers and zones (CPU of the command)"),
                        ("database_seconds", "statements in the database"), ("yardstick_seconds", "yardstick: COPY into a plain table")):
        print("%24s s  %s" % (bench.show(answer[name], "%.2f"), words))
    print("%d rows/s; %.1f times the yardstick; target: under %d s for 100000 rows" % (
        answer["rows_per_second"], answer["ratio"], answer["target_seconds"]))


if __name__ == "__main__":
    sys.exit(bench.finish(work))
