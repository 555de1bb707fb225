"""The second judge of every dial: the rules of docs/compliance.md, read once more from their text, in Python.

It shares no code with the SQL gate and reads the same facts: a dict of tables, each a list of rows as row_to_json gives
them (times and dates as text, jsonb as objects).

    facts = Facts(tables)
    verdict(facts, organization, campaign, lead, from_number, at)  ->  (reason or None, next change or None)
    recompute(facts, call_id)  ->  (reason or None, what was looked at): was the dial allowed at its intent_at, by the rows
                                   as they stood then?
    psql_facts(url)            ->  Facts read from a database by psql
"""
import datetime as dt
import json
import math
import re
import subprocess
from collections import defaultdict

from clocks import DAY, UTC, Span, is_open, next_open, zone_of

NO_CENTS = {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"}
MILLS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}
SHARED = ("compliance_rules", "holidays", "area_jurisdictions", "jurisdiction_zones", "platform_pauses")
TENANT = ("organizations", "campaigns", "leads", "call_queue", "call_logs", "do_not_call", "consents", "region_enablements",
          "dial_pauses", "organization_rules", "dnc_lists", "dnc_list_numbers", "number_checks", "number_preferences",
          "campaign_days", "campaign_deltas", "phone_numbers", "campaign_numbers", "carrier_accounts")
LIVE_END = ("ended", "not_placed")


def moment(text):
    if text is None or isinstance(text, dt.datetime):
        return text
    if text in ("infinity", "-infinity"):
        return (dt.datetime.max if text == "infinity" else dt.datetime.min).replace(tzinfo=UTC)
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "T")).astimezone(UTC)


def date(text):
    if text is None or isinstance(text, dt.date):
        return text
    return {"infinity": dt.date.max, "-infinity": dt.date.min}.get(text) or dt.date.fromisoformat(text)


class Facts:
    """Rows by what they are looked up by."""

    def __init__(self, tables):
        self.tables = {name: tables.get(name) or [] for name in SHARED + TENANT}
        self.one = {name: {row["id"]: row for row in self.tables[name]}
                    for name in ("organizations", "campaigns", "leads", "call_logs", "carrier_accounts", "dnc_lists")}
        self.by = {name: self.group(name, *keys) for name, keys in {
            "do_not_call": ("organization_id", "phone_e164"), "consents": ("organization_id", "phone_e164"),
            "dnc_list_numbers": ("organization_id", "phone_e164"), "number_checks": ("organization_id", "phone_e164"),
            "number_preferences": ("organization_id", "phone_e164"), "call_queue": ("campaign_id", "lead_id"),
            "dial_pauses": ("organization_id",), "organization_rules": ("organization_id",), "dnc_lists": ("organization_id",),
            "region_enablements": ("organization_id",), "campaign_days": ("campaign_id",), "campaign_deltas": ("campaign_id",),
            "phone_numbers": ("organization_id",), "campaign_numbers": ("campaign_id",)}.items()}
        self.calls_to = self.group("call_logs", "organization_id", "callee_number")
        self.calls_of_campaign = self.group("call_logs", "campaign_id")
        self.calls_of_account = self.group("call_logs", "carrier_account_id")
        self.rules = self.group("compliance_rules", "jurisdiction")
        self.areas = {row["prefix"]: row["jurisdiction"] for row in self.tables["area_jurisdictions"]}
        self.zones = {row["jurisdiction"]: row["zones"] for row in self.tables["jurisdiction_zones"]}
        days = defaultdict(set)
        for row in self.tables["holidays"]:
            days[row["region"]].add(date(row["day"]))
        self.holidays = {region: frozenset(found) for region, found in days.items()}

    def group(self, name, *keys):
        found = defaultdict(list)
        for row in self.tables[name]:
            found[tuple(row[key] for key in keys)].append(row)
        return found


class Case:
    """One question: may this campaign dial this lead from this number at this moment?"""

    def __init__(self, facts, organization, campaign, lead, from_number, at, past=False):
        self.facts = facts
        self.org_id = organization
        self.org = facts.one["organizations"].get(organization)
        self.campaign = self.own(facts.one["campaigns"].get(campaign))
        self.lead = self.own(facts.one["leads"].get(lead))
        self.phone = self.lead and self.lead["phone_e164"]
        self.from_number = from_number
        self.at = at
        self.today = at and at.astimezone(UTC).date()
        self.past = past  # judge by rows as they stood at `at`
        self.self_id = None
        self.callback = False

    def own(self, row):
        return row if row and row["organization_id"] == self.org_id else None

    # -- who and where
    def places(self):
        lead = self.lead
        found = [lead["region"]]
        area = self.facts.areas.get(self.phone[:5])
        if self.phone.startswith("+1") and area and area[:2] == lead["region"]:
            found.append(area)
        for stated in (lead.get("address_region"), lead.get("residence_region")):
            if stated and stated not in found:
                found.append(stated)
        return found

    def zone_names(self):
        lead = self.lead
        if lead["timezone"]:
            return [lead["timezone"]]
        names = list(lead["zones"] or ([self.campaign["timezone"]] if self.campaign["timezone"] else []))
        if names:
            for stated in (lead.get("address_region"), lead.get("residence_region")):
                if stated and stated != lead["region"]:
                    known = self.facts.zones.get(stated) or self.facts.zones.get(stated[:2])
                    if not known:
                        return []
                    names += [zone for zone in known if zone not in names]
        return names

    def enabled(self, country):
        return any(row["region"] == country and moment(row["enabled_at"]) <= self.at
                   and (row["disabled_at"] is None or moment(row["disabled_at"]) > self.at)
                   for row in self.facts.by["region_enablements"][(self.org_id,)])

    # -- the rules that apply
    def in_force(self, rows):
        c = self.campaign
        for row in rows:
            value = row["value"]
            if not date(row["valid_from"]) <= self.today < date(row["valid_to"]):
                continue
            if isinstance(value, dict) and (
                    c["purpose"] not in value.get("purposes", [c["purpose"]])
                    or c["voice_kind"] not in value.get("voices", [c["voice_kind"]])
                    or self.org["sector"] not in value.get("sectors", [self.org["sector"]])):
                continue
            yield row

    def collect_rules(self, places):
        """All rules of the places, or the country that has none."""
        countries = sorted({place[:2] for place in places})
        jurisdictions = ["ALL"] + countries + [place for place in places if len(place) > 2]
        missing = None
        for country in countries:
            if any(row["rule"] == "hours" for row in self.in_force(self.facts.rules[(country,)])):
                continue
            if not self.enabled(country):
                missing = country
            elif "*" not in jurisdictions:
                jurisdictions.append("*")
        rules = [(place, row["rule"], row["value"]) for place in dict.fromkeys(jurisdictions)
                 for row in self.in_force(self.facts.rules[(place,)])]
        self.law_rules = list(rules)
        own = self.facts.by["organization_rules"][(self.org_id,)]
        rules += [(row["jurisdiction"], row["rule"], row["value"]) for row in self.in_force(own) if row["jurisdiction"] in jurisdictions]
        return rules, missing

    def values(self, kind):
        return [value for _, rule, value in self.rules if rule == kind]

    def strictest(self, kind, name, best=min):
        found = [value[name] for value in self.values(kind) if value.get(name) is not None]
        return best(found) if found else None

    def windows(self):
        c = self.campaign
        found = [[Span(c["weekdays"], c["time_start"], c["time_end"], date(c["start_date"]), date(c["end_date"]))]]
        for place, kind, value in self.rules:
            if kind == "hours":
                closed = self.facts.holidays.get(place[:2]) if value.get("holidays") else None
                found.append([Span(span["days"], span["from"], span["to"], holidays=closed) for span in value["spans"]])
        chosen = self.preference()
        if self.values("preferences") and chosen and chosen.get("spans") is not None:
            found.append([Span(span["days"], span["from"], span["to"]) for span in chosen["spans"]])
        return found

    def next_open(self, at):
        return next_open(self.window_list, self.zones, at, date(self.campaign["start_date"]))

    # -- the checks, each (reason, next change) or None
    def check_campaign(self):
        c = self.campaign
        if self.at is None or c is None:
            return "campaign_paused", None
        if not self.past and (c["status"] != "active" or c["archived_at"] or c["closing_reason"]):
            return "campaign_paused", None
        return None

    def check_lead(self):
        if self.lead is None or (not self.past and (self.lead["archived_at"] or self.org["archived_at"])):
            return "lead_archived", None
        return None

    def check_paused(self):
        def on(row):
            if self.past and moment(row["paused_at"]) > self.at - dt.timedelta(seconds=1):
                return False  # takes effect within a second
            return row["resumed_at"] is None or moment(row["resumed_at"]) > self.at
        if any(on(row) for row in self.facts.tables["platform_pauses"]):
            return "dial_paused", None
        for row in self.facts.by["dial_pauses"][(self.org_id,)]:
            if on(row) and (row["scope"] == "tenant" or (row["scope"] == "campaign" and row["campaign_id"] == self.campaign["id"])
                            or (row["scope"] == "number" and row["phone_e164"] in (self.from_number, self.phone))):
                return "dial_paused", None
        return None

    def check_refusal(self):
        def stands(row):
            if self.past:
                return (moment(row["added_at"]) <= self.at - dt.timedelta(seconds=1)
                        and (row["lifted_at"] is None or moment(row["lifted_at"]) > self.at))
            return row["lifted_at"] is None
        found = [row["campaign_id"] for row in self.facts.by["do_not_call"][(self.org_id, self.phone)] if stands(row)]
        if None in found:
            return "dnc_internal", None
        return ("dnc_campaign", None) if self.campaign["id"] in found else None

    def check_country(self):
        if self.lead["region"] is None:
            return "region_unknown", None
        self.place_list = self.places()
        self.rules, self.missing = self.collect_rules(self.place_list)
        self.window_list = self.windows()
        self.zones = self.zone_names()
        return None

    def check_prefix(self):
        if any(self.phone.startswith(prefix) for value in self.values("prefixes") for prefix in value) and not self.missing:
            return "prohibited_prefix", None
        return None

    def check_rules(self):
        if self.missing:
            return "rule_missing", None
        for place, kind, _ in self.rules:
            if kind != "areas":
                continue
            parts = [found for found in self.place_list if found.startswith(place + "-")]
            if not parts or (place == self.lead["region"] and self.phone[:5] not in self.facts.areas):
                return "region_unknown", None
        for place, kind, value in self.rules:
            if kind == "notice" and self.campaign["purpose"] in value and self.campaign["voice_kind"] == "ai" \
                    and not self.enabled(place):
                return "rule_missing", None
        return None

    def valid_consents(self, scopes):
        return [row for row in self.facts.by["consents"][(self.org_id, self.phone)]
                if row["scope"] in scopes and moment(row["granted_at"]) <= self.at
                and (row["expires_at"] is None or moment(row["expires_at"]) > self.at)
                and (row["revoked_at"] is None or moment(row["revoked_at"]) > self.at)]

    def names_us(self, row):
        def letters(text):
            return re.sub(r"[\W_]", "", text.lower())
        seller = self.campaign["legal_name"] or self.org["legal_name"] or self.org["name"]
        return row["seller"] == seller or letters(row["seller"]) == letters(seller) != ""

    def check_consent(self):
        purpose = self.campaign["purpose"]
        asked = [value for value in self.values("consent") if value["levels"].get(purpose)]
        levels = {value["levels"][purpose] for value in asked}
        per_seller = any(value.get("per_seller") for value in asked)
        scopes = {"ai_voice"} | ({"human_voice"} if self.campaign["voice_kind"] == "human" else set())
        valid = self.valid_consents(scopes)
        self.permitted = any(row["level"] == "written" and self.names_us(row) for row in valid)
        fitting = [row for row in valid if ("written" not in levels or row["level"] == "written")
                   and (not per_seller or self.names_us(row))]
        self.consent_at = max((moment(row["granted_at"]) for row in fitting), default=None)
        self.consent_asked = bool(levels)
        return ("consent_missing", None) if levels and not fitting else None

    def related(self, asked):
        for row in self.valid_consents({"purchase", "inquiry"} & set(asked.get("exempt", []))):
            given = moment(row["granted_at"])
            months = given.month - 1 + asked[row["scope"] + "_months"]
            year, month = given.year + months // 12, months % 12 + 1
            last = (dt.date(year + month // 12, month % 12 + 1, 1) - DAY).day
            if self.at < given.replace(year=year, month=month, day=min(given.day, last)):
                return True
        return False

    def list_in_force(self, row):
        return (row["active_from"] is not None and moment(row["active_from"]) <= self.at
                and (row["active_until"] is None or moment(row["active_until"]) > self.at))

    def check_lists(self):
        exempt, bound = set(), set()
        lists = [row for row in self.facts.by["dnc_lists"][(self.org_id,)] if self.list_in_force(row)]
        for value in self.values("lists"):
            for asked in value["lists"]:
                if ("written" in asked.get("exempt", []) and self.permitted) or self.related(asked):
                    exempt.add(asked["list"])
                    continue
                bound.add(asked["list"])
                dates = [date(row["as_of"]) for row in lists if row["code"] == asked["list"]]
                if not dates or (self.today - max(dates)).days > asked["max_age_days"]:
                    return "dnc_list_stale", None
        kinds = set()
        for entry in self.facts.by["dnc_list_numbers"][(self.org_id, self.phone)]:
            row = self.facts.one["dnc_lists"][entry["list_id"]]
            if self.list_in_force(row) and (row["purposes"] is None or self.campaign["purpose"] in row["purposes"]) \
                    and (row["kind"] == "prohibited" or row["code"] not in exempt - bound):
                kinds.add(row["kind"])
        if "prohibited" in kinds:
            return "prohibited_prefix", None
        return ("dnc_list", None) if kinds else None

    def check_reassigned(self):
        days = self.strictest("reassigned", "max_age_days")
        if days is None or not self.consent_asked:
            return None
        checks = [(moment(row["checked_at"]), row["result"]) for row in self.facts.by["number_checks"][(self.org_id, self.phone)]
                  if self.consent_at < moment(row["checked_at"]) <= self.at]
        known_at, result = max(checks, default=(self.consent_at, "no"))
        if result != "no" or self.at - known_at > dt.timedelta(days=days):
            return "number_reassigned", None
        return None

    def check_series(self):
        for value in self.values("caller_series"):
            wanted = value.get(self.campaign["purpose"])
            if wanted and not any(self.from_number.startswith(prefix) for prefix in wanted):
                return "caller_series", None
        return None

    def check_attempts(self):
        for row in self.facts.by["call_queue"][(self.campaign["id"], self.lead["id"])]:
            made = row["attempt_count"]
            callback = row["callback_at"]
            if self.past:
                made = sum(1 for call in self.facts.calls_of_campaign[(self.campaign["id"],)]
                           if call["queue_id"] == row["id"] and call["status"] not in ("reserved", "not_placed")
                           and moment(call["intent_at"]) < self.at)
                callback = self.callback
            if made >= row["max_attempts"] and not callback:
                return "attempt_limit", None
        return None

    def preference(self):
        found = [row for row in self.facts.by["number_preferences"][(self.org_id, self.phone)] if moment(row["checked_at"]) <= self.at]
        return max(found, key=lambda row: moment(row["checked_at"]), default=None)

    def check_preference(self):
        days = self.strictest("preferences", "max_age_days")
        if days is None:
            return None
        found = self.preference()
        if found is None or self.at - moment(found["checked_at"]) > dt.timedelta(days=days):
            return "dnc_list_stale", None
        blocked = found["blocked_categories"]
        category = self.campaign["category"]
        modes = {"auto_dialer", "robo"} if self.campaign["voice_kind"] == "ai" else {"voice"}
        if 0 in blocked or (blocked and (category is None or category in blocked)) or modes & set(found["blocked_modes"]):
            return "preference", None
        return None

    def check_window(self):
        c = self.campaign
        if not self.zones or any(zone_of(name) is None for name in self.zones):
            return "timezone_unknown", None
        if is_open(self.window_list, self.zones, self.at):
            return None
        opening = self.next_open(self.at)
        dates = [self.at.astimezone(zone_of(name)).date() for name in self.zones]
        first, last = date(c["start_date"]), date(c["end_date"])
        # The morning after the last date is still its, where its window crosses midnight.
        if any(first and day < first for day in dates) or (opening is None and last):
            return "dates", opening
        closed = [self.facts.holidays.get(place[:2], ()) for place, kind, value in self.rules if kind == "hours" and value.get("holidays")]
        holiday = any(day in days for days in closed for day in dates)
        return ("holiday" if holiday else "outside_window"), opening

    def other_calls(self):
        return [row for row in self.facts.calls_to[(self.org_id, self.phone)]
                if row["id"] != self.self_id and row["direction"] == "outbound"
                and not (self.past and moment(row["intent_at"]) >= self.at)]

    def latest(self, reasons):
        """Of (reason, free again at), the one that lasts longest."""
        held = [(free, reason) for reason, free in reasons if free is not None and free > self.at]
        if not held:
            return None
        free, reason = max(held)
        return reason, self.next_open(free)

    def check_holds(self):
        ended = [row for row in self.other_calls() if row["answered_at"] and row["ended_at"] and moment(row["ended_at"]) <= self.at]

        def gone(row):
            return (row["status"] == "ended" and not row["machine_detected"] and row["disclosure_played_at"] is None
                    and row["disconnect_reason"] in ("provider_error", "model_error", "cancelled"))

        def free(rows, name, unit):
            span = self.strictest("holds", name, max)
            ends = [moment(row["ended_at"]) for row in rows]
            return max(ends) + span * unit if ends and span else None
        hour = dt.timedelta(hours=1)
        return self.latest([
            ("abandon_hold", free([row for row in ended if gone(row)], "abandon_h", hour)),
            ("refusal_hold", free([row for row in ended if row["disposition"] in ("not_interested", "do_not_call")], "refusal_d", DAY)),
            ("conversation_hold", free([row for row in ended if row["status"] == "ended" and not row["machine_detected"]
                                        and not gone(row)], "conversation_d", DAY))])

    def check_number(self):
        rang = [row for row in self.other_calls() if row["may_have_rung"] and moment(row["intent_at"]) > self.at - 30 * DAY]
        for row in rang:
            live = row["status"] not in LIVE_END
            if self.past:
                live = row["ended_at"] is None and row["status"] not in LIVE_END or (
                    row["ended_at"] is not None and moment(row["ended_at"]) > self.at)
            if live:
                return "duplicate", self.at + dt.timedelta(minutes=1)
        dials = sorted((moment(row["intent_at"]) for row in rang), reverse=True)

        def leaves(cap, span):
            return dials[cap - 1] + span if cap is not None and len(dials) >= cap else None

        def cap(own, name):
            return min((n for n in (own, self.strictest("frequency", name)) if n is not None), default=None)
        return self.latest([
            ("spacing", dials[0] + dt.timedelta(seconds=self.org["number_spacing_s"]) if dials else None),
            ("attempt_limit", leaves(cap(self.org["number_cap_24h"], "24h"), DAY)),
            ("attempt_limit", leaves(cap(self.org["number_cap_7d"], "7d"), 7 * DAY)),
            ("attempt_limit", leaves(cap(None, "30d"), 30 * DAY))])

    def guard(self, kind, of, bad):
        share = self.strictest(kind, "share")
        if share is None:
            return False
        # A tenant's own rule may not stretch the law's days.
        days = max((value["days"] for _, rule, value in self.law_rules if rule == kind), default=None) or self.strictest(kind, "days", max)
        rows = [row for name in ("campaign_days", "campaign_deltas") for row in self.facts.by[name][(self.campaign["id"],)]
                if row["day"] and self.today - days * DAY < date(row["day"]) <= self.today]
        calls = sum(row[of] for row in rows)
        return calls >= self.strictest(kind, "min_answers") and bool(rows) and sum(row[bad] for row in rows) >= share * calls

    def check_guards(self):
        midnight = dt.datetime.combine(self.today + DAY, dt.time(), UTC)
        if self.guard("abandon", "live_answers", "abandoned"):
            return "abandon_guard", midnight
        return ("short_call_guard", midnight) if self.guard("short_calls", "answers", "short_calls") else None

    # -- lines, pace, money
    def micros(self, minor):
        currency = self.campaign["budget_currency"]
        return minor * (1000000 if currency in NO_CENTS else 1000 if currency in MILLS else 10000)

    def line(self):
        mine = {row["phone_number_id"] for row in self.facts.by["campaign_numbers"][(self.campaign["id"],)]}
        numbers = [row for row in self.facts.by["phone_numbers"][(self.org_id,)] if row["id"] in mine]
        return mine, numbers

    def check_budget(self):
        c = self.campaign
        if c["budget_minor"] is None:
            return None
        if c["reserve_minor"] is not None:
            one = self.micros(c["reserve_minor"])
        else:
            rates = [self.facts.one["carrier_accounts"][row["carrier_account_id"]]["minute_micros"] for row in self.line()[1]]
            one = max(1, math.ceil(c["max_duration_s"] / 60) * max(rates, default=0))
        spent = c["spent_micros"] + sum(row["spent_micros"] for row in self.facts.by["campaign_deltas"][(c["id"],)])
        held = sum(row["reserved_micros"] for row in self.facts.calls_of_campaign[(c["id"],)]
                   if row["status"] not in LIVE_END and row["id"] != self.self_id)
        return None if self.micros(c["budget_minor"]) - spent - held >= one else ("budget", None)

    def check_line(self):
        c = self.campaign
        numbers = [row for row in self.line()[1] if row["phone_e164"] == self.from_number and row["status"] == "active"]
        account = self.facts.one["carrier_accounts"].get(numbers[0]["carrier_account_id"]) if numbers else None
        if account is None or account["status"] != "active":
            return "no_line", None
        of_account = [row for row in self.facts.calls_of_account[(account["id"],)] if row["id"] != self.self_id]
        of_campaign = [row for row in self.facts.calls_of_campaign[(c["id"],)] if row["id"] != self.self_id and row["direction"] == "outbound"]
        live = [row for row in of_account if row["status"] not in LIVE_END]
        on_number = sum(1 for row in live if row["caller_number"] == self.from_number)
        if len(live) >= account["lines"] or sum(1 for row in of_campaign if row["status"] not in LIVE_END) >= c["lines"] \
                or sum(1 for row in live if row["status"] == "outcome_unknown") >= account["unknown_limit"] \
                or (numbers[0]["lines"] is not None and on_number >= numbers[0]["lines"]):
            return "no_line", self.at + dt.timedelta(seconds=1)
        for rows, rate in ((of_account, account["calls_per_second"]), (of_campaign, c["calls_per_second"])):
            most = max(1, math.floor(rate))
            span = dt.timedelta(seconds=most / rate)
            begun = [moment(row["intent_at"]) for row in rows if row["direction"] == "outbound" and moment(row["intent_at"]) > self.at - span]
            if len(begun) >= most:
                return "cps", min(begun) + span
        return None

    PERSON = (check_refusal, check_country, check_prefix, check_rules, check_consent, check_lists, check_reassigned, check_series,
              check_attempts, check_preference, check_window, check_holds, check_number)

    def judge(self, checks):
        for check in checks:
            said = check(self)
            if said is not None:
                return said
        return None, None


def verdict(facts, organization, campaign, lead, from_number, at, self_id=None):
    case = Case(facts, organization, campaign, lead, from_number, moment(at))
    case.self_id = self_id
    return case.judge((Case.check_campaign, Case.check_lead, Case.check_paused) + Case.PERSON
                      + (Case.check_guards, Case.check_budget, Case.check_line))


def recompute(facts, call_id):
    """Was this dial allowed at its intent_at, by the rows as they stood then? What has no history (a campaign's status, lines,
    pace, budget, the guards) is not judged here."""
    call = facts.one["call_logs"][call_id]
    if call["direction"] != "outbound":
        return None, {"direction": call["direction"]}
    case = Case(facts, call["organization_id"], call["campaign_id"], call["lead_id"], call["caller_number"],
                moment(call["intent_at"]), past=True)
    case.self_id = call_id
    case.callback = bool((call.get("gate") or {}).get("callback_at"))
    reason, _ = case.judge((Case.check_campaign, Case.check_lead, Case.check_paused) + Case.PERSON)
    return reason, {"at": call["intent_at"], "phone": call["callee_number"], "places": getattr(case, "place_list", None)}


COLUMNS = {"call_logs": "(to_jsonb(t) - '{conversation_transcript,ai_analysis}'::text[]) || jsonb_build_object('gate', (SELECT a.gate FROM "
           "call_attempts a WHERE a.organization_id = t.organization_id AND a.call_log_id = t.id))"}


def facts_query():
    """One statement whose single value is the tables as JSON."""
    parts = ("'%s', (SELECT coalesce(jsonb_agg(%s), '[]') FROM %s t)" % (name, COLUMNS.get(name, "to_jsonb(t)"), name)
             for name in SHARED + TENANT)
    return "SELECT jsonb_build_object(%s)" % ", ".join(parts)


def psql_facts(url):
    said = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", "SET search_path = public", "-c", facts_query(), url],
                          check=True, capture_output=True, text=True)
    return Facts(json.loads(said.stdout))
