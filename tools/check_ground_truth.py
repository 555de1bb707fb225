#!/usr/bin/python3
"""check_ground_truth.py -- compares the database with what the carrier says it did.

    tools/check_ground_truth.py --database-url URL --ground-truth FILE... [--leads CSV] [--data-dir DIR] [--serving]
                                [--invariants | --plants]
    tools/check_ground_truth.py --self-test

Reads nothing else: neither logs nor the daemon. The legal hours and the zones of numbers are computed
here a second time, from python3-phonenumbers and a table of its own. Prints [{name, ok, detail}].
--invariants: only I1 to I9 of the dial protocol (tools/invariants.py). --plants: each fault of
tools/invariant_plants.py is planted in a copy of this very history, and must be seen. --self-test: the
same on an invented history; prints TAP.
"""
import argparse
import collections
import csv
import datetime
import io
import json
import os
import re
import struct
import subprocess
import sys
import zoneinfo

import phonenumbers
import urllib.request
from phonenumbers import timezone as phone_timezone

import invariant_plants
import invariants

ALL_DAYS = range(1, 8)
# Country -> [(weekdays, opens, closes)], minutes of the local day. The rest is "*".
HOURS = {
    "CA": [(range(1, 6), 540, 1200), ((6, 7), 600, 1080)],
    "IN": [(range(1, 7), 600, 1140)],
    "FR": [(range(1, 6), 600, 780), (range(1, 6), 840, 1200)],
    "DE": [(range(1, 7), 540, 1200)],
    "*": [(ALL_DAYS, 540, 1200)],
}
FRENCH_FIXED = {(1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25)}
# The gate judged when the attempt was reserved; the carrier may be this much later.
RESERVED_BEFORE = datetime.timedelta(seconds=30)


class Database:
    """psql, one query at a time; rows come back as JSON."""

    def __init__(self, url):
        self.url = url

    def rows(self, query):
        text = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", self.url, "-c",
                               "SELECT coalesce(json_agg(t), '[]') FROM (%s) t" % query],
                              check=True, capture_output=True, text=True).stdout
        return json.loads(text)


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Truth:
    """The carrier's record, by call."""

    def __init__(self, paths):
        self.events = invariants.read_truth(paths)
        self.calls = collections.OrderedDict()
        for event in self.events:
            if event.get("call_uuid"):
                self.calls.setdefault(event["call_uuid"], []).append(event)

    def dials(self, leg="lead"):
        """{call uuid: (event accepted, {event name: first moment})} of outbound legs."""
        found = {}
        for uuid, events in self.calls.items():
            accepted = next((e for e in events if e["event"] == "accepted"), None)
            if accepted and accepted.get("leg", "lead") == leg and accepted.get("direction", "outbound") == "outbound":
                times = {}
                for event in events:
                    times.setdefault(event["event"], moment(event["at"]))
                found[uuid] = (accepted, times)
        return found


class Checks:
    """Results, each with the first things that are wrong."""

    def __init__(self):
        self.results = []

    def add(self, name, wrong, total):
        detail = "%d looked at" % total
        if wrong:
            detail = "%d of %d wrong: %s" % (len(wrong), total, "; ".join(str(w) for w in wrong[:3]))
        self.results.append({"name": name, "ok": not wrong, "detail": detail})


def easter(year):
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return datetime.date(year, f // 31, f % 31 + 1)


def is_holiday(country, day):
    if country != "FR":
        return False
    return (day.month, day.day) in FRENCH_FIXED or (day - easter(day.year)).days in (1, 39, 50)


def open_at(country, zones, at):
    """Is every zone inside some span of the country at this moment?"""
    spans = HOURS.get(country, HOURS["*"])
    for name in zones:
        local = at.astimezone(zoneinfo.ZoneInfo(name))
        minute = local.hour * 60 + local.minute
        if is_holiday(country, local.date()):
            return False
        if not any(local.isoweekday() in days and opens <= minute < closes for days, opens, closes in spans):
            return False
    return True


def check_dials(checks, truth, logs):
    by_sid = collections.defaultdict(list)
    for log in logs:
        if log["direction"] == "outbound" and log["call_sid"]:
            by_sid[log["call_sid"]].append(log)
    dials = truth.dials()
    wrong = [uuid for uuid in dials if len([x for x in by_sid[uuid] if x["status"] == "ended"]) != 1]
    checks.add("each dial is exactly one ended call", wrong, len(dials))
    ended = [x for x in logs if x["direction"] == "outbound" and x["status"] == "ended"]
    checks.add("each ended call was a dial", [x["id"] for x in ended if x["call_sid"] not in dials], len(ended))
    tries = collections.Counter(x["id"] for uuid in dials for x in by_sid[uuid])
    checks.add("no attempt was dialed twice", [k for k, n in tries.items() if n > 1], len(tries))
    not_placed = [x for x in logs if x["status"] == "not_placed"]
    checks.add("what was not placed did not ring", [x["id"] for x in not_placed if x["call_sid"]], len(not_placed))
    return dials, by_sid


def check_overlap(checks, dials):
    by_person = collections.defaultdict(list)
    for uuid, (accepted, times) in dials.items():
        by_person[accepted["to"]].append((times["accepted"], times.get("hangup"), uuid))
    wrong = []
    for person, calls in by_person.items():
        calls.sort()
        for (_, end, _), (begin, _, uuid) in zip(calls, calls[1:]):
            if end is None or begin < end:
                wrong.append("%s by %s" % (person, uuid))
    checks.add("nobody is phoned while being phoned", wrong, len(by_person))


def check_hours(checks, dials, zones_of):
    wrong = []
    for uuid, (accepted, times) in dials.items():
        number = phonenumbers.parse(accepted["to"], None)
        country = phonenumbers.region_code_for_number(number) or "*"
        zones = zones_of.get(accepted["to"]) or list(phone_timezone.time_zones_for_number(number))
        at = times["accepted"]
        if not any(open_at(country, zones, t) for t in (at, at - RESERVED_BEFORE)):
            wrong.append("%s %s at %s" % (country, uuid, at.isoformat()))
    checks.add("no dial outside the legal hours", wrong, len(dials))


def check_refusals(checks, database, dials):
    barred = database.rows("SELECT phone_e164, min(added_at) AS added_at FROM do_not_call WHERE lifted_at IS NULL GROUP BY 1")
    since = {row["phone_e164"]: moment(row["added_at"]) + datetime.timedelta(seconds=1) for row in barred}
    wrong = [uuid for uuid, (accepted, times) in dials.items()
             if accepted["to"] in since and times["accepted"] > since[accepted["to"]]]
    checks.add("no dial to who asked not to be called", wrong, len(since))
    said = database.rows("SELECT l.id FROM call_logs l WHERE l.opted_out_at IS NOT NULL AND NOT EXISTS (SELECT FROM do_not_call d"
                         " WHERE d.organization_id = l.organization_id AND d.phone_e164 = l.callee_number)")
    checks.add("each opt-out is on the list", [row["id"] for row in said], len(since))


def check_ends(checks, database, logs):
    live = [x["id"] + " " + x["status"] for x in logs if x["status"] not in ("ended", "not_placed")]
    checks.add("no call is left open", live, len(logs))
    queue = database.rows("SELECT id, status, next_retry_at, last_error, callback_at, attempt_count, next_retry_at > now() AS ahead"
                          " FROM call_queue")
    wrong = ["%s %s %s" % (q["id"], q["status"], q["last_error"]) for q in queue if not (
        q["status"] in ("completed", "failed") or (q["status"] == "queued" and q["ahead"] and (q["last_error"] or q["callback_at"])))]
    checks.add("each lead is done, or waits with a reason", wrong, len(queue))
    unsettled = database.rows("SELECT a.id FROM call_attempts a JOIN call_logs l ON l.id = a.call_log_id WHERE a.outcome IS NULL"
                              " AND l.status IN ('ended', 'not_placed')")
    checks.add("each attempt is settled", [row["id"] for row in unsettled], len(logs))


def check_times(checks, dials, by_sid):
    wrong = []
    answered = 0
    for uuid, (_, times) in dials.items():
        for log in by_sid[uuid]:
            if "answered" not in times or "hangup" not in times:
                if log["answered_at"] and "answered" not in times:
                    wrong.append("%s was never answered" % log["id"])
                continue
            answered += 1
            seconds = (times["hangup"] - times["answered"]).total_seconds()
            if not log["answered_at"] or abs(seconds - log["duration"]) > 2:
                wrong.append("%s lasted %.1f s, not %s" % (log["id"], seconds, log["duration"]))
    checks.add("durations are the carrier's", wrong, answered)


def check_counters(checks, database):
    rows = database.rows(
        "SELECT c.name, c.total_calls, d.total_calls AS total_d, c.answered_calls, d.answered_calls AS answered_d,"
        " c.transferred_calls, d.transferred_calls AS transferred_d, c.avg_sentiment_score, d.avg_sentiment_score AS sentiment_d,"
        " c.spent_micros, d.spent_micros AS spent_d FROM campaigns c JOIN app.campaign_counters_derived d ON d.campaign_id = c.id")
    wrong = ["%s %s: %s, counted %s" % (r["name"], a, r[a], r[b]) for r in rows for a, b in (
        ("total_calls", "total_d"), ("answered_calls", "answered_d"), ("transferred_calls", "transferred_d"),
        ("avg_sentiment_score", "sentiment_d"), ("spent_micros", "spent_d")) if r[a] != r[b]]
    checks.add("counters equal what they count", wrong, len(rows))


def wav_fault(path, size):
    """None, or what is wrong: it must be stereo mu-law (or PCM) at 8 kHz, and as long as it says."""
    with open(path, "rb") as handle:
        data = handle.read()
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return "no WAV file"
    at, found = 12, {}
    while at + 8 <= len(data):
        name, length = data[at:at + 4], struct.unpack("<I", data[at + 4:at + 8])[0]
        found[name] = (at + 8, length)
        at += 8 + length + (length & 1)
    if b"fmt " not in found or b"data" not in found:
        return "no format or no samples"
    kind, channels, rate = struct.unpack("<HHI", data[found[b"fmt "][0]:found[b"fmt "][0] + 8])
    if (kind, channels, rate) != (7, 2, 8000):
        return "format %d, %d channels, %d Hz" % (kind, channels, rate)
    if found[b"data"][1] == 0 or found[b"data"][0] + found[b"data"][1] > len(data):
        return "cut short"
    samples = data[found[b"data"][0]:found[b"data"][0] + found[b"data"][1]]
    if len(samples) > 2 * 8000 and len(set(samples[0::2])) < 4 and len(set(samples[1::2])) < 4:
        return "silent"  # who hangs up within a second may have heard nothing yet
    return None if size is None or size == len(data) else "%d bytes, not %s" % (len(data), size)


def check_recordings(checks, database, data_dir):
    rows = database.rows("SELECT id, call_log_id, path, bytes FROM recordings WHERE leg = 'ai' AND status = 'ready'")
    wrong = []
    for row in rows:
        name = row["path"] or ""
        place = os.path.join(data_dir, name)
        if os.path.isabs(name):
            fault = "the path is not relative to the data directory: %s" % name
        else:
            fault = wav_fault(place, row["bytes"]) if os.path.isfile(place) else "no file %s" % name
        if fault:
            wrong.append("%s: %s" % (row["id"], fault))
    checks.add("recordings are there, stereo and not silent", wrong, len(rows))
    without = database.rows("SELECT l.id FROM call_logs l WHERE EXISTS (SELECT FROM call_turns t WHERE t.call_log_id = l.id)"
                            " AND (l.recording_url IS NULL OR NOT EXISTS (SELECT FROM recordings r WHERE r.call_log_id = l.id))")
    checks.add("each conversation was recorded", [row["id"] for row in without], len(rows))


def check_spoken(checks, database):
    """A campaign in which the phones ring and nobody is spoken to must not look well. Faults may cost some calls."""
    rows = database.rows("SELECT l.id, EXISTS (SELECT FROM call_turns t WHERE t.call_log_id = l.id AND t.speaker = 'ai'"
                         " AND t.heard <> 'none') AS spoken FROM call_logs l WHERE l.answered_at IS NOT NULL")
    silent = [row["id"] for row in rows if not row["spoken"]]
    wrong = silent if 2 * len(silent) > len(rows) else []
    checks.add("who answered was spoken to", wrong if rows else ["nobody answered"], len(rows))


def check_served(checks, database):
    """The addresses in the database are ones that the running daemon answers, whole and in part."""
    rows = database.rows("SELECT id, recording_url FROM call_logs WHERE recording_url IS NOT NULL ORDER BY id LIMIT 10")
    wrong = []
    for row in rows:
        asked = urllib.request.Request(row["recording_url"], headers={"Range": "bytes=0-3"})
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                if answer.status != 206 or answer.read() != b"RIFF":
                    wrong.append("%s: %d" % (row["id"], answer.status))
        except OSError as error:
            wrong.append("%s: %s" % (row["id"], error))
    checks.add("recordings are served by their signed address", wrong, len(rows))


def plain(text):
    return re.sub(r"[^a-z0-9]+", " ", (text or "").lower()).strip()


def check_insights(checks, database):
    talked = database.rows("SELECT l.id, i.id AS insight FROM call_logs l LEFT JOIN conversation_insights i ON i.call_log_id = l.id"
                           " JOIN call_attempts a ON a.call_log_id = l.id"
                           " WHERE l.status = 'ended' AND a.outcome = 'answered' AND EXISTS (SELECT FROM call_turns t WHERE t.call_log_id = l.id AND t.speaker = 'lead')")
    checks.add("each conversation was analysed", [t["id"] for t in talked if not t["insight"]], len(talked))
    failed = database.rows("SELECT id, last_error FROM analysis_jobs WHERE status NOT IN ('done', 'too_short')")
    checks.add("no analysis is left over", ["%s %s" % (f["id"], f["last_error"]) for f in failed], len(talked))
    insights = database.rows("SELECT i.call_log_id, i.evidence, l.conversation_transcript FROM conversation_insights i"
                             " JOIN call_logs l ON l.id = i.call_log_id")
    wrong, quotes = [], 0
    for insight in insights:
        said = plain(insight["conversation_transcript"])
        for field, items in insight["evidence"].items():
            for item in items if isinstance(items, list) else [items]:
                quote = item.get("quote") if isinstance(item, dict) else None
                if quote is None:
                    continue
                quotes += 1
                if plain(quote) not in said:
                    wrong.append("%s %s: %s" % (insight["call_log_id"], field, quote))
    checks.add("evidence was really said", wrong, quotes)
    scores = database.rows("SELECT l.id FROM leads l LEFT JOIN lead_scores s ON s.lead_id = l.id WHERE l.score <> coalesce(s.score, 0)")
    checks.add("scores are the scoring function's", [row["id"] for row in scores], len(insights))


def check_agents(checks, database, truth):
    legs = truth.dials("agent")
    rows = {row["call_sid"]: row for row in database.rows("SELECT call_sid, state, started_at, ended_at FROM agent_calls")}
    wrong = [uuid for uuid in legs if uuid not in rows]
    checks.add("each call to an agent is on file", wrong, len(legs))
    open_rows = database.rows("SELECT id, state FROM agent_calls WHERE state IN ('requested', 'ringing', 'briefing', 'bridged')")
    checks.add("no handover is left open", ["%s %s" % (r["id"], r["state"]) for r in open_rows], len(rows))
    moved = database.rows("SELECT l.id FROM call_logs l WHERE l.transferred AND NOT EXISTS (SELECT FROM agent_calls a"
                          " WHERE a.ai_call_log_id = l.id AND a.started_at IS NOT NULL)")
    checks.add("each handover reached an agent", [row["id"] for row in moved], len(rows))


def check_list(checks, database, path):
    if not path:
        return
    with open(path, encoding="utf-8-sig", newline="") as handle:
        count = len(list(csv.reader(io.StringIO(handle.read())))) - 1
    row = database.rows("SELECT (SELECT count(*) FROM leads) AS leads, (SELECT count(*) FROM import_rejects) AS rejects,"
                        " (SELECT sum(rows_updated) FROM imports) AS updated")[0]
    total = row["leads"] + row["rejects"] + (row["updated"] or 0)
    checks.add("each row is a lead or a reject", [] if total == count else ["%d rows, %d accounted for" % (count, total)], count)


def self_test():
    count = failed = 0
    for ok, name, detail in invariant_plants.self_test():
        count += 1
        failed += not ok
        print("%sok %d - %s" % ("" if ok else "not ", count, name))
        if not ok:
            print("# %s" % detail)
    print("1..%d" % count)
    return 1 if failed else 0


def check_invariants(checks, options, truth):
    rows = invariants.load(options.database_url)
    if not options.plants:
        for name, wrong, total in invariants.check(truth.events, rows):
            checks.add(name, wrong, total)
        return
    for caught, name, detail in invariant_plants.plants_for(truth.events, rows):
        checks.results.append({"name": name, "ok": caught is not False, "detail": detail})


def read_options(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--database-url")
    parser.add_argument("--ground-truth", nargs="+")
    parser.add_argument("--leads")
    parser.add_argument("--data-dir", default=".")
    parser.add_argument("--serving", action="store_true", help="the daemon runs: fetch recordings from it too")
    parser.add_argument("--invariants", action="store_true", help="only I1 to I9")
    parser.add_argument("--plants", action="store_true", help="plant faults in a copy of this history")
    options = parser.parse_args(arguments)
    if not options.self_test and not (options.database_url and options.ground_truth):
        parser.error("--database-url and --ground-truth are needed")
    return options


def main(arguments):
    options = read_options(arguments)
    if options.self_test:
        return self_test()
    database, truth, checks = Database(options.database_url), Truth(options.ground_truth), Checks()
    check_invariants(checks, options, truth)
    if options.invariants or options.plants:
        json.dump(checks.results, sys.stdout)
        print()
        return 0
    logs = database.rows("SELECT id, status, direction, call_sid, answered_at, ended_at, duration, callee_number FROM call_logs")
    zones_of = {row["phone_e164"]: [row["timezone"]] for row in
                database.rows("SELECT phone_e164, timezone FROM leads WHERE timezone IS NOT NULL")}
    check_list(checks, database, options.leads)
    dials, by_sid = check_dials(checks, truth, logs)
    checks.add("somebody was phoned", [] if dials else ["nobody"], len(dials))
    check_overlap(checks, dials)
    check_hours(checks, dials, zones_of)
    check_refusals(checks, database, dials)
    check_ends(checks, database, logs)
    check_times(checks, dials, by_sid)
    check_counters(checks, database)
    check_agents(checks, database, truth)
    check_spoken(checks, database)
    check_recordings(checks, database, options.data_dir)
    if options.serving:
        check_served(checks, database)
    check_insights(checks, database)
    json.dump(checks.results, sys.stdout)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
