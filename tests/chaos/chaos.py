#!/usr/bin/env python3
"""chaos.py -- a storm from its seed to the verdict; started by script/chaos, which says what it is.

    chaos.py BUILD [--minutes M] [--seed S] [--json] [--keep]
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[1:1] = [os.path.join(ROOT, "tests", "integration"), os.path.join(ROOT, "tools")]
import place as places  # noqa: E402
import plan as plans  # noqa: E402
import storm as storms  # noqa: E402
import world  # noqa: E402

DRAIN_S = 150
HELD_S = 15
BRIEF_MINUTES = 2  # so short a storm ends with a pause of its campaigns: what waits need not be dialed any more
KEPT = (".log", ".jsonl")


def say(text):
    print(text, file=sys.stderr, flush=True)


def progress(storm):
    place = storm.place
    try:
        row = place.rows("SELECT count(*) FILTER (WHERE direction = 'outbound') AS n, count(*) FILTER (WHERE status = 'ended') AS ended,"
                         " count(*) FILTER (WHERE status = 'outcome_unknown') AS unknown,"
                         " count(*) FILTER (WHERE status NOT IN ('ended', 'not_placed')) AS open FROM call_logs")[0]
        text = "%(n)d attempts, %(ended)d ended, %(open)d open, %(unknown)d unknown" % row
    except world.StoryError:
        text = "Postgres is away"
    say("%6.1f s  %d kills  %s" % (storm.now(), sum(storm.kills.values()), text))


def open_work(place):
    """What is still on its way, as text; '' at rest."""
    row = place.rows(
        "SELECT (SELECT count(*) FROM call_logs WHERE status NOT IN ('ended', 'not_placed')) AS calls,"
        " (SELECT count(*) FROM call_queue q JOIN campaigns c ON c.id = q.campaign_id WHERE q.status = 'processing'"
        "   OR (q.status = 'queued' AND c.status = 'active' AND q.next_retry_at < now() + interval '60 seconds')) AS jobs,"
        " (SELECT count(*) FROM campaign_deltas) AS deltas")[0]
    return "%(calls)d calls, %(jobs)d jobs, %(deltas)d counters" % row if any(row.values()) else ""


def drain(storm, place):
    deadline = time.monotonic() + DRAIN_S
    told = 0.0
    last = ("", time.monotonic())
    while time.monotonic() < deadline:
        storm.look()
        text = open_work(place)
        last = last if text == last[0] else (text, time.monotonic())
        # Jobs that stay due while nobody phones are held by something: the checker asks the gate by what.
        if not text or (text.startswith("0 calls") and time.monotonic() - last[1] > HELD_S):
            storm.story("all is settled" if not text else "at rest: " + text)
            return
        if time.monotonic() > told:
            told = time.monotonic() + 5
            say("%6.1f s  draining: %s" % (storm.now(), text))
        again = time.monotonic() + 0.5
        world.until(lambda: time.monotonic() > again, 2, "the next look")
    storm.story("!! not settled within %d s: %s" % (DRAIN_S, open_work(place)))
    for row in place.rows("SELECT l.*, w.status AS worker, w.ended_at AS worker_ended, n.name AS node FROM call_logs l LEFT JOIN workers w"
                          " ON w.id = l.worker_id LEFT JOIN nodes n ON n.id = l.node_id WHERE l.status NOT IN ('ended', 'not_placed')"):
        storm.story("   open: %s" % {k: v for k, v in row.items() if v not in (None, [], {}, False)})
    for row in place.rows("SELECT q.*, c.name FROM call_queue q JOIN campaigns c ON c.id = q.campaign_id WHERE q.status = 'queued' AND"
                          " q.next_retry_at < now() LIMIT 20"):
        storm.story("   due: %s" % row)


def judge(place, directory):
    """The independent checker, on ground truth and database alone; then the same with faults planted."""
    arguments = ["/usr/bin/python3", os.path.join(ROOT, "tools", "check_ground_truth.py"), "--database-url", place.url,
                 "--ground-truth", place.truth_path, place.noted]
    checks = json.loads(world.run(arguments + ["--invariants"]))
    try:
        planted = json.loads(world.run(arguments + ["--plants"]))
    except world.StoryError as error:
        planted = [{"name": "the plants", "ok": False, "detail": str(error)}]
    with open(os.path.join(directory, "checks.json"), "w", encoding="utf-8") as out:
        json.dump({"checks": checks, "planted": planted}, out, indent=1)
    return checks, planted


def end_daemons(storm, place):
    for node in place.nodes:
        node.wanted = False
        node.signal(signal.SIGTERM)
    for node in place.nodes:
        code = node.wait(40)
        if code != 0:
            storm.found.append("%s ends with %s at SIGTERM" % (node.name, code))
    for name in sorted(os.listdir(place.dir)):
        bad = world.ended_badly(os.path.join(place.dir, name)) if name.endswith(".log") else ""
        if bad:
            storm.found.append("%s: %s" % (name, bad))


def keep_papers(place, directory):
    for name in os.listdir(place.dir):
        if name.endswith(KEPT):
            shutil.copy(os.path.join(place.dir, name), os.path.join(directory, name))


def weather(options, directory):
    """One storm; returns what is to be told of it."""
    say("seed %d, %.1f minutes; the story: %s" % (options.seed, options.minutes, os.path.join(directory, "story.log")))
    tempfile.tempdir = directory
    with open(os.path.join(directory, "story.log"), "w", encoding="utf-8") as story, places.Place(options.seed, directory) as place:
        open(place.noted, "w", encoding="utf-8").close()
        for name, why in place.skipped.items():
            say("skipped %s: %s" % (name, why))
        for node in place.nodes:
            world.until(lambda n=node: n.status("/readyz") == 200, 60, node.tail)
        place.fill()
        storm = storms.Storm(place, plans.make(options.seed, options.minutes * 60), story, progress)
        try:
            storm.blow(options.minutes * 60)
            storm.calm_down(dial_on=options.minutes > BRIEF_MINUTES)
            drain(storm, place)
            checks, planted = judge(place, directory)
            end_daemons(storm, place)
            state = place.state()
        finally:
            keep_papers(place, directory)
        said = report(storm, place, checks, planted, state)
        if options.keep:
            os.environ["DIALWRIGHT_KEEP_STORIES"] = "1"
            place.cluster = world.CLUSTER if not options.keep else place.cluster
            subprocess.run(["pg_dump", "-Fc", "-f", os.path.join(directory, "database.dump"), place.url], check=False)
    return said


def report(storm, place, checks, planted, state):
    row = place.rows("SELECT count(*) AS attempts, count(*) FILTER (WHERE status = 'not_placed') AS not_placed,"
                     " count(*) FILTER (WHERE unknown_at IS NOT NULL) AS unknown, coalesce(max(extract(epoch FROM"
                     " (CASE WHEN status IN ('ended', 'not_placed') THEN greatest(resolved_at, unknown_at) END) - unknown_at)), 0)"
                     " AS longest_unknown_s FROM call_logs WHERE direction = 'outbound'")[0]
    violations = ["%s: %s" % (c["name"], c["detail"]) for c in checks if not c["ok"]] + storm.found
    violations += ["planted and not seen: %s" % p["name"] for p in planted if not p["ok"]]
    return {"attempts": row["attempts"], "dials": len(dials(place)), "kills": storm.kills, "done": storm.done,
            "not_placed": row["not_placed"], "were_unknown": row["unknown"], "longest_unknown_s": float(row["longest_unknown_s"]),
            "faults": state["faults"], "skipped": place.skipped, "checks": checks,
            "planted": sum(1 for p in planted if not p["detail"]), "violations": violations}


def dials(place):
    return [e for e in place.truth() if e["event"] == "accepted" and e["leg"] == "lead"]


def main(arguments):
    parser = argparse.ArgumentParser(prog="script/chaos")
    parser.add_argument("build")
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one object before the last line")
    parser.add_argument("--keep", action="store_true", help="keep the files, and the database as a dump")
    options = parser.parse_args(arguments)
    if not 0.2 <= options.minutes <= 600:
        parser.error("--minutes is 0.2 to 600")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that disks and processes are given back
    directory = os.path.join(ROOT, "var", "chaos", str(options.seed))
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    said = weather(options, directory)
    for violation in said["violations"]:
        say("VIOLATION  " + violation)
    say("%d dials, %d were unknown for a while (longest %.1f s), %d not placed; done: %s; faults of the carrier: %s" % (
        said["dials"], said["were_unknown"], said["longest_unknown_s"], said["not_placed"], said["done"], said["faults"]))
    if options.json:
        print(json.dumps(said))
    print("%d attempts, %d kills, %d violations" % (said["attempts"], sum(said["kills"].values()), len(said["violations"])))
    return 1 if said["violations"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
