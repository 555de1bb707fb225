"""Small worlds as plain data: what one golden row or one random case says of a tenant, its campaign and its lead becomes rows of
the tables, for the database and for the second evaluator alike.

A world is a dict; what it does not name is as in BASE: a lead in New York whose written consent names the seller, and an active
campaign that is open day and night.
"""
import copy

FROM = "+16465550000"
BASE = {
    "lead": {"region": "US", "phone_e164": "+12125550100", "timezone": None, "zones": ["America/New_York"], "address_region": None,
             "residence_region": None, "archived_at": None},
    "org": {"name": "Acme", "legal_name": "Acme Ltd.", "sector": "other", "number_cap_24h": 3, "number_cap_7d": 7,
            "number_spacing_s": 1800, "archived_at": None},
    "campaign": {"status": "active", "closing_reason": None, "archived_at": None, "start_date": None, "end_date": None,
                 "time_start": "00:00", "time_end": "24:00", "weekdays": [1, 2, 3, 4, 5, 6, 7], "timezone": None, "purpose": "marketing",
                 "voice_kind": "ai", "legal_name": "Acme Ltd.", "category": None, "lines": 10, "calls_per_second": 10.0,
                 "max_duration_s": 600, "budget_minor": None, "budget_currency": None, "reserve_minor": None, "spent_micros": 0},
    "account": {"status": "active", "lines": 10, "calls_per_second": 10.0, "unknown_limit": 20, "minute_micros": 60000},
    "number": {"phone_e164": FROM, "status": "active", "lines": None},
    "queue": {"attempt_count": 0, "max_attempts": 3, "callback_at": None},
    "from": FROM,
}
MANY = ("consents", "calls", "dnc", "lists", "checks", "preferences", "rules", "days", "deltas", "pauses", "enabled")
# Kept by the database itself.
GENERATED = {"organizations": {"organization_id"}, "call_logs": {"may_have_rung"}}


def uid(kind, n, k=0):
    return "%08x-0000-7000-8000-%06x%06x" % (kind, n, k)


def rung(row):
    """What may have rung, from the words of the field: all but what was never placed, and what ended unplaceable."""
    return (row["direction"] == "outbound" and row["status"] != "not_placed" and not (
        row["status"] == "ended" and row["ringing_at"] is None and row["answered_at"] is None
        and row["disconnect_reason"] in ("invalid_number", "unreachable", "refused_by_carrier")))


def whole(world):
    full = copy.deepcopy(BASE)
    for key, value in world.items():
        if isinstance(value, dict) and key in full:
            full[key].update(value)
        else:
            full[key] = value
    for key in MANY:
        full.setdefault(key, [])
    return full


def call_row(n, k, world, call):
    row = {"organization_id": uid(1, n), "id": uid(7, n, k), "lead_id": uid(5, n), "campaign_id": uid(4, n), "queue_id": uid(6, n),
           "attempt_number": k + 1, "carrier_account_id": uid(2, n), "direction": "outbound", "caller_number": FROM,
           "callee_number": world["lead"]["phone_e164"], "status": "ended", "intent_at": call["at"], "ringing_at": None,
           "answered_at": None, "ended_at": None, "duration": 0, "machine_detected": None, "disclosure_played_at": None,
           "disconnect_reason": "no_answer", "disposition": None, "reserved_micros": 0}
    row.update({key: value for key, value in call.items() if key != "at"})
    if row["status"] in ("ended", "not_placed") and row["ended_at"] is None:
        row["ended_at"] = call["at"]
    row["may_have_rung"] = rung(row)
    return row


def rows_of(n, world):
    """The rows of world n, {table: [row]}."""
    w = whole(world)
    org, account, number, campaign, lead = (uid(kind, n) for kind in (1, 2, 3, 4, 5))
    mine = {"organization_id": org}
    phone = w["lead"]["phone_e164"]
    rows = {
        "organizations": [{"id": org, "organization_id": org, "slug": "world-%d" % n, **w["org"]}],
        "carrier_accounts": [{**mine, "id": account, "name": "a", "auth_id": "MA", **w["account"]}],
        "phone_numbers": [{**mine, "id": number, "carrier_account_id": account, **w["number"]}],
        "campaigns": [{**mine, "id": campaign, "name": "c", **w["campaign"]}],
        "campaign_numbers": [{**mine, "campaign_id": campaign, "phone_number_id": number}],
        "leads": [{**mine, "id": lead, **w["lead"]}],
        "call_queue": [{**mine, "id": uid(6, n), "campaign_id": campaign, "lead_id": lead, **w["queue"]}],
        "call_logs": [call_row(n, k, w, call) for k, call in enumerate(w["calls"])],
        "consents": [{**mine, "id": uid(8, n, k), "phone_e164": phone, "scope": "ai_voice", "level": "written", "seller": "ACME LTD",
                      "source": "form", "evidence": {"form": 1}, "expires_at": None, "revoked_at": None, **row}
                     for k, row in enumerate(w["consents"])],
        "do_not_call": [{**mine, "id": uid(9, n, k), "phone_e164": phone, "campaign_id": campaign if row.get("here") else None,
                         "source": "dtmf", "added_at": row.get("at", "2026-01-01T00:00:00+00:00"),
                         "lifted_at": row.get("lifted_at"), "lifted_by": "me" if row.get("lifted_at") else None,
                         "lift_reason": "r" if row.get("lifted_at") else None} for k, row in enumerate(w["dnc"])],
        "dnc_lists": [{**mine, "id": uid(10, n, k), "name": row["code"], "code": row["code"], "kind": row.get("kind", "do_not_call"),
                       "as_of": row["as_of"], "purposes": row.get("purposes"),
                       "status": "superseded" if row.get("active_until") else "active",
                       "active_from": row.get("active_from", row["as_of"] + "T00:00:00+00:00"), "active_until": row.get("active_until")}
                      for k, row in enumerate(w["lists"])],
        "dnc_list_numbers": [{**mine, "phone_e164": phone, "list_id": uid(10, n, k)} for k, row in enumerate(w["lists"]) if row.get("has")],
        "number_checks": [{**mine, "phone_e164": phone, "checked_at": row["at"], "result": row["result"]} for row in w["checks"]],
        "number_preferences": [{**mine, "phone_e164": phone, "checked_at": row["at"], "blocked_categories": row.get("categories", []),
                                "blocked_modes": row.get("modes", []), "spans": row.get("spans")} for row in w["preferences"]],
        "organization_rules": [{**mine, "id": uid(11, n, k), "valid_from": "-infinity", "valid_to": "infinity", "set_by": "me", **row}
                               for k, row in enumerate(w["rules"])],
        "campaign_days": [{**mine, "campaign_id": campaign, "live_answers": 0, "abandoned": 0, "answers": 0, "short_calls": 0, **row}
                          for row in w["days"]],
        "campaign_deltas": [{**mine, "id": uid(12, n, k), "campaign_id": campaign, "day": None, "live_answers": 0, "abandoned": 0,
                             "answers": 0, "short_calls": 0, "spent_micros": 0, **row} for k, row in enumerate(w["deltas"])],
        "dial_pauses": [{**mine, "id": uid(13, n, k), "scope": row["scope"], "campaign_id": campaign if row["scope"] == "campaign" else None,
                         "phone_e164": row.get("number"), "reason": "r", "paused_by": "me", "paused_at": row["at"],
                         "resumed_at": row.get("until"), "resumed_by": "me" if row.get("until") else None}
                        for k, row in enumerate(w["pauses"])],
        "region_enablements": [{**mine, "region": row["region"], "enabled_by": "me", "enabled_at": row.get("at", "2020-01-01T00:00:00+00:00"),
                                "disabled_at": row.get("until")} for row in w["enabled"]],
    }
    return rows


def question(n, world):
    return uid(1, n), uid(4, n), uid(5, n), whole(world)["from"]


def gather(worlds):
    """All rows of many worlds, by table."""
    tables = {}
    for n, world in worlds:
        for name, rows in rows_of(n, world).items():
            tables.setdefault(name, []).extend(rows)
    return tables
