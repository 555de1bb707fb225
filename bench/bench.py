"""bench.py -- what the benches that need a database share: a cluster with fsync on, runs, spreads.

The cluster is the clone's own ("bench"), made new and removed at the end; it is never the demo's."""
import json
import os
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("DIALWRIGHT_BUILD", os.path.join(ROOT, "build", "release"))
PG = [os.path.join(ROOT, "tools", "pg-private"), "--purpose", "bench"]
SECRET = "this secret signs nothing but the bench's own tenants"


class BenchError(Exception):
    """Something that ends the bench; the text is for people."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(arguments, env=None, stdin=None):
    done = subprocess.run(arguments, env=env, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError("%s failed (%d):\n%s%s" % (" ".join(arguments[:4]), done.returncode, done.stdout, done.stderr))
    return done.stdout


class Cluster:
    """The server of one bench."""

    def __init__(self, made=False, keep=False):
        """made: by an earlier run that kept it. keep: not removed at the end, unless that is an error."""
        self.made = made
        self.keep = keep

    def __enter__(self):
        if not self.made:
            run([*PG, "destroy"])
        run([*PG, "start", "--durable"])
        return self

    def __exit__(self, problem, *_):
        if problem or not self.keep:
            run([*PG, "destroy"])

    @staticmethod
    def url(database, role="postgres"):
        return run([*PG, "url", database, role]).strip()

    def sql(self, database, text, *options):
        return run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", *options, self.url(database)], stdin=text).strip()

    def env(self, database):
        """What a command of ours needs to work in that database."""
        return dict(os.environ, DATABASE_URL=self.url(database, "app_login"), DIALWRIGHT_SECRET=SECRET,
                    DIALWRIGHT_MIGRATE_URL=self.url(database))

    def create(self, database):
        run([*PG, "createdb", database])
        run([os.path.join(BUILD, "src", "dialwright"), "migrate"], self.env(database))

    def copy(self, database, template):
        """The same data again, nothing of it dirty, no checkpoint due: what every run begins with."""
        self.sql("postgres", 'DROP DATABASE IF EXISTS "%s" WITH (FORCE); CREATE DATABASE "%s" TEMPLATE "%s"; CHECKPOINT;'
                 % (database, database, template), "-v", "VERBOSITY=terse")

    def pgbench(self, database, script, seconds, connections=1):
        """Transactions a second of so many connections."""
        out = run([os.path.join(server_binaries(), "pgbench"), "-n", "-c", str(connections), "-j", str(connections), "-M", "prepared",
                   "-T", str(seconds), "-f", script, self.url(database)])
        for line in out.splitlines():
            if line.startswith("tps = "):
                return float(line.split()[2])
        raise BenchError("pgbench told no rate:\n" + out)


def server_binaries():
    for version in ("18", "17", "16", "15"):
        path = "/usr/lib/postgresql/%s/bin" % version
        if os.path.exists(os.path.join(path, "initdb")):
            return path
    raise BenchError("no Postgres 15 or newer under /usr/lib/postgresql; run script/setup")


def spread(values):
    return {"min": round(min(values), 2), "median": round(statistics.median(values), 2), "max": round(max(values), 2)}


def show(of, form="%.0f"):
    """A spread for people: median (min to max)."""
    return (form + " (" + form + " to " + form + ")") % (of["median"], of["min"], of["max"])


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as handle:
        names = [line.split(":", 1)[1].strip() for line in handle if line.startswith("model name")]
    return {"cores": os.cpu_count(), "cpu": names[0] if names else "unknown", "load_1m": round(os.getloadavg()[0], 1)}


def describe(box):
    return "%d cores, %s, load %.1f before the bench" % (box["cores"], box["cpu"], box["load_1m"])


def finish(work):
    """Runs main and turns what may go wrong into an exit code."""
    try:
        answer, as_json, printer = work()
    except (BenchError, OSError) as problem:
        say("bench: %s" % problem)
        return 1
    if as_json:
        print(json.dumps(answer))
    else:
        printer(answer)
    return 0
