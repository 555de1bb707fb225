"""invariants.py -- I1 to I9 of the dial protocol, from the carrier's record and the database's rows alone.

`load(url)` takes one snapshot of the rows, as plain dicts; `read_truth(paths)` reads the carrier's record
and whatever else was witnessed outside the daemon (pauses and forged reports that a storm noted down).
`check(truth, rows)` is pure: it returns [(name, wrong, looked_at)], so that a doctored copy of either can
be judged too. tools/invariant_plants.py does that: no check here may be one that cannot fail.

Attempts are told apart by the address that the carrier was given for its reports, not by our ledger.
"""
import bisect
import collections
import datetime
import hashlib
import json
import os
import subprocess
import sys
import urllib.parse

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests", "gate"))
import evaluator  # noqa: E402  the gate's rules, read from their text a second time

S = 1.0
CLOCK_S = 5.0  # by so much a clock of ours may be off and still claim
LAW_S = 1.0  # a refusal or a pause is law within this
# From a claim's moment to the carrier's: claim deadline, connecting and sending, a busy machine. Attempts
# whose worker slept in between are signed off, so nothing else may lie between the two.
LATE_S = 8.0
CARRIER_KINDS = ("ring", "answer", "hangup", "machine", "stream", "recording", "after", "fallback")

TABLES = {
    "organizations": "SELECT id, name, legal_name, number_cap_24h, number_cap_7d, number_spacing_s FROM public.organizations",
    "accounts": "SELECT organization_id, id, lines, calls_per_second FROM public.carrier_accounts",
    "numbers": "SELECT organization_id, phone_e164, carrier_account_id, lines FROM public.phone_numbers",
    "campaigns": "SELECT organization_id, id, name, status, lines, calls_per_second, start_date, end_date, time_start, time_end,"
                 " weekdays, timezone, max_attempts FROM public.campaigns",
    "leads": "SELECT organization_id, id, phone_e164, timezone FROM public.leads",
    "queue": "SELECT organization_id, id, campaign_id, lead_id, status, next_retry_at, last_error, callback_at, attempt_count,"
             " max_attempts, call_log_id FROM public.call_queue",
    "calls": "SELECT organization_id, id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction,"
             " caller_number, callee_number, status, call_sid, request_uuid, intent_at, ringing_at, answered_at, ended_at,"
             " resolved_by, disconnect_reason, duration, may_have_rung, adopted_at, worker_id FROM public.call_logs",
    "attempts": "SELECT organization_id, call_log_id, lead_id, campaign_id, attempt_number, outcome, settled_at,"
                " retry_reason FROM public.call_attempts",
    "events": "SELECT organization_id, call_log_id, source, kind, event_key, call_uuid, request_uuid, payload, anomaly"
              " FROM public.call_events",
    "refusals": "SELECT organization_id, phone_e164, campaign_id, call_log_id, created_at, lifted_at FROM public.do_not_call",
    "consents": "SELECT organization_id, phone_e164, scope, level, seller, granted_at, expires_at, revoked_at, updated_at"
                " FROM public.consents",
    "pauses": "SELECT organization_id, scope, campaign_id, phone_e164, paused_at, resumed_at, created_at FROM public.dial_pauses",
    "platform_pauses": "SELECT paused_at, resumed_at, created_at FROM public.platform_pauses",
    # The chain is verified over exactly what the digest covers, as text.
    "audit": "SELECT organization_id, sequence, extract(epoch FROM at)::text AS epoch, actor, action, subject,"
             " subject_id, detail::text AS detail_text, encode(previous_digest, 'hex') AS previous,"
             " encode(digest, 'hex') AS digest FROM public.audit_log ORDER BY organization_id, sequence",
}


def moment(text):
    """Seconds since 1970 of a timestamp's text; None of none."""
    if text is None:
        return None
    if text in ("infinity", "-infinity"):
        return float(text.replace("infinity", "inf"))
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def load(url):
    """Every table of TABLES, and `gate`: what the evaluator reads. One statement, so of one moment, and that moment."""
    parts = ", ".join("'%s', (SELECT coalesce(json_agg(x), '[]') FROM (%s) x)" % pair for pair in TABLES.items())
    parts += ", 'gate', (%s)" % evaluator.facts_query()
    text = subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", url, "-c", "SET TIME ZONE 'UTC'", "-c",
                           "SET search_path = public", "-c", "SELECT json_build_object('now', now(), %s)" % parts], check=True, capture_output=True, text=True).stdout
    return json.loads(text)


def read_truth(paths):
    """The witnessed events in order of their files; a line that a killed writer left half is no event."""
    events = []
    for path in paths:
        with open(path, encoding="utf-8") as handle:
            events += [json.loads(line) for line in handle if line.endswith("\n")]
    return events


def attempt_of(url):
    """The attempt's id in an address for reports, or None."""
    name = urllib.parse.urlsplit(url or "").path.rsplit("/", 1)[-1].split(".")[0]
    if len(name) != 32:
        return None
    return "-".join((name[:8], name[8:12], name[12:16], name[16:20], name[20:]))


class Dial:
    """One call to a lead, as the carrier saw it."""

    def __init__(self, event):
        self.uuid = event["call_uuid"]
        self.request = event.get("request_uuid")
        self.caller = event["from"]
        self.callee = event["to"]
        self.accepted = moment(event["at"])
        self.attempt = attempt_of(event.get("answer_url"))
        self.rang = self.answered = self.ended = None

    def __str__(self):
        return "%s to %s at %.3f" % (self.uuid, self.callee, self.accepted)


class World:
    """Truth and rows with the indexes that more than one check needs."""

    def __init__(self, truth, rows):
        self.truth = truth
        self.rows = rows
        self.now = moment(rows["now"])
        self.dials = {}
        for event in truth:
            if event.get("leg", "lead") != "lead" or event.get("direction", "outbound") != "outbound":
                continue
            if event["event"] == "accepted":
                self.dials.setdefault(event["call_uuid"], []).append(Dial(event))
            elif event["event"] in ("rang", "answered", "hangup") and event["call_uuid"] in self.dials:
                dial = self.dials[event["call_uuid"]][-1]
                name = {"hangup": "ended"}.get(event["event"], event["event"])
                if getattr(dial, name) is None:
                    setattr(dial, name, moment(event["at"]))
        self.dials = sorted((d for ds in self.dials.values() for d in ds), key=lambda d: d.accepted)
        self.out = [c for c in rows["calls"] if c["direction"] == "outbound"]
        self.call = {c["id"]: c for c in rows["calls"]}
        self.by_sid = collections.defaultdict(list)
        for call in self.out:
            if call["call_sid"]:
                self.by_sid[call["call_sid"]].append(call)
        self.campaign = {c["id"]: c for c in rows["campaigns"]}
        self.organization = {o["id"]: o for o in rows["organizations"]}

    def row_of(self, dial):
        """The call of this dial: by the attempt that it names, else by the carrier's id."""
        return self.call.get(dial.attempt) or next(iter(self.by_sid[dial.uuid]), None)


# --- I1 to I7 ---------------------------------------------------------------------------------------

def i1_one_dial_per_attempt(w):
    """I1: an attempt was dialed at most once."""
    count = collections.Counter(d.attempt or (w.row_of(d) or {}).get("id") or d.uuid for d in w.dials)
    return ["attempt %s: %d dials" % pair for pair in count.items() if pair[1] > 1], len(count)


def i2_nobody_twice(w):
    """I2: no two dials to a person overlap, and their number is within the policy."""
    wrong = []
    people = collections.defaultdict(list)
    for dial in w.dials:
        row = w.row_of(dial)
        people[(row["organization_id"] if row else None, dial.callee)].append((dial, row))
    for (organization, person), calls in people.items():
        for (first, _), (second, _) in zip(calls, calls[1:]):
            if first.ended is None or second.accepted < first.ended:
                wrong.append("%s is phoned again while being phoned: %s" % (person, second))
        o = w.organization.get(organization)
        rang = [d.accepted for d, _ in calls if d.rang]
        for span, cap in ((86400, o and o["number_cap_24h"]), (7 * 86400, o and o["number_cap_7d"])):
            if cap and len(rang) > cap and any(rang[i + cap] - rang[i] < span for i in range(len(rang) - cap)):
                wrong.append("%s rang more than %d times in %d h" % (person, cap, span // 3600))
        tries = collections.Counter(row["queue_id"] for _, row in calls if row)
        jobs = {q["id"]: q for q in w.rows["queue"] if q["id"] in tries}
        for job, count in tries.items():
            most = jobs[job]["max_attempts"] + w.asked_back[jobs[job]["campaign_id"], jobs[job]["lead_id"]] if job in jobs else 0
            if count > most:
                wrong.append("%s was dialed %d times for one campaign, %d are allowed" % (person, count, most))
    return wrong, len(people)


def i3_each_dial_on_file(w):
    """I3: each dial is exactly one ended row, of that attempt and those numbers."""
    wrong = []
    for dial in w.dials:
        rows = w.by_sid[dial.uuid]
        fits = [r for r in rows if r["status"] == "ended" and r["callee_number"] == dial.callee
                and r["caller_number"] == dial.caller and dial.attempt in (None, r["id"])]
        if len(fits) != 1 or len(rows) != 1:
            named = w.call.get(dial.attempt)
            wrong.append("%s: %s" % (dial, [(r["id"], r["status"]) for r in rows] or (
                named and "its attempt %s is %s" % (named["id"], named["status"])) or "no row"))
    return wrong, len(w.dials)


def i4_each_row_was_dialed(w):
    """I4: each ended outbound row was a dial."""
    known = {d.uuid for d in w.dials}
    ended = [c for c in w.out if c["status"] == "ended"]
    return ["%s (%s)" % (c["id"], c["call_sid"]) for c in ended if c["call_sid"] not in known], len(ended)


def i5_nothing_left_open(w):
    """I5: after the drain no attempt is open, and each is settled."""
    wrong = ["%s is %s" % (c["id"], c["status"]) for c in w.rows["calls"] if c["status"] not in ("ended", "not_placed")]
    wrong += ["%s is not settled" % a["call_log_id"] for a in w.rows["attempts"] if a["outcome"] is None]
    logged = {a["call_log_id"] for a in w.rows["attempts"]}
    wrong += ["%s has no journal row" % c["id"] for c in w.out if c["id"] not in logged]
    return wrong, len(w.rows["calls"])


def i6_each_job_is_done_or_waits(w):
    """I6: each job is done, or waits for a moment to come, or for its campaign."""
    wrong = []
    held = gate_now(w)
    for q in w.rows["queue"]:
        waits = q["status"] == "queued" and (moment(q["next_retry_at"]) > w.now or held(q))
        if not waits and q["status"] not in ("completed", "failed"):
            wrong.append("%s is %s, due %s, %s" % (q["id"], q["status"], q["next_retry_at"], q["last_error"]))
        if q["call_log_id"] and w.call.get(q["call_log_id"], {}).get("status") in (None, "ended", "not_placed"):
            wrong.append("%s holds the finished call %s" % (q["id"], q["call_log_id"]))
    return wrong, len(w.rows["queue"])


def gate_now(w):
    """A function of a job: what the independent evaluator says now (a pause, a guard …); '' when it may be dialed."""
    facts = evaluator.Facts(w.rows["gate"])
    now = datetime.datetime.fromtimestamp(w.now, datetime.timezone.utc)
    numbers = collections.defaultdict(list)
    for n in w.rows["numbers"]:
        numbers[n["organization_id"]].append(n["phone_e164"])

    def held(q):
        campaign = w.campaign.get(q["campaign_id"], {})
        if campaign.get("status") != "active":
            return campaign.get("status") in ("paused", "draft")
        said = [evaluator.verdict(facts, q["organization_id"], q["campaign_id"], q["lead_id"], number, now)[0]
                for number in numbers[q["organization_id"]]]
        return all(said) and said
    return held


def i7_silence_of_the_not_placed(w):
    """I7: nothing was ever heard of an attempt that counts as not placed."""
    gone = {c["id"] for c in w.out if c["status"] == "not_placed"}
    wrong = ["report %s of %s" % (e["kind"], e["call_log_id"]) for e in w.rows["events"]
             if e["call_log_id"] in gone and e["source"] == "carrier"]
    wrong += ["%s was dialed: %s" % (d.attempt, d) for d in w.dials if d.attempt in gone]
    wrong += ["%s has the carrier's id %s" % (c["id"], c["call_sid"]) for c in w.out if c["id"] in gone and c["call_sid"]]
    return wrong, len(gone)


# --- I8: what the gate had to know --------------------------------------------------------------------

def spaced(w, row, before):
    """Caps and spacing at the intent, from the carrier's record of what rang before it."""
    o = w.organization[row["organization_id"]]
    at = moment(row["intent_at"])
    last = [t for t in before if t < at]
    if last and at - last[-1] < o["number_spacing_s"] - S:
        return "%.1f s after the last dial, %d s apart is the rule" % (at - last[-1], o["number_spacing_s"])
    if len([t for t in last if t > at - 86400]) >= o["number_cap_24h"]:
        return "more than %d in 24 h" % o["number_cap_24h"]
    return None


def refused(w, row, dial):
    """A refusal, a pause or a consent that was law before the carrier was asked."""
    by = dial.accepted - LAW_S
    for d in w.refusals.get((row["organization_id"], row["callee_number"]), ()):
        if d["campaign_id"] in (None, row["campaign_id"]) and moment(d["created_at"]) < by and (
                d["lifted_at"] is None or moment(d["lifted_at"]) > moment(row["intent_at"])):
            return "asked not to be called at %s" % d["created_at"]
    for p in w.rows["pauses"]:
        if p["organization_id"] == row["organization_id"] and (
                p["scope"] == "tenant" or p["campaign_id"] == row["campaign_id"]
                or p["phone_e164"] in (row["caller_number"], row["callee_number"])) and in_force(p, by):
            return "a %s pause since %s" % (p["scope"], p["paused_at"])
    if any(in_force(p, by) for p in w.rows["platform_pauses"]):
        return "the platform was paused"
    held = w.consents.get((row["organization_id"], row["callee_number"]), ())
    if held and not any(moment(c["granted_at"]) <= moment(row["intent_at"]) and (
            c["revoked_at"] is None or moment(c["revoked_at"]) > by or moment(c["updated_at"]) > by) and (
            c["expires_at"] is None or moment(c["expires_at"]) > by) for c in held):
        return "no consent any more"
    return None


def in_force(pause, at):
    begun = max(moment(pause["paused_at"]), moment(pause["created_at"]))
    return begun < at and (pause["resumed_at"] is None or moment(pause["resumed_at"]) > at + LAW_S)


def i8_no_dial_that_the_gate_forbids(w):
    """I8: at its intent and at the carrier's acceptance nothing forbade the dial; the intent's clock was right."""
    wrong = []
    rang = collections.defaultdict(list)
    paused = paused_spans(w.truth)
    for dial in w.dials:
        row = w.row_of(dial)
        if row is None:
            continue  # I3 says so
        key = (row["organization_id"], row["callee_number"])
        late = dial.accepted - moment(row["intent_at"])
        if not row["adopted_at"] and not -CLOCK_S <= late <= LATE_S:
            wrong.append("%s: accepted %.1f s after its intent" % (row["id"], late))
        why = refused(w, row, dial) or spaced(w, row, rang[key])
        if why:
            wrong.append("%s to %s: %s" % (row["id"], dial.callee, why))
        if any(begin + LAW_S < dial.accepted < end for begin, end in paused.get(row["campaign_id"], ())):
            wrong.append("%s: its campaign was paused" % row["id"])
        if dial.rang:
            rang[key].append(moment(row["intent_at"]))
    return wrong, len(w.dials)


def i8_recomputed(w):
    """I8 once more: each attempt that was reserved, judged at its intent by the evaluator of tests/gate."""
    facts = evaluator.Facts(w.rows["gate"])
    wrong, seen = [], 0
    for call in w.out:
        if call["adopted_at"] and call["intent_at"] == call["adopted_at"]:
            continue  # rebuilt for a dial that had happened; it never passed the gate
        seen += 1
        reason, detail = evaluator.recompute(facts, call["id"])
        if reason:
            wrong.append("%s: %s %s" % (call["id"], reason, detail))
    return wrong, seen


def paused_spans(truth):
    """When campaigns were paused, as witnessed by whoever paused them."""
    spans = collections.defaultdict(list)
    for event in truth:
        if event["event"] == "paused":
            spans[event["campaign"]].append([moment(event["at"]), float("inf")])
        elif event["event"] == "resuming" and spans[event["campaign"]]:
            spans[event["campaign"]][-1][1] = moment(event["at"])
    return spans


def most_at_once(spans):
    edges = sorted([(end, -1) for _, end in spans] + [(begin, 1) for begin, _ in spans])
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def most_within(times, seconds):
    times = sorted(times)
    return max((bisect.bisect_left(times, t + seconds) - i for i, t in enumerate(times)), default=0)


def limits_kept(w):
    """Lines at every moment and calls per second over sliding windows, by the carrier's record alone."""
    wrong, seen = [], []
    groups = collections.defaultdict(list)
    for dial in w.dials:
        row = w.row_of(dial)
        if row:
            groups["account", row["carrier_account_id"]].append(dial)
            groups["campaign", row["campaign_id"]].append(dial)
            groups["number", row["caller_number"] + row["organization_id"]].append(dial)
    limit = {("account", a["id"]): (a["lines"], a["calls_per_second"]) for a in w.rows["accounts"]}
    limit.update({("campaign", c["id"]): (c["lines"], c["calls_per_second"]) for c in w.rows["campaigns"]})
    limit.update({("number", n["phone_e164"] + n["organization_id"]): (n["lines"], None) for n in w.rows["numbers"]})
    for key, dials in groups.items():
        lines, rate = limit.get(key, (None, None))
        held = most_at_once([(d.accepted, d.ended or w.now) for d in dials])
        if lines is not None:
            seen.append("%s %d of %d lines" % (key[0], held, lines))
            if held > lines:
                wrong.append("%s %s: %d calls at once, %d lines" % (*key, held, lines))
        for seconds in (1, 5, 20) if rate else ():
            # A claim is paced; its request follows within the claim's deadline and is then another's neighbour.
            most = most_within([d.accepted for d in dials], seconds)
            if most > max(1, rate) * (seconds + 2):
                wrong.append("%s %s: %d calls within %d s at %g a second" % (*key, most, seconds, rate))
    return wrong, len(w.dials), seen


# --- I9 -----------------------------------------------------------------------------------------------

def chain_faults(audit):
    """Recomputes each digest from the row's text, and its place in the tenant's chain."""
    wrong = []
    last = {}
    for a in audit:
        before = last.get(a["organization_id"], {"sequence": 0, "digest": None})
        said = "|".join(str(x) for x in (a["organization_id"], a["sequence"], a["epoch"], a["actor"], a["action"],
                                         a["subject"], a["subject_id"], a["detail_text"]) if x is not None)
        digest = hashlib.sha256(bytes.fromhex(a["previous"] or "") + said.encode()).hexdigest()
        if a["sequence"] != before["sequence"] + 1 or a["previous"] != before["digest"]:
            wrong.append("audit row %s of %s does not follow its predecessor" % (a["sequence"], a["organization_id"]))
        if a["digest"] != digest:
            wrong.append("audit row %s of %s was changed" % (a["sequence"], a["organization_id"]))
        last[a["organization_id"]] = a
    return wrong


def i9_forgeries_changed_nothing(w):
    """I9: forged and replayed reports changed no row, and the audit chain verifies."""
    wrong = []
    reports = [e for e in w.truth if e["event"] == "webhook"]
    forged = [e for e in reports if e["how"].startswith("forged")]
    # The fallback apologises to whoever holds its sealed address, without a database: it can tell nobody's signature.
    wrong += ["a forged %s was answered %d" % (e["kind"], e["status"]) for e in forged
              if 200 <= e["status"] < 300 and e["kind"] != "fallback"]
    marks = {e["mark"] for e in forged if e.get("mark")}
    for event in w.rows["events"]:
        said = json.dumps(event["payload"])
        if "86400" in (event["payload"].get("Duration"), event["payload"].get("BillDuration")) or any(
                m in said or m in (event["call_uuid"], event["request_uuid"], event["event_key"]) for m in marks):
            wrong.append("a forged %s lies in the inbox of %s" % (event["kind"], event["call_log_id"]))
    wrong += ["%s has a forged id or length" % c["id"] for c in w.rows["calls"]
              if c["call_sid"] in marks or c["request_uuid"] in marks or c["duration"] >= 86400]
    # The carrier tells of these once per call, however often it repeats itself.
    count = collections.Counter((e["call_log_id"], e["kind"]) for e in w.rows["events"]
                                if e["source"] == "carrier" and e["kind"] in ("ring", "answer", "hangup") and not e["anomaly"])
    wrong += ["%s of %s counts %d times" % (kind, call, n) for (call, kind), n in count.items() if n > 1]
    wrong += chain_faults(w.rows["audit"])
    return wrong, len(forged) + sum(1 for e in reports if e["how"] == "replayed") + len(w.rows["audit"])


def acknowledged_is_on_file(w):
    """A report that was acknowledged is in the inbox: nothing is acknowledged that is not committed."""
    known = {(e["call_uuid"], e["kind"]) for e in w.rows["events"]} | {
        (w.call[e["call_log_id"]]["call_sid"], e["kind"]) for e in w.rows["events"] if e["call_log_id"] in w.call}
    told = [e for e in w.truth if e["event"] == "webhook" and e["how"] == "sent" and e["leg"] == "lead"
            and 200 <= e["status"] < 300 and e["kind"] in ("ring", "answer", "hangup")]
    return ["%s of %s" % (e["kind"], e["call_uuid"]) for e in told if (e["call_uuid"], e["kind"]) not in known], len(told)


def no_anomaly(w):
    """No incident: no report for another call than the one we know, no call that nobody ordered."""
    wrong = ["%s of %s is an anomaly" % (e["kind"], e["call_log_id"]) for e in w.rows["events"] if e["anomaly"]]
    wrong += ["audit: %s %s %s" % (a["action"], a["subject_id"], a["detail_text"]) for a in w.rows["audit"]
              # Two organizations may share the carrier's account: then one's calls are no orphans of the other's.
              if a["action"] == "call.orphan" and json.loads(a["detail_text"]).get("call_uuid") not in w.by_sid]
    return wrong, len(w.rows["events"])


CHECKS = [("I1 dials per attempt", i1_one_dial_per_attempt), ("I2 dials per person", i2_nobody_twice),
          ("I3 each dial is one ended row", i3_each_dial_on_file), ("I4 each ended row was a dial", i4_each_row_was_dialed),
          ("I5 no attempt is left open", i5_nothing_left_open), ("I6 each job is done or waits", i6_each_job_is_done_or_waits),
          ("I7 nothing is heard of what was not placed", i7_silence_of_the_not_placed),
          ("I8 no dial that the gate forbids", i8_no_dial_that_the_gate_forbids),
          ("I8 by the independent evaluator", i8_recomputed),
          ("I9 forged and replayed reports changed nothing, the audit chain holds", i9_forgeries_changed_nothing),
          ("lines and calls per second, by the carrier's record", limits_kept),
          ("what was acknowledged is on file", acknowledged_is_on_file), ("no anomaly", no_anomaly)]


def check(truth, rows, begins=""):
    """[(name, what is wrong, how many were looked at)] of every check whose name begins so, in order."""
    w = World(truth, rows)
    w.refusals, w.consents = collections.defaultdict(list), collections.defaultdict(list)
    for row in rows["refusals"]:
        w.refusals[row["organization_id"], row["phone_e164"]].append(row)
    for row in rows["consents"]:
        w.consents[row["organization_id"], row["phone_e164"]].append(row)
    # A callback that the lead asked for is exempt from max_attempts.
    w.asked_back = collections.Counter((a["campaign_id"], a["lead_id"]) for a in rows["attempts"]
                                       if a["retry_reason"] == "callback_requested")
    return [(name, *function(w)[:2]) for name, function in CHECKS if name.startswith(begins)]
