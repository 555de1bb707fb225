"""patroni.py -- the pair as packaging/patroni has it: two servers that Patroni rules, one etcd, on ports of this machine.

The shipped patroni.yml is used as it is; addresses, directories and passwords come from the environment, as on a real
host. A fail-over is the loss of a host: Patroni and its Postgres are killed together, and the vote decides.
"""
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request

import pair as pairs
import world

PASSWORD = "of-the-failover-test"


class Node:
    def __init__(self, pair, name):
        self.pair = pair
        self.name = name
        self.data = os.path.join(pair.dir, name)
        self.port = world.free_port()
        self.rest = world.free_port()
        self.process = None

    def env(self):
        return {"PATRONI_NAME": self.name, "PATRONI_RESTAPI_LISTEN": "127.0.0.1:%d" % self.rest,
                "PATRONI_RESTAPI_CONNECT_ADDRESS": "127.0.0.1:%d" % self.rest,
                "PATRONI_POSTGRESQL_LISTEN": "127.0.0.1:%d" % self.port,
                "PATRONI_POSTGRESQL_CONNECT_ADDRESS": "127.0.0.1:%d" % self.port, "PATRONI_POSTGRESQL_DATA_DIR": self.data,
                "PATRONI_POSTGRESQL_BIN_DIR": self.pair.bin, "PATRONI_POSTGRESQL_PGPASS": os.path.join(self.pair.dir, self.name + ".pgpass"),
                "PATRONI_ETCD3_HOSTS": "127.0.0.1:%d" % self.pair.etcd_port, "PATRONI_SUPERUSER_PASSWORD": PASSWORD,
                "PATRONI_REPLICATION_PASSWORD": PASSWORD, "PATH": self.pair.bin + ":/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

    def start(self):
        words = ["%s=%s" % pair for pair in self.env().items()]
        self.process = self.pair.spawn(["env", "-C", "/", "-i", *words, "/usr/bin/patroni", os.path.join(self.pair.dir, "patroni.yml")],
                                       self.name + ".log")

    def says(self, path):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/%s" % (self.rest, path), timeout=3) as answer:
                return answer.status == 200
        except (OSError, urllib.error.HTTPError):
            return False

    def kill(self):
        """The host is gone: Patroni, Postgres and all of its processes."""
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as handle:
                master = int(handle.readline())
        except (OSError, ValueError):
            master = 0
        for pid in reversed(self.pair.family(self.process.pid)):
            os.kill(pid, signal.SIGKILL)
        if master and os.path.exists("/proc/%d" % master):
            os.kill(master, signal.SIGSTOP)
            for child in pairs.children(master) + [master]:
                os.kill(child, signal.SIGKILL)
        self.process.wait(10)

    def query(self, sql, database="postgres"):
        return world.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", self.pair.url(database), "-c", sql]).strip()

    def signal(self, word, number):
        del word, number
        return 0


class PatroniPair:
    synchronous = True

    def __init__(self):
        self.bin = pairs.binaries()
        base = "/var/lib/postgresql" if os.getuid() == 0 else world.tempfile.gettempdir()
        self.dir = os.path.join(base, "dialwright-patroni-%d" % os.getpid())
        self.user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        world.run(self.user + ["mkdir", "-p", "-m", "700", self.dir])
        shutil.copy(os.path.join(world.ROOT, "packaging", "patroni", "patroni.yml"), self.dir)
        os.chmod(os.path.join(self.dir, "patroni.yml"), 0o644)
        self.etcd_port, peer = world.free_port(), world.free_port()
        here, there = "http://127.0.0.1:%d" % self.etcd_port, "http://127.0.0.1:%d" % peer
        self.etcd = self.spawn(["etcd", "--name", "one", "--data-dir", os.path.join(self.dir, "etcd"), "--listen-client-urls", here,
                                "--advertise-client-urls", here, "--listen-peer-urls", there, "--initial-advertise-peer-urls", there,
                                "--initial-cluster", "one=" + there, "--unsafe-no-fsync"], "etcd.log")
        self.a, self.b = Node(self, "a"), Node(self, "b")
        self.a.start()
        world.until(lambda: self.a.says("primary"), 60, lambda: "a leader\n" + self.tail("a.log"))
        self.primary, self.standby = self.a, self.b
        self.make_standby()

    def spawn(self, arguments, log):
        with open(os.path.join(self.dir, log), "ab") as out:
            return subprocess.Popen(self.user + arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def tail(self, log):
        with open(os.path.join(self.dir, log), encoding="utf-8", errors="replace") as handle:
            return "".join(handle.readlines()[-25:])

    def family(self, pid):
        found = [pid]
        for child in pairs.children(pid):
            found += self.family(child)
        return found

    def url(self, database, role="postgres"):
        return "postgresql://%s:%s@127.0.0.1:%d,127.0.0.1:%d/%s?target_session_attrs=read-write" % (
            role, PASSWORD, self.a.port, self.b.port, database)

    def caught_up(self):
        return True

    def make_standby(self):
        node = self.standby
        node.start()
        world.until(lambda: node.says("sync"), 120, lambda: "a synchronous standby\n" + self.tail(node.name + ".log"))

    def fail_over(self):
        old, new = (self.a, self.b) if self.a.says("primary") else (self.b, self.a)
        old.kill()
        world.until(lambda: new.says("primary"), 90, lambda: "another leader\n" + self.tail(new.name + ".log"))
        self.primary, self.standby = new, old

    def destroy(self):
        for node in (self.a, self.b):
            if node.process is not None and node.process.poll() is None:
                node.kill()
        for pid in reversed(self.family(self.etcd.pid)):
            os.kill(pid, signal.SIGKILL)
        self.etcd.wait(10)
        world.run(self.user + ["rm", "-rf", self.dir])
