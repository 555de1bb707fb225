#!/usr/bin/env python3
"""The daemon does not start on a setting that is missing or weak, and says which one, and why."""
import os
import signal
import subprocess

import report
import world

GOOD = {
    "DIALWRIGHT_SECRET": world.SECRET, "DIALWRIGHT_KEK": world.KEK, "OPENAI_API_KEY": "sk-x",
    "DIALWRIGHT_PUBLIC_URL": "https://calls.example.com", "DIALWRIGHT_LISTEN": "127.0.0.1:0"}
# (name of the row, what differs from GOOD, the setting that must be named, a word of the reason)
ROWS = [
    ("no database", {"DATABASE_URL": None}, "DATABASE_URL", "not set"),
    ("an empty database", {"DATABASE_URL": ""}, "DATABASE_URL", "not set"),
    ("no public URL", {"DIALWRIGHT_PUBLIC_URL": None}, "DIALWRIGHT_PUBLIC_URL", "not set"),
    ("plain http in public", {"DIALWRIGHT_PUBLIC_URL": "http://calls.example.com"}, "DIALWRIGHT_PUBLIC_URL", "https:"),
    ("http to a private address", {"DIALWRIGHT_PUBLIC_URL": "http://10.0.0.7"}, "DIALWRIGHT_PUBLIC_URL", "https:"),
    ("http to a loopback look-alike", {"DIALWRIGHT_PUBLIC_URL": "http://127.0.0.1.example.com"}, "DIALWRIGHT_PUBLIC_URL", "https:"),
    ("http with loopback as the user", {"DIALWRIGHT_PUBLIC_URL": "http://127.0.0.1@example.com"}, "DIALWRIGHT_PUBLIC_URL", "https:"),
    ("no URL at all", {"DIALWRIGHT_PUBLIC_URL": "calls.example.com"}, "DIALWRIGHT_PUBLIC_URL", "URL"),
    ("no secret", {"DIALWRIGHT_SECRET": None}, "DIALWRIGHT_SECRET", "not set"),
    ("a secret of 31 bytes", {"DIALWRIGHT_SECRET": "x" * 31}, "DIALWRIGHT_SECRET", "short"),
    ("no key-encryption key", {"DIALWRIGHT_KEK": None}, "DIALWRIGHT_KEK", "not set"),
    ("a KEK of 63 digits", {"DIALWRIGHT_KEK": "a" * 63}, "DIALWRIGHT_KEK", "64 hex digits"),
    ("a KEK that is no hex", {"DIALWRIGHT_KEK": "g" * 64}, "DIALWRIGHT_KEK", "64 hex digits"),
    ("KEK and secret the same", {"DIALWRIGHT_SECRET": "7e" * 32}, "DIALWRIGHT_KEK", "must not be the same"),
    ("no key of the model", {"OPENAI_API_KEY": None}, "OPENAI_API_KEY", "not set"),
    ("a model over http", {"OPENAI_API_URL": "http://api.example.com/v1"}, "OPENAI_API_URL", "https:"),
    ("a model over ws", {"OPENAI_REALTIME_URL": "ws://api.example.com/v1"}, "OPENAI_REALTIME_URL", "wss:"),
    ("a carrier over http", {"PLIVO_API_URL": "http://api.example.com/v1"}, "PLIVO_API_URL", "https:"),
    ("a port that is none", {"DIALWRIGHT_LISTEN": "127.0.0.1:99999"}, "DIALWRIGHT_LISTEN", "host:port"),
    ("a number that is none", {"DIALWRIGHT_LEASE_MS": "soon"}, "DIALWRIGHT_LEASE_MS", "number"),
    ("a number out of range", {"DIALWRIGHT_LEASE_MS": "1"}, "DIALWRIGHT_LEASE_MS", "from"),
    ("an unknown log level", {"DIALWRIGHT_LOG_LEVEL": "loud"}, "DIALWRIGHT_LOG_LEVEL", "debug"),
    ("a data directory that cannot be", {"DIALWRIGHT_DATA_DIR": "/proc/nowhere"}, "DIALWRIGHT_DATA_DIR", "cannot"),
]


def serve(w, changes):
    env = dict(world.fresh_environment(), DATABASE_URL=w.login, DIALWRIGHT_DATA_DIR=os.path.join(w.dir, "data"), **GOOD)
    for name, value in changes.items():
        env.pop(name, None)
        if value is not None:
            env[name] = value
    process = subprocess.Popen([world.DAEMON, "serve"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=20)
        return process.returncode, out + err
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        return None, out + err


with report.Report("refuses to start") as t, world.World("start") as w:
    for name, changes, setting, word in ROWS:
        code, said = serve(w, changes)
        t.ok(code == 2 and setting in said and word in said, name, "exit %s\n%s" % (code, said))
        t.ok(world.SECRET not in said and world.KEK not in said, name + ": no secret is shown", said)
    code, said = serve(w, {"DIALWRIGHT_SECRET": None, "DIALWRIGHT_KEK": None, "OPENAI_API_KEY": None})
    t.ok(all(n in said for n in ("DIALWRIGHT_SECRET", "DIALWRIGHT_KEK", "OPENAI_API_KEY")), "all that is missing is said at once", said)
    code, said = serve(w, {"DATABASE_URL": w.url})
    t.ok(code == 2 and "DATABASE_URL" in said and "superuser" in said, "a superuser's database URL", "exit %s\n%s" % (code, said))
    w.value("CREATE ROLE story_bypass LOGIN BYPASSRLS" if not w.value("SELECT 1 FROM pg_roles WHERE rolname = 'story_bypass'")
            else "SELECT 1")
    code, said = serve(w, {"DATABASE_URL": w.login.replace("app_login@", "story_bypass@")})
    t.ok(code == 2 and "DATABASE_URL" in said and "BYPASSRLS" in said, "a role with BYPASSRLS", "exit %s\n%s" % (code, said))
