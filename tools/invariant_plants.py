"""invariant_plants.py -- a history in which all is well, and one fault planted for each thing that a check must see.

    self_test() yields (ok, name, detail): the good history passes every check; each doctored copy is
    caught by the check that it was made for. `plants_for(truth, rows)` doctors a history of a real run.
"""
import copy
import datetime
import hashlib
import itertools

import invariants

ORG, CAMPAIGN, ACCOUNT = ("00000000-0000-7000-8000-%012d" % i for i in (1, 2, 3))
OURS = "+61255500001"
BEGAN = 1767225600.0


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()


def audit_row(rows, action, detail="{}"):
    last = rows[-1] if rows else None
    row = {"organization_id": ORG, "sequence": len(rows) + 1, "epoch": "1767225600.000000", "actor": "test", "action": action,
           "subject": None, "subject_id": None, "detail_text": detail, "previous": last and last["digest"]}
    said = "|".join(str(x) for x in (ORG, row["sequence"], row["epoch"], "test", action, detail))
    row["digest"] = hashlib.sha256(bytes.fromhex(row["previous"] or "") + said.encode()).hexdigest()
    rows.append(row)


def good_history(people=4, calls_each=2):
    """Each person is phoned `calls_each` times, a minute apart, and one attempt of each was not placed."""
    rows = {name: [] for name in invariants.TABLES}
    rows["organizations"] = [{"id": ORG, "name": "o", "legal_name": "o", "number_cap_24h": 3, "number_cap_7d": 5,
                              "number_spacing_s": 30}]
    rows["accounts"] = [{"organization_id": ORG, "id": ACCOUNT, "lines": 3, "calls_per_second": 2}]
    rows["numbers"] = [{"organization_id": ORG, "phone_e164": OURS, "carrier_account_id": ACCOUNT, "lines": None}]
    rows["campaigns"] = [{"organization_id": ORG, "id": CAMPAIGN, "name": "c", "status": "active", "lines": 3,
                          "calls_per_second": 2, "max_attempts": 3}]
    truth = []
    ids = itertools.count(100)
    for person in range(people):
        add_person(rows, truth, ids, person, calls_each)
    audit_row(rows["audit"], "one")
    audit_row(rows["audit"], "two")
    rows["gate"] = gate_facts(rows)
    rows["now"] = stamp(BEGAN + 3600)
    truth.sort(key=lambda e: e["at"])
    return truth, rows


class Loose(dict):
    """A row of which only some columns matter here."""

    def __missing__(self, name):
        return None


def gate_facts(rows):
    """What the evaluator reads, for a country with hours and a consent to be shown; noon in Sydney."""
    def rule(name, value):
        return {"jurisdiction": "AU", "rule": name, "value": value, "valid_from": "-infinity", "valid_to": "infinity"}

    campaign = Loose(rows["campaigns"][0], weekdays=[1, 2, 3, 4, 5, 6, 7], time_start="00:00:00", time_end="24:00:00",
                     purpose="informational", voice_kind="ai")
    return {
        "compliance_rules": [rule("hours", {"spans": [{"days": [1, 2, 3, 4, 5, 6, 7], "from": "09:00", "to": "20:00"}]}),
                             rule("consent", {"scope": "ai_voice", "levels": {"informational": "express"}})],
        "organizations": [Loose(rows["organizations"][0])], "campaigns": [campaign], "do_not_call": [],
        "leads": [Loose(x, region="AU", zones=["Australia/Sydney"]) for x in rows["leads"]],
        "call_queue": [Loose(x) for x in rows["queue"]], "consents": [Loose(x, id="c") for x in rows["consents"]],
        "call_logs": [Loose(x, gate={}) for x in rows["calls"]],
        "carrier_accounts": [Loose(x, status="active", unknown_limit=20) for x in rows["accounts"]],
        "phone_numbers": [Loose(x, id="n", status="active") for x in rows["numbers"]],
        "campaign_numbers": [Loose(organization_id=ORG, campaign_id=CAMPAIGN, phone_number_id="n")]}


def add_person(rows, truth, ids, person, calls_each):
    phone = "+6141200000%d" % person
    lead, job = ("00000000-0000-7000-8000-%012d" % next(ids) for _ in range(2))
    rows["leads"].append({"organization_id": ORG, "id": lead, "phone_e164": phone, "timezone": "Australia/Sydney"})
    rows["consents"].append({"organization_id": ORG, "phone_e164": phone, "scope": "ai_voice", "level": "written",
                             "seller": "o", "granted_at": stamp(BEGAN - 9e6), "expires_at": None, "revoked_at": None,
                             "updated_at": stamp(BEGAN - 9e6)})
    rows["queue"].append({"organization_id": ORG, "id": job, "campaign_id": CAMPAIGN, "lead_id": lead, "status": "completed",
                          "next_retry_at": "-infinity", "last_error": "answered", "callback_at": None,
                          "attempt_count": calls_each, "max_attempts": 3, "call_log_id": None})
    for number in range(calls_each + 1):
        placed = number < calls_each
        call = "00000000-0000-7000-8000-%012d" % next(ids)
        uuid = "sid-%s" % call[-3:]
        at = BEGAN + person * 3 + number * 60
        rows["calls"].append({
            "organization_id": ORG, "id": call, "lead_id": lead, "campaign_id": CAMPAIGN, "queue_id": job,
            "attempt_number": number + 1, "carrier_account_id": ACCOUNT, "direction": "outbound", "caller_number": OURS,
            "callee_number": phone, "status": "ended" if placed else "not_placed", "call_sid": uuid if placed else None,
            "request_uuid": None, "intent_at": stamp(at), "ringing_at": None, "answered_at": None, "ended_at": stamp(at + 5),
            "resolved_by": "hook" if placed else "absent", "disconnect_reason": "completed", "duration": 3,
            "may_have_rung": placed, "adopted_at": None, "worker_id": None})
        rows["attempts"].append({"organization_id": ORG, "call_log_id": call, "lead_id": lead, "campaign_id": CAMPAIGN,
                                 "attempt_number": number + 1, "outcome": "answered" if placed else "not_placed",
                                 "settled_at": stamp(at + 5), "retry_reason": "busy"})
        if placed:
            add_dial(rows, truth, call, uuid, phone, at)


def add_dial(rows, truth, call, uuid, phone, at):
    def event(name, later, **more):
        truth.append({"at": stamp(at + later), "event": name, "call_uuid": uuid, "request_uuid": None, "leg": "lead",
                      "direction": "outbound", "from": OURS, "to": phone, "cause": None, **more})

    event("accepted", 0.1, answer_url="http://x/carrier/plivo/answer/%s.o.j.1.2.3" % call.replace("-", ""))
    event("rang", 0.4)
    event("answered", 1)
    event("hangup", 2.5)
    event("webhook", 2.6, kind="hangup", how="sent", status=200)
    event("webhook", 2.7, kind="hangup", how="forged_body", status=403)
    event("webhook", 2.8, kind="hangup", how="replayed", status=200)
    rows["events"].append({"organization_id": ORG, "call_log_id": call, "source": "carrier", "kind": "hangup",
                           "event_key": "hangup", "call_uuid": uuid, "request_uuid": None, "payload": {"Duration": "2"},
                           "anomaly": False})


# --- plants: (the check's name begins with, what is planted, how) -------------------------------------
# Each takes (truth, rows) to spoil and picks its victim itself; False: this history offers none.

def accepted(truth):
    return [e for e in truth if e["event"] == "accepted" and e.get("leg", "lead") == "lead"]


def of(truth, name, uuid):
    return next((e for e in truth if e["event"] == name and e.get("call_uuid") == uuid), None)


def first(rows, **wanted):
    return next((r for r in rows if all(r[k] == v for k, v in wanted.items())), None)


def later(text, seconds):
    return stamp(invariants.moment(text) + seconds)


def dialed_row(truth, rows):
    dial = accepted(truth)[-1]
    return dial, first(rows["calls"], call_sid=dial["call_uuid"])


def dialed_twice(truth, rows):
    again = dict(accepted(truth)[0], call_uuid="another", at=later(accepted(truth)[0]["at"], 40))
    truth += [again, dict(again, event="hangup", at=later(again["at"], 1))]
    rows["calls"].append(dict(first(rows["calls"], call_sid=accepted(truth)[0]["call_uuid"]), call_sid="another"))


def rung_twice_by_a_new_attempt(truth, rows):
    """What a lost lease that goes back to the queue does: another attempt while the first one talks."""
    dial = accepted(truth)[0]
    row = dict(first(rows["calls"], call_sid=dial["call_uuid"]), id="00000000-0000-7000-8000-00000000feed", call_sid="second")
    begin = later(of(truth, "hangup", dial["call_uuid"])["at"], -0.2)
    second = dict(dial, call_uuid="second", at=begin, answer_url="http://x/%s.o" % row["id"].replace("-", ""))
    truth += [second, dict(second, event="hangup", at=later(begin, 3))]
    rows["calls"].append(dict(row, intent_at=begin))
    rows["attempts"].append(dict(rows["attempts"][0], call_log_id=row["id"]))


def too_often(truth, rows):
    rows["organizations"] = [dict(o, number_cap_24h=1, number_cap_7d=1) for o in rows["organizations"]]
    people = [e["to"] for e in truth if e["event"] == "rang" and e.get("leg", "lead") == "lead"]
    return len(people) > len(set(people))


def too_many_attempts(truth, rows):
    for q in rows["queue"]:
        q["max_attempts"] = 1
    for a in rows["attempts"]:
        a["retry_reason"] = None
    people = [e["to"] for e in accepted(truth)]
    return len(people) > len(set(people))


def ledger_lost_a_dial(truth, rows):
    _, row = dialed_row(truth, rows)
    rows["calls"].remove(row)


def written_off_but_dialed(truth, rows):
    _, row = dialed_row(truth, rows)
    row.update(status="not_placed", call_sid=None)


def two_rows_for_a_dial(truth, rows):
    _, row = dialed_row(truth, rows)
    rows["calls"].append(dict(row, id="00000000-0000-7000-8000-00000000beef"))


def ended_without_a_dial(truth, rows):
    dial = accepted(truth)[-1]["call_uuid"]
    truth[:] = [e for e in truth if e.get("call_uuid") != dial]


def left_unknown(truth, rows):
    dialed_row(truth, rows)[1]["status"] = "outcome_unknown"


def unsettled(truth, rows):
    rows["attempts"][0]["outcome"] = None


def job_forgotten(truth, rows):
    rows["queue"][0].update(status="processing")


def job_overdue(truth, rows):
    """Due, nothing forbids it, and nobody dials it: its person is given no history that the gate could mind."""
    job = rows["queue"][0]
    for c in rows["campaigns"]:
        c["status"] = "active"
    job.update(status="queued", next_retry_at=later(rows["now"], -60))
    if rows["gate"]:
        rows["gate"] = dict(rows["gate"], call_logs=[], do_not_call=[], dial_pauses=[], platform_pauses=[],
                            campaign_days=[], campaign_deltas=[], consents=[
                                dict(c, revoked_at=None) for c in rows["gate"]["consents"]],
                            campaigns=[Loose(c, status="active") for c in rows["gate"]["campaigns"]],
                            call_queue=[Loose(q, attempt_count=0) for q in rows["gate"]["call_queue"]])


def report_of_the_not_placed(truth, rows):
    gone = first(rows["calls"], status="not_placed")
    if gone is None or not rows["events"]:
        return False
    rows["events"].append(dict(rows["events"][0], call_log_id=gone["id"], kind="ring", source="carrier", anomaly=False))
    return True


def refused_before(truth, rows):
    dial, row = dialed_row(truth, rows)
    rows["refusals"].append({"organization_id": row["organization_id"], "phone_e164": dial["to"], "campaign_id": None,
                             "call_log_id": None, "created_at": later(dial["at"], -2), "lifted_at": None})


def paused_before(truth, rows):
    dial, row = dialed_row(truth, rows)
    rows["pauses"].append({"organization_id": row["organization_id"], "scope": "number", "campaign_id": None,
                           "phone_e164": row["callee_number"], "paused_at": later(dial["at"], -2),
                           "created_at": later(dial["at"], -2), "resumed_at": later(dial["at"], 60)})


def campaign_paused_before(truth, rows):
    dial, row = dialed_row(truth, rows)
    truth += [{"at": later(dial["at"], -2), "event": "paused", "campaign": row["campaign_id"]},
              {"at": later(dial["at"], 2), "event": "resuming", "campaign": row["campaign_id"]}]


def consent_was_revoked(truth, rows):
    dial, row = dialed_row(truth, rows)
    rows["consents"] = [c for c in rows["consents"] if c["phone_e164"] != dial["to"]] + [{
        "organization_id": row["organization_id"], "phone_e164": dial["to"], "scope": "ai_voice", "level": "written",
        "seller": "o", "granted_at": later(dial["at"], -9000), "expires_at": None, "revoked_at": later(dial["at"], -9),
        "updated_at": later(dial["at"], -9)}]


def too_soon(truth, rows):
    rows["organizations"] = [dict(o, number_spacing_s=2000000) for o in rows["organizations"]]
    people = [e["to"] for e in truth if e["event"] == "rang" and e.get("leg", "lead") == "lead"]
    return len(people) > len(set(people))


def intent_by_a_wrong_clock(truth, rows):
    _, row = dialed_row(truth, rows)
    row["intent_at"] = later(row["intent_at"], 3600)


def too_many_lines(truth, rows):
    for a in rows["accounts"] + rows["campaigns"]:
        a["lines"] = 0


def too_fast(truth, rows):
    dial, row = dialed_row(truth, rows)
    for i in range(400):
        begin = later(dial["at"], 100 + i / 1000)
        truth += [dict(dial, call_uuid="fast-%d" % i, at=begin, answer_url=None),
                  dict(dial, call_uuid="fast-%d" % i, event="hangup", at=later(begin, 0.0001))]
        rows["calls"].append(dict(row, call_sid="fast-%d" % i))


def forged_taken(truth, rows):
    some = next((e for e in truth if e["event"] == "webhook" and e["how"].startswith("forged")), None)
    if some is None:
        return False
    some["status"] = 200
    return True


def forged_in_the_inbox(truth, rows):
    if not rows["events"]:
        return False
    rows["events"][-1]["payload"] = dict(rows["events"][-1]["payload"], Duration="86400")
    return True


def replay_counted(truth, rows):
    some = next((e for e in rows["events"] if e["kind"] == "hangup" and not e["anomaly"] and e["source"] == "carrier"), None)
    if some is None:
        return False
    rows["events"].append(dict(some, event_key="again"))
    return True


def audit_changed(truth, rows):
    if not rows["audit"]:
        return False
    rows["audit"][0]["detail_text"] = '{"something": "else"}'
    return True


def audit_row_removed(truth, rows):
    if len(rows["audit"]) < 2:
        return False
    del rows["audit"][0]
    return True


def acknowledged_and_lost(truth, rows):
    some = next((e for e in truth if e["event"] == "webhook" and e["how"] == "sent" and e["status"] == 200
                 and e["leg"] == "lead" and e["kind"] == "hangup"), None)
    if some is None:
        return False
    call = first(rows["calls"], call_sid=some["call_uuid"])
    rows["events"] = [e for e in rows["events"] if e["call_log_id"] != call["id"]]
    return True


def anomalous(truth, rows):
    if not rows["events"]:
        return False
    rows["events"][0]["anomaly"] = True
    return True


def gate_refused(truth, rows):
    call = first(rows["calls"], direction="outbound", status="ended")
    if not rows["gate"] or call is None:
        return False
    rows["gate"] = dict(rows["gate"], do_not_call=rows["gate"]["do_not_call"] + [{
        "organization_id": call["organization_id"], "id": "x", "phone_e164": call["callee_number"], "campaign_id": None,
        "added_at": later(call["intent_at"], -60), "created_at": later(call["intent_at"], -60), "lifted_at": None}])
    return True


def gate_at_night(truth, rows):
    """The same dials, to people whose clocks show something else."""
    if not rows["gate"] or not rows["gate"]["call_logs"]:
        return False
    hour = datetime.datetime.fromtimestamp(invariants.moment(rows["gate"]["call_logs"][0]["intent_at"]), datetime.timezone.utc).hour
    zone = "Etc/GMT%+d" % (hour - 2 if hour <= 14 else hour - 26)  # 02:30 or so there
    rows["gate"] = dict(rows["gate"], leads=[Loose(x, timezone=zone) for x in rows["gate"]["leads"]])
    return True


def gate_consents_gone(truth, rows):
    if not rows["gate"]:
        return False
    rows["gate"] = dict(rows["gate"], consents=[])
    return True


PLANTS = [
    ("I8 by", gate_refused), ("I8 by", gate_at_night), ("I8 by", gate_consents_gone),
    ("I1", dialed_twice), ("I2", rung_twice_by_a_new_attempt), ("I2", too_often), ("I2", too_many_attempts),
    ("I3", ledger_lost_a_dial), ("I3", written_off_but_dialed), ("I3", two_rows_for_a_dial), ("I4", ended_without_a_dial),
    ("I5", left_unknown), ("I5", unsettled), ("I6", job_forgotten), ("I6", job_overdue), ("I7", report_of_the_not_placed),
    ("I7", written_off_but_dialed), ("I8 no", refused_before), ("I8 no", paused_before), ("I8 no", campaign_paused_before),
    ("I8 no", consent_was_revoked), ("I8 no", too_soon), ("I8 no", intent_by_a_wrong_clock), ("I9", forged_taken),
    ("I9", forged_in_the_inbox), ("I9", replay_counted), ("I9", audit_changed), ("I9", audit_row_removed),
    ("lines", too_many_lines), ("lines", too_fast), ("what was", acknowledged_and_lost), ("no anomaly", anomalous)]


def judge(truth, rows, begins=""):
    return {name: wrong for name, wrong, _ in invariants.check(truth, rows, begins)}


def copy_of(rows):
    """Deep, but for the law's tables: plants replace those, they do not edit them."""
    return {name: table if name == "gate" else copy.deepcopy(table) for name, table in rows.items()}


def plants_for(truth, rows):
    """(caught, name, detail) of each plant in a copy of this history."""
    for begins, plant in PLANTS:
        spoiled_truth, spoiled_rows = copy.deepcopy(truth), copy_of(rows)
        name = "%s sees %s" % (begins, plant.__name__.replace("_", " "))
        try:
            offered = plant(spoiled_truth, spoiled_rows)
        except (IndexError, TypeError, StopIteration):
            offered = False
        if offered is False:
            yield None, name, "this history offers no victim"
            continue
        caught = any(judge(spoiled_truth, spoiled_rows, begins).values())
        yield caught, name, "" if caught else "only: %s" % [n for n, wrong in judge(spoiled_truth, spoiled_rows).items() if wrong]


def self_test():
    truth, rows = good_history()
    for name, wrong in judge(truth, rows).items():
        yield not wrong, "the good history passes: " + name, wrong
    for caught, name, detail in plants_for(truth, rows):
        yield bool(caught), name, detail
