"""database.py -- stops and starts the Postgres of a World that has its own cluster."""
import os
import subprocess

import world


def control(w, *arguments):
    """pg_ctl as the server's user, the way pg-private runs it."""
    data = world.run([world.PG, "--purpose", w.cluster, "dir"]).strip() + "/data"
    binary = [p for v in (18, 17, 16, 15) for p in ["/usr/lib/postgresql/%d/bin/pg_ctl" % v] if os.access(p, os.X_OK)][0]
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    subprocess.run(user + ["env", "-C", "/", binary, "-D", data, *arguments], check=True, capture_output=True)


def stop(w, how):
    control(w, "-m", how, "-w", "stop")


def start(w):
    world.run([world.PG, "--purpose", w.cluster, "start"])
