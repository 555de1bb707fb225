"""place.py -- where a storm happens: a Postgres whose disk can be filled, a data directory likewise, two daemons
whose clocks can be stepped, two organizations with two campaigns each.

What needs a privilege that is missing is named in `skipped` with the reason, and left out.
"""
import atexit
import glob
import json
import os
import pwd
import shutil
import signal
import struct
import subprocess
import time

import world

PG_DISK = "640m"
DATA_DISK = "24m"
NODES = ("node-1", "node-2")
ORGANIZATIONS = {"stories": "+61255500001", "others": "+61255500002"}
CAMPAIGNS = {"stories": ("first", "second"), "others": ("third", "fourth")}
# Short waits; the horizon is their sum: place timeout, carrier queue, ring timeout, CDR lag.
CDR_LAG_MS = 2000
SETTINGS = {"DIALWRIGHT_LEASE_MS": "3000", "DIALWRIGHT_CDR_LAG_MS": str(CDR_LAG_MS + 500), "DIALWRIGHT_RECONCILE_INTERVAL_MS": "500",
            "DIALWRIGHT_ABSENCE_SCAN_GAP_MS": "1000", "DIALWRIGHT_CALLS_MAX": "40"}
# Calls are short, so that many begin: what matters here is how they begin and end.
PEOPLE = {"busy": 4, "rejected": 1, "no_answer+busy": 3, "hangs_up_in_greeting": 6, "busy+not_interested": 2, "not_interested": 3,
          "opts_out": 2, "curious": 1, "voicemail": 1, "unreachable": 1, "wants_human": 1}
SIM = ["--faults", "hostile", "--no-answer", "2000", "--cdr-lag", str(CDR_LAG_MS), "--cps", "40"]
RETRY = {"busy": [6, 900], "no_answer": [6, 900], "voicemail": [900], "failed": [6, 900], "not_placed": [1, 1, 2, 900],
         "unknown": [900], "rejected": [], "invalid_number": []}
SPACING_S = 5


def horizon_s(env):
    return (int(env["DIALWRIGHT_PLACE_TIMEOUT_MS"]) + int(env["DIALWRIGHT_CARRIER_QUEUE_MS"]) + int(env["DIALWRIGHT_CDR_LAG_MS"])) / 1000 \
        + int(env["DIALWRIGHT_RING_TIMEOUT_S"])


class Disk:
    """A small disk of its own, or (mounted False) just the directory that stands there."""

    def __init__(self, path, size, owner=None):
        self.path = path
        os.makedirs(path, mode=0o700, exist_ok=True)
        options = "size=%s,mode=700%s" % (size, ",uid=%d,gid=%d" % (owner.pw_uid, owner.pw_gid) if owner else "")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "dialwright-chaos", path], capture_output=True, text=True, check=False)
        self.mounted = done.returncode == 0
        self.why = done.stderr.strip()
        self.ballast = os.path.join(path, "ballast")

    def fill(self, leave):
        """Leaves so many bytes free."""
        free = os.statvfs(self.path)
        size = free.f_bavail * free.f_frsize - leave
        if size > 0:
            with open(self.ballast, "wb") as out:
                os.posix_fallocate(out.fileno(), 0, size)

    def empty(self):
        if os.path.exists(self.ballast):
            os.unlink(self.ballast)

    def gone(self):
        if self.mounted:
            world.until(lambda: subprocess.run(["umount", self.path], capture_output=True, check=False).returncode == 0, 5,
                        "nobody to use " + self.path)
            self.mounted = False


class Node(world.Process):
    """`dialwright serve`, with a wall clock that can be moved."""

    def __init__(self, place, name):
        self.place = place
        self.name = name
        self.stopped = False
        self.wanted = True  # False: we have killed it, and it is not to be missed
        self.port = world.free_port()
        self.url = "http://127.0.0.1:%d" % self.port
        self.data = place.data.path
        self.clock = os.path.join(place.dir, "clock-" + name)
        self.step(0)
        self.env = dict(place.env, DIALWRIGHT_LISTEN="127.0.0.1:%d" % self.port, DIALWRIGHT_NODE_NAME=name,
                        DIALWRIGHT_PUBLIC_URL=self.url, DIALWRIGHT_DATA_DIR=self.data, **SETTINGS)
        if place.clock_library:
            self.env.update(LD_PRELOAD=place.clock_library, CLOCK_STEP_FILE=self.clock)
            self.env["ASAN_OPTIONS"] = self.env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.start()

    def start(self):
        self.wanted, self.stopped = True, False
        super().__init__([world.DAEMON, "serve"], self.env, os.path.join(self.place.dir, "daemon-%s.log" % self.name))

    def step(self, seconds):
        with open(self.clock, "r+b" if os.path.exists(self.clock) else "wb") as out:
            out.write(struct.pack("q", int(seconds * 1000000)))

    status = world.Daemon.status
    metric = world.Daemon.metric


class Place(world.World):
    def __init__(self, seed, directory):
        self.skipped = {}
        self.noted = os.path.join(directory, "storm.jsonl")
        self.pg_disk = self.data = None
        atexit.register(self.give_back_disks)
        super().__init__("c%d" % os.getpid(), people=PEOPLE, agents={"accept": 2, "decline": 1}, sim=SIM, own_cluster=True, seed=seed)
        self.data = Disk(os.path.join(self.dir, "data"), DATA_DISK)
        if not self.data.mounted:
            self.skipped["disk full under the daemons"] = "no tmpfs: " + self.data.why
        self.clock_library = self.build_clock()
        self.nodes = [Node(self, name) for name in NODES]
        self.daemons = self.nodes
        self.people = 0

    def build_clock(self):
        """Outside the build: it may bring no sanitizer of its own into the daemon."""
        out = os.path.join(self.dir, "libclock_step.so")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clock_step.c")
        done = subprocess.run(["cc", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-o", out, source], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.skipped["clock steps"] = "clock_step.c does not build: " + done.stderr[:200]
            return None
        return out

    # --- Postgres ---------------------------------------------------------------------------------

    def open_database(self):
        self.pg_dir = world.run([world.PG, "--purpose", self.cluster, "dir"]).strip()
        owner = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        self.pg_disk = Disk(self.pg_dir, PG_DISK, owner)
        if not self.pg_disk.mounted:
            self.skipped["disk full under Postgres"] = "no tmpfs: " + self.pg_disk.why
            shutil.rmtree(self.pg_dir, ignore_errors=True)
        super().open_database()
        self.postgres("-m", "fast", "-w", "stop")
        self.start_postgres()

    def postgres(self, *arguments, check=True):
        binary = [p for v in (18, 17, 16, 15) for p in ["/usr/lib/postgresql/%d/bin/pg_ctl" % v] if os.access(p, os.X_OK)][0]
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        done = subprocess.run(user + ["env", "-C", "/", binary, "-D", self.pg_dir + "/data", *arguments], capture_output=True,
                              text=True, check=False)
        if check and done.returncode != 0:
            raise world.StoryError("pg_ctl %s: %s%s" % (arguments, done.stdout, done.stderr))
        return done.returncode == 0

    def start_postgres(self):
        """False when it would not come up (its disk may be full)."""
        return self.postgres("-w", "-t", "20", "-l", self.pg_dir + "/server.log", "-o",
                             "-c max_wal_size=96MB -c min_wal_size=32MB -c checkpoint_timeout=30s", "start", check=False)

    def postgres_pids(self):
        try:
            with open(self.pg_dir + "/data/postmaster.pid", encoding="utf-8") as handle:
                first = int(handle.readline())
        except (OSError, ValueError):
            return []
        children = []
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path, encoding="utf-8") as handle:
                    after = handle.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(after[1]) == first:
                children.append(int(path.split("/")[2]))
        return [first] + children

    def kill_postgres(self):
        pids = self.postgres_pids()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        world.until(lambda: not any(os.path.exists("/proc/%d" % p) and not is_zombie(p) for p in pids), 10, "Postgres is dead")
        return len(pids)

    # --- filling ----------------------------------------------------------------------------------

    def fill(self):
        for slug, number in ORGANIZATIONS.items():
            document = {
                "organization": {"slug": slug, "name": slug, "legal_name": "Stories Ltd", "number_spacing_s": SPACING_S,
                                 "number_cap_24h": 3, "number_cap_7d": 6},
                "carrier": [{"name": "main", "lines": 24, "calls_per_second": 8, "unknown_limit": 100}],
                "numbers": [{"phone": number}], "regions": ["AU"],
                "agents": [{"name": "Robin", "phone": world.AGENT, "available": True}] if slug == "stories" else [],
                "retry_policies": [dict({"name": "quick"}, **RETRY)],
                "campaigns": [self.campaign(name, numbers=[number], callback_number=number, lines=14, calls_per_second=5,
                                            max_duration_s=30, max_attempts=3, transfer="agents" if slug == "stories" else "off")
                              for name in CAMPAIGNS[slug]]}
            path = os.path.join(self.dir, "setup-%s.json" % slug)
            with open(path, "w", encoding="utf-8") as out:
                json.dump(document, out)
            self.command("setup", path)
        self.campaign_id = {r["name"]: r["id"] for r in self.rows("SELECT id, name FROM campaigns")}
        for slug, names in CAMPAIGNS.items():
            for name in names:
                self.bring(slug, name, 6)
                self.start(name, slug)

    def bring(self, slug, campaign, count):
        """The two campaigns of an organization share half of their people."""
        first = self.people - count // 2 if campaign in ("second", "fourth") else self.people
        self.import_leads(count, campaign=campaign, first=max(0, first), organization=slug)
        self.people = max(0, first) + count

    def note(self, event, **more):
        """For the checker: something that only this side has witnessed."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + ".%06dZ" % (time.time() % 1 * 1000000)
        with open(self.noted, "a", encoding="utf-8") as out:
            out.write(json.dumps(dict({"at": at, "event": event}, **more)) + "\n")

    # --- end --------------------------------------------------------------------------------------

    def give_back_disks(self):
        if self.pg_disk and self.pg_disk.mounted:
            self.postgres("-m", "immediate", "-w", "stop", check=False)
            self.pg_disk.gone()
        if self.data:
            self.data.gone()

    def end(self):
        for node in self.daemons:
            node.signal(signal.SIGCONT)
        for process in self.daemons + [self.sim]:
            process.kill()
        self.give_back_disks()
        super().end()


def is_zombie(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as handle:
            return handle.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
