#!/usr/bin/python3
"""queue_bench.py -- gated claims and hang-ups per second, commit included, beside commits of two inserts.

  script/bench queue [--rows N[,N...]] [--tenants N] [--runs N] [--claims N] [--live N] [--json]

The claims go the dialer's way: its statement, its role, its pipelined transaction on one connection. Each
run begins with a fresh copy of the same database. docs/performance.md says how to read the figures."""
import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = 300
DATABASE = "bench_queue"
YARDSTICK_S = 3


def prepare(server, name, rows, tenants):
    bench.say("== %d queued rows over %d tenant%s" % (rows, tenants, "" if tenants == 1 else "s"))
    server.create(name)
    bench.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-v", "leads=%d" % rows, "-v", "tenants=%d" % tenants,
               "-f", os.path.join(HERE, "sql", "claim_setup.sql"), server.url(name)])


def measure(server, template, **options):
    server.copy(DATABASE, template)
    arguments = [os.path.join(bench.BUILD, "bench", "bench_claims"), "--database", DATABASE]
    for name, value in options.items():
        arguments += ["--" + name, str(value)]
    return json.loads(bench.run(arguments, server.env(DATABASE)))


def two_inserts(server):
    server.sql("postgres", "DROP TABLE IF EXISTS bench_first, bench_second;"
               "CREATE TABLE bench_first (id bigserial PRIMARY KEY, a uuid, b timestamptz);"
               "CREATE TABLE bench_second (id bigserial PRIMARY KEY, a uuid, b timestamptz);")
    return server.pgbench("postgres", os.path.join(HERE, "sql", "two_inserts.sql"), YARDSTICK_S)


def merge(runs, *names):
    return {name: bench.spread([one[name] for one in runs]) for name in names}


def claim_row(server, options, rows, batch, yard):
    """One line of the table; the yardstick is taken between its runs, so that both see the same machine."""
    claims = min(options.claims if batch > 1 else options.claims // 4, rows // 2)
    runs = []
    for _ in range(options.runs):
        runs.append(measure(server, "rows_%d" % rows, batch=batch, claims=claims, live=min(options.live, rows // 4)))
        yard.append(two_inserts(server))
    row = merge(runs, "claims_per_second", "p50_ms", "p99_ms", "server_cpu_ms_per_claim", "settles_per_second",
                "server_cpu_ms_per_settle")
    return {"rows": rows, "tenants": options.tenants, "batch": batch, "claims": claims, **row}


def settle_row(server, options, connections):
    runs = [measure(server, "one_campaign", batch=20, claims=min(options.claims, 4000), live=50,
                    connections=connections) for _ in range(options.runs)]
    return {"campaigns": 1, "connections": connections,
            **merge(runs, "settles_per_second", "server_cpu_ms_per_settle", "claims_per_second")}


def work():
    parser = argparse.ArgumentParser(prog="script/bench queue")
    parser.add_argument("--rows", default="10000,100000", help="queued rows, up to 1000000; more by commas")
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--claims", type=int, default=1000, help="claims that are timed in each run")
    parser.add_argument("--live", type=int, default=200, help="calls that stand meanwhile")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sizes = [int(n) for n in options.rows.split(",")]
    if not all(1000 <= n <= 1000000 for n in sizes) or min(options.tenants, options.runs, options.claims, options.live) < 1:
        parser.error("--rows takes 1000 to 1000000, the others at least 1")
    box = bench.machine()
    yard = []
    table = []
    with bench.Cluster() as server:
        for rows in sizes:
            prepare(server, "rows_%d" % rows, rows, options.tenants)
            for batch in (20, 1):
                bench.say("   batch %d, %d runs" % (batch, options.runs))
                table.append(claim_row(server, options, rows, batch, yard))
        prepare(server, "one_campaign", 10000, 1)
        bench.say("   hang-ups of one campaign, %d runs each" % options.runs)
        settle = [settle_row(server, options, connections) for connections in (1, 4)]
    return report(box, table, settle, bench.spread(yard)), options.json, show


def report(box, table, settle, yard):
    for row in table:
        row["ratio"] = round(row["claims_per_second"]["median"] / yard["median"], 3)
    for row in settle:
        row["ratio"] = round(row["settles_per_second"]["median"] / yard["median"], 3)
    worst = min((row for row in table if row["batch"] > 1), key=lambda row: row["claims_per_second"]["median"])
    return {"bench": "queue", "machine": box, "claims_per_second": worst["claims_per_second"]["median"],
            "target": TARGET, "yardstick": "two inserts committed by pgbench, one connection",
            "yardstick_per_second": yard, "ratio": worst["ratio"], "rows": table, "settle": settle}


def show(answer):
    print("queue: gated claims, commit included, one connection; median (min to max)")
    print(bench.describe(answer["machine"]))
    print("%9s %5s %22s %20s %20s %12s %7s" % ("rows", "batch", "claims/s", "p50 ms", "p99 ms", "server ms", "ratio"))
    for row in answer["rows"]:
        print("%9d %5d %22s %20s %20s %12.2f %7.3f" % (
            row["rows"], row["batch"], bench.show(row["claims_per_second"]), bench.show(row["p50_ms"], "%.1f"),
            bench.show(row["p99_ms"], "%.1f"), row["server_cpu_ms_per_claim"]["median"], row["ratio"]))
    print("hang-ups settled, one campaign")
    for row in answer["settle"]:
        print("%9d connection%s %22s/s %12.2f server ms %7.3f" % (
            row["connections"], " " if row["connections"] == 1 else "s", bench.show(row["settles_per_second"]),
            row["server_cpu_ms_per_settle"]["median"], row["ratio"]))
    print("yardstick: %s commits/s of two inserts (pgbench, one connection); ratio = ours / that" %
          bench.show(answer["yardstick_per_second"]))
    print("target: %d claims/s in batches; here %.0f" % (answer["target"], answer["claims_per_second"]))


if __name__ == "__main__":
    sys.exit(bench.finish(work))
