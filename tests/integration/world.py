"""world.py -- a database, a simulator and daemons, for one story.

A story owns a World. Nothing in it sleeps to wait for something: until() polls with a deadline. All
that was started is ended by the World's end, by its process id. Ports are free ones below the
ephemeral range. The schema is migrated once into a template, and each World copies it.
"""
import atexit
import csv
import datetime
import fcntl
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zoneinfo

import wire

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PG = os.path.join(ROOT, "tools", "pg-private")
CLUSTER = "stories"
BUILD = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(ROOT, "build", "asan")
DAEMON = os.path.join(BUILD, "src", "dialwright")
SIMULATOR = os.path.join(BUILD, "sim", "dialwright-sim")

SECRET = "a secret of the stories, long enough: 0123456789"
KEK = "7e" * 32
AUTH_ID = "MASTORIES0000000000"
AUTH_TOKEN = "token-of-the-stories"
MODEL_KEY = "sk-stories"
OURS = "+61255500001"
AGENT = "+61255500100"
CAMPAIGN = "stories"
DISCLOSURE = "Hello, this is an AI assistant calling for Stories Limited. This call is recorded."
# Zones all around the world: at every moment some are in the middle of their legal day.
ZONES = ["Pacific/Auckland", "Australia/Sydney", "Asia/Tokyo", "Asia/Singapore", "Asia/Dubai", "Africa/Nairobi",
         "Africa/Johannesburg", "Europe/Lisbon", "America/Sao_Paulo", "America/Bogota", "America/Denver",
         "America/Los_Angeles", "Pacific/Honolulu"]


class StoryError(Exception):
    """The world is not as the story needs it."""


def run(arguments, env=None, text=None, cwd=None):
    done = subprocess.run(arguments, env=env, input=text, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StoryError("%s ended with %d:\n%s%s" % (" ".join(arguments[:3]), done.returncode, done.stdout, done.stderr))
    return done.stdout


def until(condition, seconds, what, every=0.05):
    """Polls until condition() is true, and returns what it said."""
    deadline = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > deadline:
            raise StoryError("not within %d s: %s" % (seconds, what() if callable(what) else what))
        time.sleep(every)


def free_port():
    """Below the ephemeral range, so that no outgoing connection takes it meanwhile."""
    for _ in range(200):
        port = random.SystemRandom().randrange(20000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise StoryError("no free port between 20000 and 30000")


def open_zone():
    """A zone where people may be phoned for hours to come."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return min(ZONES, key=lambda name: abs(now.astimezone(zoneinfo.ZoneInfo(name)).hour - 13))


def fresh_environment():
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("DIALWRIGHT_", "PLIVO_", "OPENAI_", "DATABASE_", "PG"))}
    env.setdefault("ASAN_OPTIONS", "handle_segv=0:detect_leaks=1:strict_string_checks=1")
    env.setdefault("LSAN_OPTIONS", "suppressions=%s/tools/lsan.supp:print_suppressions=0" % ROOT)
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    return env


def cluster(purpose=CLUSTER):
    return run([PG, "--purpose", purpose, "start"]).strip()


def database_url(name, role="postgres", purpose=CLUSTER):
    return run([PG, "--purpose", purpose, "url", name, role]).strip()


def schema_stamp():
    digest = hashlib.sha256((SECRET + DAEMON).encode())
    for place in (os.path.join(ROOT, "sql", folder) for folder in ("migrations", "functions")):
        for name in sorted(os.listdir(place)):
            with open(os.path.join(place, name), "rb") as handle:
                digest.update(handle.read())
    digest.update(str(os.stat(DAEMON).st_mtime_ns).encode())
    return digest.hexdigest()[:12]


def template():
    """The migrated database that Worlds copy; made when the migrations have changed."""
    admin = cluster()
    name = "template_" + schema_stamp()
    with open(os.path.join(tempfile.gettempdir(), "dialwright-stories-%d.lock" % os.getuid()), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if run(["psql", "-qAtX", admin, "-c", "SELECT 1 FROM pg_database WHERE datname = '%s'" % name]).strip():
            return name
        run([PG, "--purpose", CLUSTER, "createdb", name + "_new"])
        migrate(database_url(name + "_new"))
        run(["psql", "-qX", admin, "-c", "ALTER DATABASE %s_new RENAME TO %s" % (name, name)])
    return name


def migrate(url):
    env = dict(fresh_environment(), DIALWRIGHT_MIGRATE_URL=url, DIALWRIGHT_SECRET=SECRET, DIALWRIGHT_KEK=KEK)
    run([DAEMON, "migrate"], env)


def ended_badly(log):
    """What a sanitizer has to say in a log."""
    try:
        with open(log, encoding="utf-8", errors="replace") as handle:
            text = handle.read()
    except OSError:
        return ""
    found = re.search(r"(AddressSanitizer|LeakSanitizer|runtime error:|Assertion)", text)
    return text[max(0, found.start() - 200):found.start() + 2500] if found else ""


class Process:
    """A child with its log."""

    def __init__(self, arguments, env, log, stdout=None):
        self.log = log
        self.handle = open(log, "ab")
        self.process = subprocess.Popen(arguments, env=env, stdin=subprocess.DEVNULL, stdout=stdout or self.handle,
                                        stderr=self.handle, start_new_session=True)
        atexit.register(self.kill)

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def kill(self):
        if self.running():
            self.process.kill()
        return self.wait(10)

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def tail(self, lines=25):
        with open(self.log, encoding="utf-8", errors="replace") as handle:
            return "".join(handle.readlines()[-lines:])


class Daemon(Process):
    """`dialwright serve` with settings of its own."""

    def __init__(self, world, name="node-1", **settings):
        self.world = world
        self.name = name
        self.port = free_port()
        self.data = settings.get("DIALWRIGHT_DATA_DIR", os.path.join(world.dir, "data-" + name))
        os.makedirs(self.data, exist_ok=True)
        self.env = dict(world.env, DIALWRIGHT_LISTEN="127.0.0.1:%d" % self.port, DIALWRIGHT_NODE_NAME=name,
                        DIALWRIGHT_PUBLIC_URL="http://127.0.0.1:%d" % self.port, DIALWRIGHT_DATA_DIR=self.data)
        self.env.update(settings)
        self.url = self.env["DIALWRIGHT_PUBLIC_URL"]
        self.start()

    def start(self):
        super().__init__([DAEMON, "serve"], self.env, os.path.join(self.world.dir, "daemon-%s.log" % self.name))

    def ready(self, seconds=30):
        def there():
            if not self.running():
                raise StoryError("the daemon ended with %s:\n%s" % (self.process.returncode, self.tail()))
            return self.status("/readyz") == 200
        until(there, seconds, lambda: "ready:\n" + self.tail())
        return self

    def status(self, path):
        try:
            return wire.get(self.url + path, timeout=5).status
        except OSError:
            return 0

    def metric(self, name, **label):
        """A series' value; without a label the sum of all."""
        text = wire.get(self.url + "/metrics").body.decode()
        total = 0
        for line in text.splitlines():
            match = re.match(r"dialwright_(\w+)(?:\{(.*)\})? (\S+)$", line)
            if match and match.group(1) == name:
                wanted = ",".join('%s="%s"' % pair for pair in label.items())
                if not label or wanted == match.group(2):
                    total += float(match.group(3))
        return total


class World:
    """`people`: {persona: weight} of everybody, or None for the simulator's own mixture; `agents`:
    {accept|decline|no_answer: weight}; `carrier`: a base URL instead of the simulator's."""

    def __init__(self, name, people=None, agents=None, sim=(), carrier=None, own_cluster=False, seed=1):
        self.name = name
        self.dir = tempfile.mkdtemp(prefix="dialwright-story-")
        self.daemons = []
        self.cluster = "story_" + re.sub(r"[^a-z0-9]", "", name)[:10] if own_cluster else CLUSTER
        self.open_database()
        self.truth_path = os.path.join(self.dir, "truth.jsonl")
        self.sim = self.start_simulator(people, agents, list(sim), seed)
        self.limits = json.loads(run([SIMULATOR, "limits"] + list(sim)))
        self.env = self.settings(carrier)
        self.zone = open_zone()
        atexit.register(self.end)

    # --- what there is ----------------------------------------------------------------------------

    def open_database(self):
        if self.cluster != CLUSTER:
            cluster(self.cluster)
            self.url = run([PG, "--purpose", self.cluster, "createdb", "story"]).strip()
            migrate(self.url)
            self.login = database_url("story", "app_login", self.cluster)
            return
        source = template()
        database = "story_%s_%d" % (re.sub(r"[^a-z0-9]", "_", self.name.lower()), os.getpid())
        admin = database_url("postgres")
        run(["psql", "-qX", admin, "-c", "DROP DATABASE IF EXISTS %s WITH (FORCE)" % database,
             "-c", "CREATE DATABASE %s TEMPLATE %s" % (database, source)])
        self.url = database_url(database)
        self.login = database_url(database, "app_login")

    def start_simulator(self, people, agents, more, seed):
        place = os.path.join(self.dir, "people")
        shutil.copytree(os.path.join(ROOT, "sim", "people"), place,
                        ignore=shutil.ignore_patterns("*.c", "*.h", "meson.build"))
        if people:
            with open(os.path.join(place, "fates.json"), "w", encoding="utf-8") as out:
                json.dump({"fates": [{"weight": w, "calls": p.split("+")} for p, w in people.items()]}, out)
        if agents:
            with open(os.path.join(place, "agents.json"), encoding="utf-8") as handle:
                book = json.load(handle)
            book["answers"] = [{"weight": w, "does": a} for a, w in agents.items()]
            with open(os.path.join(place, "agents.json"), "w", encoding="utf-8") as out:
                json.dump(book, out)
        records = os.path.join(self.dir, "carrier")
        os.makedirs(records)
        arguments = [SIMULATOR, "serve", "--listen", "127.0.0.1:%d" % free_port(), "--auth-id", AUTH_ID, "--auth-token",
                     AUTH_TOKEN, "--model-key", MODEL_KEY, "--ground-truth", self.truth_path, "--records", records,
                     "--people", place, "--seed", str(seed)] + more
        process = Process(arguments, fresh_environment(), os.path.join(self.dir, "simulator.log"), subprocess.PIPE)
        line = process.process.stdout.readline().decode()
        if not line:
            raise StoryError("the simulator did not start:\n" + process.tail())
        self.sim_url = json.loads(line)["listening"]
        return process

    def settings(self, carrier):
        host = self.sim_url.split("://", 1)[1]
        hosts = [host] + ([carrier.split("://", 1)[1].split("/")[0]] if carrier else [])
        env = fresh_environment()
        env.update({
            "DIALWRIGHT_MIGRATE_URL": self.url, "DATABASE_URL": self.login, "DIALWRIGHT_SECRET": SECRET,
            "DIALWRIGHT_KEK": KEK, "PLIVO_API_URL": carrier or self.sim_url + "/v1", "PLIVO_AUTH_ID": AUTH_ID,
            "PLIVO_AUTH_TOKEN": AUTH_TOKEN, "OPENAI_API_KEY": MODEL_KEY, "OPENAI_API_URL": self.sim_url + "/v1",
            "OPENAI_REALTIME_URL": "ws://%s/v1/realtime" % host, "DIALWRIGHT_CARRIER_HOSTS_ALLOWED": ",".join(hosts),
            # Short waits that the simulator promises to keep.
            "DIALWRIGHT_CLAIM_INTERVAL_MS": "100", "DIALWRIGHT_RECONCILE_INTERVAL_MS": "500",
            "DIALWRIGHT_PLACE_TIMEOUT_MS": "2000", "DIALWRIGHT_LEASE_MS": "4000", "DIALWRIGHT_RING_TIMEOUT_S": "5",
            "DIALWRIGHT_CARRIER_QUEUE_MS": str(self.limits["queue_delay_max_ms"]),
            "DIALWRIGHT_CDR_LAG_MS": str(self.limits["cdr_lag_ms"] + 1000), "DIALWRIGHT_ABSENCE_SCAN_GAP_MS": "1000",
            "DIALWRIGHT_UNKNOWN_MAX": "100", "DIALWRIGHT_ANALYSIS_DELAY_MS": "1000", "DIALWRIGHT_LOG_LEVEL": "info"})
        return env

    def daemon(self, name="node-1", **settings):
        daemon = Daemon(self, name, **settings)
        self.daemons.append(daemon)
        return daemon

    # --- filling ----------------------------------------------------------------------------------

    def command(self, *arguments, organization=None):
        more = ["--org", organization] if organization else []
        return json.loads(run([DAEMON, *arguments, *more, "--json"], self.env))

    def campaign(self, name=CAMPAIGN, **more):
        fields = {"name": name, "weekdays": [1, 2, 3, 4, 5, 6, 7], "time_start": "00:00", "time_end": "24:00",
                  "lines": 60, "calls_per_second": 15, "max_attempts": 3, "retry_policy": "quick", "numbers": [OURS],
                  "purpose": "informational", "callback_number": OURS, "disclosure": DISCLOSURE,
                  "greeting": "Do you have a minute?", "instructions": "Offer the plan. Be brief.", "language": "en",
                  "ring_timeout_s": 20, "max_duration_s": 75, "silence_timeout_s": 6, "amd": "hangup",
                  "transfer": "agents", "transfer_timeout_s": 8}
        fields.update(more)
        return fields

    def setup(self, campaigns=None, organization="stories", account=None, agents=True, auth=None):
        document = {
            "organization": {"slug": organization, "name": organization, "legal_name": "Stories Ltd",
                             "number_spacing_s": 0, "number_cap_24h": 20, "number_cap_7d": 50},
            "carrier": [dict({"name": "main", "lines": 60, "calls_per_second": 15, "unknown_limit": 100},
                             **(auth or {}), **(account or {}))],
            "numbers": [{"phone": OURS}],
            "agents": [{"name": "Robin", "phone": AGENT, "available": True}] if agents else [],
            "regions": ["AU"],
            "retry_policies": [{"name": "quick", "busy": [1, 2], "no_answer": [1, 2], "voicemail": [1], "failed": [1, 2],
                                "not_placed": [1, 1, 1, 2, 2], "unknown": [1, 2], "rejected": [], "invalid_number": []}],
            "campaigns": campaigns or [self.campaign()]}
        path = os.path.join(self.dir, "setup.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(document, out)
        self.command("setup", path)

    def import_leads(self, count, campaign=CAMPAIGN, first=0, organization=None):
        """Leads with Australian mobile numbers, who live where it is day now."""
        path = os.path.join(self.dir, "leads-%d.csv" % first)
        with open(path, "w", encoding="utf-8", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(["name", "phone", "timezone", "consent_at", "consent_evidence", "consent_level"])
            for i in range(first, first + count):
                rows.writerow(["Lead %d" % i, "+614120%05d" % i, self.zone, "2026-01-05T10:00:00Z", "web form", "written"])
        return self.command("import", "--campaign", campaign, path, organization=organization)

    def start(self, campaign=CAMPAIGN, organization=None):
        self.command("campaign", "start", campaign, organization=organization)

    # --- looking ----------------------------------------------------------------------------------

    def rows(self, query):
        text = run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", self.url, "-c",
                    "SELECT coalesce(json_agg(of_query), '[]') FROM (%s) of_query" % query])
        return json.loads(text)

    def value(self, query):
        return run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", self.url, "-c", query]).strip()

    def number(self, query):
        return int(self.value(query) or 0)

    def state(self):
        return json.loads(wire.get(self.sim_url + "/sim/state").body)

    def truth(self):
        with open(self.truth_path, encoding="utf-8") as handle:
            return [json.loads(line) for line in handle if line.endswith("\n")]

    def dump(self):
        """Every row of every table, as {table: set of texts}, but what the daemon's own clock moves."""
        tables = self.value("SELECT string_agg(format('%I.%I', schemaname, tablename), ' ') FROM pg_tables"
                            " WHERE schemaname IN ('public', 'app', 'engine') AND tablename NOT IN ('nodes', 'workers', 'orphan_sweeps', 'dial_histories')").split()
        union = " UNION ALL ".join("SELECT '%s' AS t, x::text AS r FROM %s x" % (name, name) for name in tables)
        found = {}
        for row in self.rows(union):
            found.setdefault(row["t"], []).append(row["r"])
        return {name: sorted(rows) for name, rows in found.items()}

    def calm_dump(self, seconds=20):
        """A dump that did not change while it was looked at twice."""
        last = [self.dump()]

        def calm():
            before, last[0] = last[0], self.dump()
            return before == last[0]
        until(calm, seconds, "the tables come to rest")
        return last[0]

    def settled_but(self, calls):
        """Nothing is on its way but this many calls."""
        return self.number("SELECT count(*) FROM call_logs WHERE status NOT IN ('ended', 'not_placed')") == calls and self.number(
            "SELECT (SELECT count(*) FROM analysis_jobs WHERE status NOT IN ('done', 'too_short', 'failed'))"
            " + (SELECT count(*) FROM campaign_deltas)") == 0

    def settled(self):
        return self.number(
            "SELECT (SELECT count(*) FROM call_logs WHERE status NOT IN ('ended', 'not_placed'))"
            " + (SELECT count(*) FROM call_queue WHERE status NOT IN ('completed', 'failed')"
            "    AND (status <> 'queued' OR next_retry_at < now() + interval '20 seconds'))"
            " + (SELECT count(*) FROM analysis_jobs WHERE status NOT IN ('done', 'too_short', 'failed'))"
            " + (SELECT count(*) FROM campaign_deltas)") == 0 and all(d.metric("calls_live") == 0 for d in self.daemons)

    def progress(self):
        return "calls %s, queue %s, analyses %s\n%s" % (
            self.value("SELECT json_object_agg(status, n) FROM (SELECT status, count(*) n FROM call_logs GROUP BY 1) x"),
            self.value("SELECT json_object_agg(k, n) FROM (SELECT status || coalesce(':' || last_error, '') k, count(*) n"
                       " FROM call_queue GROUP BY 1) x"),
            self.value("SELECT json_object_agg(status, n) FROM (SELECT status, count(*) n FROM analysis_jobs GROUP BY 1) x"),
            "".join(d.tail(12) for d in self.daemons))

    def wait_settled(self, seconds):
        def there():
            for daemon in self.daemons:
                if not daemon.running():
                    raise StoryError("the daemon ended with %s:\n%s" % (daemon.process.returncode, daemon.tail()))
            return self.settled()
        until(there, seconds, self.progress)

    def check_ground_truth(self, t, data=None, but=()):
        """The project's own comparison of the ledger with what the carrier says it did."""
        text = run(["/usr/bin/python3", os.path.join(ROOT, "tools", "check_ground_truth.py"), "--database-url", self.url,
                    "--ground-truth", self.truth_path, "--data-dir", data or self.daemons[0].data])
        for check in json.loads(text):
            if check["name"] not in but:
                t.ok(check["ok"], check["name"], check["detail"])

    def check_dials(self, t):
        """Ours, from the carrier's record alone: accepted calls and their rows, one to one."""
        dials = {e["call_uuid"]: e for e in self.truth() if e["event"] == "accepted" and e["leg"] == "lead"}
        rows = self.rows("SELECT id, call_sid, status, callee_number FROM call_logs WHERE direction = 'outbound'")
        of = {}
        for row in rows:
            of.setdefault(row["call_sid"], []).append(row)
        t.none(["%s to %s: %s" % (u, e["to"], of.get(u)) for u, e in dials.items()
                if [(r["status"], r["callee_number"]) for r in of.get(u, [])] != [("ended", e["to"])]],
               "each dial is one ended call to that number (%d dials)" % len(dials))
        t.none([r for r in rows if r["status"] == "ended" and r["call_sid"] not in dials], "each ended call was dialed")
        t.none([r for r in rows if r["status"] not in ("ended", "not_placed")], "no attempt is lost or open")

    def check_processes(self, t):
        """Still running, and no sanitizer has spoken."""
        for daemon in self.daemons:
            t.ok(daemon.running(), "%s is up" % daemon.name, "ended with %s\n%s" % (daemon.process.returncode, daemon.tail()))
        self.check_logs(t)

    def check_logs(self, t):
        logs = [os.path.join(self.dir, n) for n in sorted(os.listdir(self.dir)) if n.endswith(".log")]
        t.none([n + ": " + bad for n, bad in ((n, ended_badly(n)) for n in logs) if bad], "no sanitizer has spoken")

    def stop_daemons(self, t, seconds=30):
        for daemon in self.daemons:
            daemon.signal(signal.SIGTERM)
        for daemon in self.daemons:
            t.same(daemon.wait(seconds), 0, "%s ends with 0 at SIGTERM" % daemon.name)
        self.check_logs(t)

    # --- end --------------------------------------------------------------------------------------

    def end(self):
        for process in self.daemons + [self.sim]:
            process.kill()
        if self.cluster != CLUSTER:
            subprocess.run([PG, "--purpose", self.cluster, "destroy"], capture_output=True, check=False)
        else:
            name = re.search(r"@/([^?]+)", self.url).group(1)
            subprocess.run(["psql", "-qX", database_url("postgres"), "-c", "DROP DATABASE IF EXISTS %s WITH (FORCE)" % name],
                           capture_output=True, check=False)
        if os.environ.get("DIALWRIGHT_KEEP_STORIES"):
            print("# kept: %s" % self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            for daemon in self.daemons:
                print("# --- %s" % daemon.name)
                print("# " + daemon.tail(30).replace("\n", "\n# "))
        atexit.unregister(self.end)
        self.end()
        return False
