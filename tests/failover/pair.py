"""pair.py -- a primary and its standby: started, killed, promoted, rebuilt. Debian's Postgres, sockets only.

Both servers keep their place and their port for good; which of them is the primary changes. Postgres does not run as
root, so for root everything runs as "postgres" under /var/lib/postgresql.
"""
import glob
import os
import shutil
import signal
import subprocess
import tempfile

import world

SETTINGS = """
listen_addresses = ''
port = 5432
unix_socket_permissions = 0777
max_connections = 60
shared_buffers = 64MB
fsync = off
wal_level = replica
max_wal_senders = 10
max_replication_slots = 10
wal_keep_size = 256MB
hot_standby = on
autovacuum_naptime = 15s
timezone = 'UTC'
lc_messages = 'C'
"""


class PairError(Exception):
    """A server does not do what was asked of it."""


def binaries():
    for version in (18, 17, 16, 15):
        place = "/usr/lib/postgresql/%d/bin" % version
        if os.access(os.path.join(place, "initdb"), os.X_OK):
            return place
    raise PairError("no Postgres 15 or newer under /usr/lib/postgresql")


def children(pid):
    """Of one process, by what the kernel says: Postgres makes each of its processes a session of its own."""
    found = []
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat, encoding="utf-8", errors="replace") as handle:
                fields = handle.read().rsplit(") ", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.split("/")[2]))
    return found


def title(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as handle:
            return handle.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


class Server:
    def __init__(self, pair, name):
        self.pair = pair
        self.name = name
        self.data = os.path.join(pair.dir, name)
        self.sock = os.path.join(pair.dir, "s" + name)

    def run(self, *arguments, check=True):
        user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        done = subprocess.run(user + ["env", "-C", "/", "PATH=%s:/usr/bin:/bin" % self.pair.bin, "LC_ALL=C.UTF-8", *arguments],
                              capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise PairError("%s: %s\n%s%s" % (self.name, " ".join(arguments[:3]), done.stdout, done.stderr))
        return done.stdout

    def query(self, sql, database="postgres"):
        return self.run("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", self.sock, "-U", "postgres", "-d", database, "-c", sql).strip()

    def configure(self):
        text = SETTINGS + "unix_socket_directories = '%s'\ncluster_name = '%s'\n" % (self.sock, self.name)
        text += "synchronous_commit = on\nsynchronous_standby_names = '%s'\n" % ("ANY 1 (*)" if self.pair.synchronous else "")
        path = os.path.join(self.data, "dialwright.conf")
        subprocess.run(["tee", path], input=text, text=True, stdout=subprocess.DEVNULL, check=True)
        shutil.copymode(os.path.join(self.data, "postgresql.conf"), path)
        if os.getuid() == 0:
            shutil.chown(path, "postgres", "postgres")
        # An include at the end wins over what initdb and pg_basebackup wrote.
        self.run("sh", "-c", "grep -q 'dialwright.conf' '%s/postgresql.conf' || echo \"include_if_exists = 'dialwright.conf'\" >> '%s/postgresql.conf'"
                 % (self.data, self.data))

    def start(self):
        # Of a server that was killed the lock of its socket stays, and its number may belong to somebody else by now.
        self.run("rm", "-rf", self.sock)
        self.run("mkdir", "-p", self.sock)
        log = os.path.join(self.pair.dir, self.name + ".log")
        try:
            self.run("pg_ctl", "-D", self.data, "-l", log, "-w", "-t", "60", "start")
        except PairError as error:
            raise PairError("%s\n%s" % (error, self.run("tail", "-15", log, check=False))) from error

    def pid(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid"), encoding="utf-8") as handle:
                return int(handle.readline())
        except (OSError, ValueError):
            return 0

    def processes(self, word):
        return [p for p in children(self.pid()) if word in title(p)]

    def signal(self, word, number):
        hit = self.processes(word)
        for pid in hit:
            os.kill(pid, number)
        return len(hit)

    def kill(self):
        """All of it at once: not even a word that is already on its way is finished."""
        pid = self.pid()
        if not pid:
            return
        os.kill(pid, signal.SIGSTOP)  # so that it replaces nobody
        for child in children(pid):
            os.kill(child, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        world.until(lambda: not os.path.exists("/proc/%d" % pid) or "defunct" in title(pid) or not title(pid), 10,
                    "the end of %d" % pid, every=0.01)

    def stop(self):
        if self.pid():
            self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "-t", "30", "stop", check=False)


class Pair:
    def __init__(self, name, synchronous):
        self.bin = binaries()
        self.synchronous = synchronous
        base = "/var/lib/postgresql" if os.getuid() == 0 else tempfile.gettempdir()
        self.dir = os.path.join(base, "dialwright-%s-%d" % (name, os.getpid()))
        self.a, self.b = Server(self, "a"), Server(self, "b")
        self.primary, self.standby = self.a, self.b
        self.a.run("mkdir", "-p", self.dir)
        self.a.run("initdb", "-D", self.a.data, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N")
        self.a.configure()
        if synchronous:  # nobody could commit before there is a standby
            self.a.run("sed", "-i", "s/^synchronous_standby_names.*/synchronous_standby_names = ''/", os.path.join(self.a.data, "dialwright.conf"))
        self.a.start()
        self.make_standby()
        self.a.configure()
        self.a.query("SELECT pg_reload_conf()")

    def url(self, database, role="postgres"):
        """Both servers; whoever asks gets the one that may be written to."""
        return "postgresql://%s@/%s?host=%s,%s&port=5432,5432&target_session_attrs=read-write" % (
            role, database, self.a.sock.replace("/", "%2F"), self.b.sock.replace("/", "%2F"))

    def make_standby(self):
        """The other one, from scratch, out of the primary."""
        s = self.standby
        s.run("rm", "-rf", s.data)
        s.run("pg_basebackup", "-D", s.data, "-h", self.primary.sock, "-U", "postgres", "-R", "-X", "stream", "-c", "fast", "--no-sync")
        s.configure()
        s.start()

    def caught_up(self):
        here = self.primary.query("SELECT pg_current_wal_lsn()")
        return self.primary.query("SELECT coalesce(bool_or(replay_lsn >= '%s'), false) FROM pg_stat_replication" % here) == "t"

    def fail_over(self):
        """The primary dies, the standby takes over. The dead one stays down until make_standby()."""
        self.primary.kill()
        self.standby.run("pg_ctl", "-D", self.standby.data, "-w", "-t", "60", "promote")
        self.primary, self.standby = self.standby, self.primary

    def destroy(self):
        for server in (self.a, self.b):
            server.stop()
        self.a.run("rm", "-rf", self.dir, check=False)
