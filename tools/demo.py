#!/usr/bin/python3
"""demo.py -- runs the demonstration; started by script/demo, which says what it does.

Order: cluster, schema, simulator, list of people, set-up file, import, daemon, start, wait, report, checks.
Everything it starts is written down in var/demo/*.pid and ended again, also after a crash of its own.
"""
import argparse
import csv
import datetime
import fcntl
import io
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEMO = os.path.join(ROOT, "var", "demo")
PG = os.path.join(ROOT, "tools", "pg-private")
BUILD = os.environ.get("DIALWRIGHT_BUILD", os.path.join(ROOT, "build", "release"))
CAMPAIGN = "Autumn call"
OUR_NUMBERS = ["+12025550100", "+12025550101", "+12025550102", "+12025550103"]
INDIAN_NUMBER = "+911400000001"  # marketing calls to India must come from the series 140
LOGIN = "dialwright_demo"  # on a server that is not ours: app_login may be in use there
AGENTS = [("Robin", "+12025550190"), ("Alex", "+12025550191"), ("Sam", "+12025550192")]
SOON_S = 20  # a lead that is due later than this is waiting, not in work


class DemoError(Exception):
    """Something that ends the demonstration; the text is for people."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def path(*names):
    return os.path.join(DEMO, *names)


def write(name, text, mode=0o644):
    with open(os.open(path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as out:
        out.write(text)


def tail(name, lines=15):
    try:
        with open(path(name), encoding="utf-8", errors="replace") as handle:
            return "".join(handle.readlines()[-lines:])
    except OSError:
        return ""


# Processes: a pid file holds the pid and when that process began, so that no stranger is ever killed.
def started_at(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as handle:
            return handle.read().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None


def start_process(name, arguments, env, out=None):
    log = open(path(name + ".log"), "w", encoding="utf-8")
    process = subprocess.Popen(arguments, env=env, stdin=subprocess.DEVNULL, stdout=out or log, stderr=log,
                               cwd=DEMO, start_new_session=True)
    write(name + ".pid", "%d %s\n" % (process.pid, started_at(process.pid)))
    return process


def end_process(name, patience_s=20):
    """Ends what a pid file names; True when it was running. Returns once it is gone."""
    try:
        with open(path(name + ".pid"), encoding="utf-8") as handle:
            pid, began = handle.read().split()
    except (OSError, ValueError):
        return False
    pid = int(pid)
    running = started_at(pid) == began
    for number, patience in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5)):
        deadline = time.monotonic() + patience
        if started_at(pid) != began:
            break
        os.kill(pid, number)
        while started_at(pid) == began and time.monotonic() < deadline:
            reap(pid)
            time.sleep(0.05)
    os.unlink(path(name + ".pid"))
    return running


def reap(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def run(arguments, env=None, stdin=None):
    done = subprocess.run(arguments, env=env, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        # Only the first words: a URL among the others may hold a password.
        raise DemoError("%s failed (%d):\n%s%s" % (" ".join(arguments[:2]), done.returncode, done.stdout, done.stderr))
    return done.stdout


def free_port():
    """A port below the ephemeral range, so that no outgoing connection takes it meanwhile."""
    for _ in range(200):
        port = 20000 + secrets.randbelow(10000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise DemoError("no free port between 20000 and 30000")


class Demo:
    """One run."""

    def __init__(self, options):
        self.options = options
        self.binary = os.path.join(BUILD, "src", "dialwright")
        self.simulator = os.path.join(BUILD, "sim", "dialwright-sim")
        self.env = dict(os.environ)
        self.began = None
        self.daemon = None
        self.sim = None
        self.own_cluster = not os.environ.get("DATABASE_URL")

    def command(self, *arguments):
        return json.loads(run([self.binary, *arguments, "--json"], self.env))

    # Database.
    def open_database(self):
        if self.own_cluster:
            say("== database")
            run([PG, "--purpose", "demo", "start"])
            admin = run([PG, "--purpose", "demo", "createdb", "dialwright_demo"]).strip()
            login = run([PG, "--purpose", "demo", "url", "dialwright_demo", "app_login"]).strip()
        else:
            admin = os.environ["DATABASE_URL"]
            if not admin.startswith(("postgresql://", "postgres://")):
                raise DemoError("DATABASE_URL wants the form postgresql://user@host/database")
            self.refuse_unless_empty(admin)
            login = None
        write("database_url", admin + "\n", 0o600)
        self.env["DIALWRIGHT_MIGRATE_URL"] = admin
        self.env["DATABASE_URL"] = login or admin
        self.command("migrate")
        if login is None:
            self.env["DATABASE_URL"] = self.make_login(admin)

    @staticmethod
    def refuse_unless_empty(url):
        tables = run(["psql", "-qAtX", url, "-c", "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = "
                      "c.relnamespace WHERE c.relkind IN ('r','p') AND n.nspname NOT IN ('pg_catalog','information_schema')"])
        if tables.strip() != "0":
            raise DemoError("DATABASE_URL names a database with %s tables in it; the demo wants an empty one" % tables.strip())

    @staticmethod
    def make_login(admin):
        """The same server, as a role that has what app_login has; drop_login() takes it away."""
        password = secrets.token_hex(16)
        write("login_role", LOGIN + "\n")
        run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-v", "password=" + password, "-v", "login=" + LOGIN, admin],
            stdin="""SET client_min_messages = warning;
                     DROP ROLE IF EXISTS :"login";
                     CREATE ROLE :"login" LOGIN NOINHERIT PASSWORD :'password' IN ROLE app_worker, authenticated, anon;
                     """)
        url = urllib.parse.urlsplit(admin)
        host = url.netloc.rsplit("@", 1)[-1]
        query = "&".join(pair for pair in url.query.split("&") if pair.split("=")[0] not in ("user", "password"))
        return urllib.parse.urlunsplit(url._replace(netloc="%s:%s@%s" % (LOGIN, password, host), query=query))

    # The other side.
    def start_simulator(self):
        say("== simulated carrier and model")
        arguments = [self.simulator, "serve", "--listen", "127.0.0.1:%d" % free_port(), "--seed", str(self.options.seed),
                     "--auth-id", self.env["PLIVO_AUTH_ID"], "--auth-token", self.env["PLIVO_AUTH_TOKEN"],
                     "--model-key", self.env["OPENAI_API_KEY"], "--ground-truth", path("ground_truth.jsonl"),
                     "--records", path("carrier_recordings")]
        if self.options.faults:
            arguments += ["--faults", "demo"]
        self.sim = start_process("simulator", arguments, self.env, subprocess.PIPE)
        line = self.sim.stdout.readline().decode()
        if not line:
            raise DemoError("the simulator did not start:\n" + tail("simulator.log"))
        url = json.loads(line)["listening"]
        host = url.split("://", 1)[1]
        self.env.update({
            "PLIVO_API_URL": url + "/v1", "OPENAI_API_URL": url + "/v1",
            "OPENAI_REALTIME_URL": "ws://%s/v1/realtime" % host, "DIALWRIGHT_CARRIER_HOSTS_ALLOWED": host})

    def settings(self):
        """Short waits that the simulator promises to keep; secrets of this run alone."""
        limits = json.loads(run([self.simulator, "limits"]))
        port = free_port()
        ring_s = max(5, -(-(limits["ring_delay_max_ms"] + limits["no_answer_after_ms"]) // 1000) + 1)
        self.env.update({
            "DIALWRIGHT_SECRET": secrets.token_hex(32), "DIALWRIGHT_KEK": secrets.token_hex(32),
            "PLIVO_AUTH_ID": "MASIMULATEDACCOUNT00", "PLIVO_AUTH_TOKEN": secrets.token_hex(20),
            "OPENAI_API_KEY": "sk-" + secrets.token_hex(20),
            "DIALWRIGHT_LISTEN": "127.0.0.1:%d" % port, "DIALWRIGHT_PUBLIC_URL": "http://127.0.0.1:%d" % port,
            "DIALWRIGHT_DATA_DIR": path("data"),
            "DIALWRIGHT_CLAIM_INTERVAL_MS": "200", "DIALWRIGHT_PLACE_TIMEOUT_MS": "3000",
            "DIALWRIGHT_RING_TIMEOUT_S": str(ring_s), "DIALWRIGHT_LEASE_MS": "10000",
            "DIALWRIGHT_CARRIER_QUEUE_MS": str(limits["queue_delay_max_ms"]),
            "DIALWRIGHT_CDR_LAG_MS": str(limits["cdr_lag_ms"] + 1000),
            "DIALWRIGHT_ABSENCE_SCAN_GAP_MS": "2000", "DIALWRIGHT_RECONCILE_INTERVAL_MS": "1000",
            "DIALWRIGHT_ANALYSIS_DELAY_MS": "2000", "DIALWRIGHT_UNKNOWN_MAX": "100"})
        os.makedirs(path("data"), exist_ok=True)
        os.makedirs(path("carrier_recordings"), exist_ok=True)

    # The campaign.
    def setup_file(self):
        countries = json.loads(run([self.simulator, "countries"]))
        return {
            "organization": {"slug": "northwind", "name": "Northwind", "legal_name": "Northwind Telecom Ltd",
                             "timezone": "UTC", "number_spacing_s": 1},
            "carrier": [{"name": "simulated", "lines": 60, "calls_per_second": 15, "unknown_limit": 100}],
            "numbers": [{"phone": number} for number in OUR_NUMBERS + [INDIAN_NUMBER]],
            "agents": [{"name": name, "phone": number, "available": True} for name, number in AGENTS],
            "regions": countries,
            "retry_policies": [{"name": "quick", "busy": [3, 6], "no_answer": [3, 6], "voicemail": [4], "failed": [3, 6],
                                "not_placed": [1, 3, 6, 12], "unknown": [5]}],
            "campaigns": [{
                "name": CAMPAIGN, "numbers": OUR_NUMBERS + [INDIAN_NUMBER], "callback_number": OUR_NUMBERS[0],
                "time_start": "00:00", "time_end": "24:00", "weekdays": [1, 2, 3, 4, 5, 6, 7],
                "disclosure": "Hello, this is an AI assistant calling for Northwind. This call is recorded. "
                              "Say stop at any time and we will not call again.",
                "greeting": "Is this a good time to talk for a minute?",
                "farewell": "Thank you for your time. Goodbye.",
                "instructions": "You call for Northwind, which answers phone calls for small teams. Find out whether "
                                "the person could use that, what they would spend and by when. Be brief and kind. "
                                "Hand over to a colleague when they ask for a person.",
                "variables": ["company", "interest"], "language": "en", "lines": 60, "calls_per_second": 15,
                "max_attempts": 3, "retry_policy": "quick", "ring_timeout_s": 20, "max_duration_s": 75,
                "silence_timeout_s": 6, "amd": "hangup", "purpose": "marketing", "transfer": "agents",
                "transfer_timeout_s": 10,
                "transfer_apology": "I am sorry, nobody is free right now. A colleague will call you back."}],
        }

    def fill(self):
        say("== people, set-up, import")
        people = run([self.simulator, "people", "--count", str(self.options.leads), "--seed", str(self.options.seed)])
        write("leads.csv", people)
        write("setup.json", json.dumps(self.setup_file(), indent=1) + "\n")
        self.command("setup", path("setup.json"))
        self.imported = self.command("import", "--campaign", CAMPAIGN, "--consent-level", "written",
                                     "--rejects", path("rejects.csv"), path("leads.csv"))
        say("   %(rows)d rows: %(added)d leads, %(rejected)d rejected" % self.imported)
        self.registries(people)

    def registries(self, people):
        """What a team must bring before it may dial: who still has which number, and who does not want to be called."""
        numbers = sorted({row["phone"] for row in csv.DictReader(io.StringIO(people)) if re.fullmatch(r"\+[0-9]{8,15}", row["phone"])})
        lists = {"reassigned": ("us-reassigned", ["%s,no" % n for n in numbers if n.startswith("+1")]),
                 "do_not_call": ("gb-tps", ["+442079460999"]),
                 "preferences": ("in-preferences", ["%s,," % n for n in numbers if n.startswith("+91")])}
        today = time.strftime("%Y-%m-%d", time.gmtime())
        for kind, (code, rows) in lists.items():
            write(code + ".csv", "phone\n" + "".join(row + "\n" for row in rows))
            self.command("dnc", "import", "--kind", kind, "--list", code, "--as-of", today, path(code + ".csv"))

    def start_daemon(self):
        say("== daemon")
        self.daemon = start_process("daemon", [self.binary, "serve"], self.env)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever http_proxy says
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.daemon.poll() is not None:
                raise DemoError("the daemon ended at once:\n" + tail("daemon.log"))
            try:
                with direct.open(self.env["DIALWRIGHT_PUBLIC_URL"] + "/readyz", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise DemoError("the daemon was not ready within 30 s:\n" + tail("daemon.log"))

    @staticmethod
    def settled(status):
        if status["processing"] or status["live"] or status["analysis_open"] or status["due"]:
            return False
        if status["queued"] and status["next_due"]:
            due = datetime.datetime.fromisoformat(status["next_due"])
            return (due - datetime.datetime.now(datetime.timezone.utc)).total_seconds() > SOON_S
        return True

    def show_progress(self, status, last):
        seconds = time.monotonic() - self.began
        done = status["completed"] + status["failed"]
        bar = "#" * (30 * done // max(1, status["leads"]))
        line = "%4ds [%-30s] %d of %d leads final, %d live, %d waiting, %d calls, %d answered, %d handed over" % (
            seconds, bar, done, status["leads"], status["live"], status["queued"], status["total_calls"],
            status["answered_calls"], status["transferred_calls"])
        if sys.stderr.isatty():
            print("\r" + line, end="", file=sys.stderr, flush=True)
        elif seconds - last >= 10:
            say(line)
            return seconds
        return last

    def wait(self):
        say("== campaign")
        self.began = time.monotonic()
        self.command("campaign", "start", CAMPAIGN)
        limit = 240 + self.options.leads * (3 if self.options.faults else 1.5)
        last, calm = -10, 0
        while time.monotonic() - self.began < limit:
            if self.daemon.poll() is not None:
                raise DemoError("the daemon died with %d:\n%s" % (self.daemon.returncode, tail("daemon.log")))
            if self.sim.poll() is not None:
                raise DemoError("the simulator died with %d:\n%s" % (self.sim.returncode, tail("simulator.log")))
            status = self.command("campaign", "status", CAMPAIGN)
            last = self.show_progress(status, last)
            # Twice in a row: between two calls of one lead there may be a moment without either.
            calm = calm + 1 if self.settled(status) else 0
            if calm == 3:
                break
            time.sleep(0.7)
        if sys.stderr.isatty():
            say("")
        self.seconds = time.monotonic() - self.began

    def report(self):
        report = self.command("campaign", "report", "--calls", "10", CAMPAIGN)
        checked = run([sys.executable, os.path.join(ROOT, "tools", "check_ground_truth.py"), "--database-url",
                       self.env["DIALWRIGHT_MIGRATE_URL"], "--ground-truth", path("ground_truth.jsonl"), "--leads",
                       path("leads.csv"), "--data-dir", path("data"), "--serving"])
        checks = json.loads(checked)
        answer = {"leads": self.options.leads, "rejects": self.imported["rejected"], "outcomes": report["outcomes"],
                  "funnel": report["funnel"], "waiting": report["waiting"], "calls": report["calls"],
                  "tasks": report["tasks"], "recordings": report["recordings"], "checks": checks,
                  "seconds": round(self.seconds, 1)}
        answer["recordings"]["directory"] = path("data", "recordings")
        write("report.json", json.dumps(answer, indent=1) + "\n")
        if self.options.json:
            print(json.dumps(answer))
        else:
            print(run([self.binary, "campaign", "report", CAMPAIGN], self.env))
            print("Recordings are in %s\n\nChecks against the carrier's own record" % path("data", "recordings"))
            for check in checks:
                print("  %-6s %-46s %s" % ("ok" if check["ok"] else "FAILED", check["name"], check["detail"]))
            print("\n%d leads in %.0f s" % (self.options.leads, self.seconds))
        return all(check["ok"] for check in checks)

    def play(self):
        for name in (self.binary, self.simulator):
            if not os.access(name, os.X_OK):
                raise DemoError("%s was not built" % name)
        self.settings()
        self.open_database()
        self.start_simulator()
        write("env", "".join("export %s='%s'\n" % (k, v) for k, v in sorted(self.env.items())
                             if k.startswith(("DIALWRIGHT_", "PLIVO_", "OPENAI_", "DATABASE_URL"))), 0o600)
        self.fill()
        self.start_daemon()
        self.wait()
        return self.report()


def drop_login():
    """Takes away the role of a run on somebody's server. No database any more: nothing to take away."""
    try:
        with open(path("database_url"), encoding="utf-8") as handle:
            admin = handle.read().strip()
        os.unlink(path("login_role"))
    except OSError:
        return
    subprocess.run(["psql", "-qX", admin, "-c", "DROP ROLE IF EXISTS " + LOGIN], check=False, capture_output=True)


def stop(keep_cluster=False, patience_s=20):
    ended = [name for name in ("daemon", "simulator") if end_process(name, patience_s)]
    drop_login()
    if not keep_cluster and os.path.isdir(DEMO):
        subprocess.run([PG, "--purpose", "demo", "stop"], check=False, capture_output=True)
    return ended


def parse(arguments):
    parser = argparse.ArgumentParser(prog="script/demo", description="A campaign against a simulated carrier and model.")
    parser.add_argument("--leads", type=int, default=200, metavar="N", help="rows of the list (200)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="people and personas (1)")
    parser.add_argument("--faults", action="store_true", help="the other side misbehaves")
    parser.add_argument("--keep", action="store_true", help="leave everything running until --stop")
    parser.add_argument("--stop", action="store_true", help="end what --keep left running")
    parser.add_argument("--json", action="store_true", help="print the report as one object")
    options = parser.parse_args(arguments)
    if not 1 <= options.leads <= 10000:
        parser.error("--leads wants 1 to 10000")
    return options


def take_turn():
    """One run at a time in one clone; held until this process ends."""
    lock = open(path("lock"), "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DemoError("another script/demo is running in this clone") from error
    return lock


def clear():
    """Ends and removes what the run before left."""
    stop(keep_cluster=True)
    for name in ("ground_truth.jsonl", "database_url", "report.json"):
        if os.path.exists(path(name)):
            os.unlink(path(name))
    for name in ("data", "carrier_recordings"):
        if os.path.isdir(path(name)):
            shutil.rmtree(path(name))


def perform(options):
    """Plays it; whatever ends the run, what was started is ended too, or said to be still there."""
    # These signals end the run the way an error does. One that was ignored (nohup) stays ignored.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    patience_s = 2  # cut short, there is no use in waiting for calls to end
    try:
        good = Demo(options).play()
        patience_s = 20
    finally:
        if options.keep:
            say("Still running; script/demo --stop ends it. Database: %s" % path("database_url"))
        else:
            stop(patience_s=patience_s)
    return 0 if good else 1


def main(arguments):
    options = parse(arguments)
    try:
        if options.stop:
            stop()
            return 0
        os.makedirs(DEMO, exist_ok=True)
        turn = take_turn()
        clear()
        code = perform(options)
        turn.close()
        return code
    except PermissionError as error:
        say("demo: %s; did another user run it in this clone?" % error)
        return 1
    except (DemoError, OSError) as error:
        say("demo: %s" % error)
        return 1
    except KeyboardInterrupt:
        say("demo: interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
