#!/usr/bin/env python3
"""Random questions to both judges: app.gate in Postgres and the evaluator. Any difference is a bug of one of them.

Worlds are drawn near the edges of the rules (ages of consents and lists a second around their limit, dials around the caps,
moments around openings and changes of clocks), because uniformly drawn ones are refused for the first reason alone.

usage: differential.py [--cases N] [--seed S] [--purpose NAME] [--url URL] [--keep FILE]
Exit 1 when they disagree; each disagreement is printed as a line of golden.jsonl with both answers.
"""
import argparse
import collections
import datetime as dt
import json
import random
import time

import database
from evaluator import Facts, verdict
from worlds import gather, question

QUESTIONS_PER_WORLD = 8
WORLDS_PER_ROUND = 1500
# Number, zones, country; the second of a pair of zones is a place that the prefix may belong to as well.
PLACES = (
    [("+1%s5550100" % area, zones, "US") for area, zones in (
        ("212", ["America/New_York"]), ("305", ["America/New_York"]), ("850", ["America/New_York", "America/Chicago"]),
        ("213", ["America/Los_Angeles"]), ("602", ["America/Phoenix"]), ("928", ["America/Phoenix", "America/Denver"]),
        ("205", ["America/Chicago"]), ("207", ["America/New_York"]), ("401", ["America/New_York"]), ("502", ["America/New_York"]),
        ("214", ["America/Chicago"]), ("215", ["America/New_York"]), ("402", ["America/Chicago", "America/Denver"]),
        ("801", ["America/Denver"]), ("907", ["America/Anchorage", "America/Adak"]), ("703", ["America/New_York"]),
        ("415", ["America/Los_Angeles"]), ("219", ["America/Chicago", "America/Indiana/Indianapolis"]))]
    + [("+442079460000", ["Europe/London"], "GB"),  ("+33199000000", ["Europe/Paris"], "FR"),
       ("+262262000000", ["Indian/Reunion"], "FR"), ("+493023125000", ["Europe/Berlin"], "DE"), ("+911123456789", ["Asia/Kolkata"], "IN"),
       ("+17095550100", ["America/St_Johns"], "CA"), ("+14165550100", ["America/Toronto"], "CA"), ("+12125550101", ["America/New_York"], "US"),
       ("+61870100000", ["Australia/Adelaide"], "AU"), ("+61265000000", ["Australia/Lord_Howe"], "AU"), ("+6433050000", ["Pacific/Chatham"], "NZ"),
       ("+68675000000", ["Pacific/Kiritimati"], "KI"), ("+97714000000", ["Asia/Kathmandu"], "NP"), ("+551130000000", [], "BR"),
       ("+353100000000", ["Europe/Dublin"], "IE"), ("+212520000000", ["Africa/Casablanca"], "MA"), ("+88112345678", ["UTC"], None)])
STATED = [None] * 60 + ["US-TX", "US-CA", "US-UT", "US-ME", "FR", "US", "BR", "IN", "GB", "CA-NL"]
HOUR = dt.timedelta(hours=1)
DAY = 24 * HOUR
UTC = dt.timezone.utc
BASE_DAYS = [dt.datetime(2026, 11, 18, tzinfo=UTC), dt.datetime(2026, 3, 8, tzinfo=UTC), dt.datetime(2026, 11, 1, tzinfo=UTC),
             dt.datetime(2026, 3, 29, tzinfo=UTC), dt.datetime(2026, 10, 25, tzinfo=UTC), dt.datetime(2026, 11, 26, tzinfo=UTC),
             dt.datetime(2026, 12, 25, tzinfo=UTC), dt.datetime(2026, 4, 5, tzinfo=UTC), dt.datetime(2028, 2, 29, tzinfo=UTC),
             dt.datetime(2027, 1, 1, tzinfo=UTC), dt.datetime(2026, 7, 3, tzinfo=UTC), dt.datetime(2026, 9, 27, tzinfo=UTC)]


def iso(when):
    return when.isoformat()


class Draw:
    """One world, drawn around one moment."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.base = self.r.choice(BASE_DAYS) + self.r.randrange(-2, 3) * DAY
        self.at = self.moment()

    def chance(self, share):
        return self.r.random() < share

    def near(self, when):
        """The moment, or a second or more beside it."""
        return when + self.r.choice([0, 0, 1, -1, 60, -60, 3600, -3600, 86400, -86400]) * dt.timedelta(seconds=1)

    def moment(self):
        when = self.base + self.r.choice([self.r.randrange(0, 96), self.r.randrange(52, 76)]) * dt.timedelta(minutes=15)
        return when + self.r.choice([0, 0, 0, -1, 1, 433]) * dt.timedelta(seconds=1)

    def lead(self):
        phone, zones, region = self.r.choice(PLACES)
        if region is None and self.chance(0.8):
            phone, zones, region = PLACES[0]
        if self.chance(0.03):
            phone = self.r.choice(["+15555550100", "+19005550100", "+448712345678"])
            zones, region = (["Europe/London"], "GB") if phone.startswith("+44") else (["America/New_York"], "US")
        lead = {"phone_e164": phone, "zones": list(zones), "region": region, "address_region": self.r.choice(STATED),
                "residence_region": self.r.choice(STATED)}
        if self.chance(0.15):
            lead["timezone"] = self.r.choice(["America/New_York", "Asia/Tokyo", "Europe/Paris", "America/Denver", "Asia/Kolkata"])
        if self.chance(0.03):
            lead["zones"] = self.r.choice([[], ["Not/AZone"], ["America/New_York", "Asia/Singapore"]])
        return lead

    def campaign(self):
        purpose = self.r.choice(["marketing"] * 4 + ["informational"] * 3 + ["debt"] * 2 + ["political", "charity"])
        c = {"purpose": purpose, "voice_kind": "human" if self.chance(0.2) else "ai"}
        if self.chance(0.3):
            c["time_start"], c["time_end"] = self.r.choice([("09:00", "17:00"), ("12:30", "12:31"), ("22:00", "02:00"), ("06:00", "23:00"),
                                                            ("19:00", "11:00"), ("00:30", "01:30")])
        if self.chance(0.2):
            c["weekdays"] = sorted(self.r.sample(range(1, 8), self.r.randrange(1, 7)))
        if self.chance(0.1):
            c["start_date"] = (self.at + self.r.randrange(-2, 4) * DAY).date().isoformat()
        if self.chance(0.1):
            c["end_date"] = (self.at + self.r.randrange(4, 9) * DAY - (5 * DAY if "start_date" not in c else 0 * DAY)).date().isoformat()
        if self.chance(0.1):
            c["timezone"] = "America/Chicago"
        if self.chance(0.01):
            c["status"] = "paused"
        if self.chance(0.2):
            c.update(budget_minor=100, budget_currency=self.r.choice(["USD", "JPY", "KWD"]), spent_micros=self.r.choice([0, 400000, 399999, 10 ** 9]))
            if self.chance(0.5):
                c["reserve_minor"] = self.r.choice([1, 60, 61])
        if self.chance(0.3):
            c["category"] = self.r.randrange(1, 9)
        c["lines"] = self.r.choice([10, 10, 2, 1])
        c["calls_per_second"] = self.r.choice([10, 10, 1, 0.1, 2.5])
        return c

    def consents(self):
        rows = []
        for _ in range(self.r.choice([1] * 8 + [2] * 4 + [0])):
            row = {"granted_at": iso(self.near(self.at - self.r.choice([5] * 12 + [30, 400]) * DAY)),
                   "level": self.r.choice(["written"] * 9 + ["express"]),
                   "seller": self.r.choice(["ACME LTD"] * 20 + ["Other"]),
                   "scope": self.r.choice(["ai_voice"] * 20 + ["human_voice", "sms"])}
            if self.chance(0.06):
                row["revoked_at"] = iso(self.near(self.at))
            if self.chance(0.06):
                row["expires_at"] = iso(self.near(self.at))
            rows.append(row)
        if self.chance(0.1):
            rows.append({"granted_at": iso(self.at - self.r.randrange(1, 700) * DAY), "level": "express",
                         "scope": self.r.choice(["purchase", "inquiry"])})
        seen = {(row["granted_at"], row.get("level"), row.get("scope"), row.get("seller")): row for row in rows}
        return list(seen.values())

    def calls(self):
        rows, live = [], False
        for _ in range(self.r.choice([0] * 6 + [1, 1, 1, 2, 2, 3, 4, 6, 8])):
            when = self.near(self.at - self.r.choice([1, 0.5, 2, 24, 24, 30, 72, 160, 168, 300, 720, 1440]) * HOUR - self.r.randrange(3) * HOUR)
            if when >= self.at:
                when = self.at - self.r.randrange(1, 90) * HOUR / 60
            row = {"at": iso(when), "callee_number": self.r.choice(["", "", "+12125550199"]),
                   "reserved_micros": self.r.choice([0, 10000, 600000])}
            if not row["callee_number"]:
                del row["callee_number"]
            if self.chance(0.06) and not live:
                live = True
                row.update(status=self.r.choice(["reserved", "ringing", "in_progress", "outcome_unknown"]), disconnect_reason=None)
            elif self.chance(0.1):
                row.update(status="not_placed", disconnect_reason=None)
            elif self.chance(0.5):
                end = min(when + self.r.randrange(5, 400) * dt.timedelta(seconds=1), self.at)
                row.update(answered_at=iso(when), ended_at=iso(end), duration=self.r.randrange(0, 60),
                           disconnect_reason=self.r.choice(["completed", "caller_hangup", "model_error", "cancelled"]),
                           machine_detected=self.r.choice([None, None, False, True]),
                           disposition=self.r.choice([None, None, "not_interested", "interested"]),
                           disclosure_played_at=self.r.choice([None, iso(when)]))
            else:
                row.update(disconnect_reason=self.r.choice(["no_answer", "busy", "invalid_number", "unreachable"]))
            rows.append(row)
        return rows

    def lists(self):
        rows = []
        for code, limit in (("us-national", 31), ("gb-tps", 28), ("us-texas", 9)):
            if self.chance(0.8):
                rows.append({"code": code, "as_of": (self.at - (self.r.choice([3, 3, 3, limit, limit, limit + 1])) * DAY).date().isoformat(),
                             "has": self.chance(0.03), "purposes": self.r.choice([None, None, ["marketing"], ["debt", "charity"]])})
        if self.chance(0.1):
            rows.append({"code": "psap", "kind": "prohibited", "as_of": "2025-01-01", "has": self.chance(0.2)})
        return rows

    def rules(self):
        if not self.chance(0.15):
            return []
        kind, value = self.r.choice([
            ("hours", {"spans": [{"days": [1, 2, 3, 4, 5], "from": "10:00", "to": "18:00"}], "holidays": self.chance(0.5)}),
            ("frequency", {"24h": self.r.randrange(1, 9), "30d": self.r.randrange(1, 9)}), ("holds", {"conversation_d": 2, "refusal_d": 3}),
            ("consent", {"levels": {"informational": "written", "debt": "express"}, "per_seller": self.chance(0.5)}),
            ("prefixes", ["+1212"]), ("reassigned", {"max_age_days": 6}), ("preferences", {"max_age_days": 3}),
            ("abandon", {"share": 0.01, "min_answers": 50, "days": 5}), ("lists", {"lists": [{"list": "us-texas", "max_age_days": 8}]})])
        return [{"jurisdiction": self.r.choice(["ALL", "US", "US-TX", "FR", "GB", "IN"]), "rule": kind, "value": value}]

    def day(self):
        if not self.chance(0.1):
            return []
        today = self.at.date()
        return [{"day": (today - back * DAY).isoformat(), "live_answers": self.r.choice([40, 99, 100]), "abandoned": self.r.randrange(0, 4),
                 "answers": self.r.choice([40, 99, 100]), "short_calls": self.r.randrange(0, 25)} for back in self.r.sample([0, 1, 28, 29, 30], 2)]

    def world(self):
        lead = self.lead()
        caller = self.r.choice(["+16465550000", "+911400000001", "+911400000001", "+911600000001"]) if lead["region"] == "IN" else "+16465550000"
        w = {"lead": lead, "campaign": self.campaign(), "consents": self.consents(), "calls": self.calls(), "lists": self.lists(),
             "rules": self.rules(), "days": self.day(), "from": caller, "number": {"phone_e164": caller, "lines": self.r.choice([None, None, 1])},
             "org": {"number_cap_24h": self.r.choice([1, 2, 3, 50]), "number_cap_7d": self.r.choice([5, 7, 50]),
                     "number_spacing_s": self.r.choice([0, 1800, 7200]), "sector": self.r.choice(["bank", "other"])},
             "account": {"lines": self.r.choice([10, 10, 1]), "calls_per_second": self.r.choice([10, 1, 0.5]), "unknown_limit": self.r.choice([20, 1])},
             "queue": {"attempt_count": self.r.choice([0] * 8 + [1, 2, 3]), "callback_at": iso(self.at) if self.chance(0.1) else None}}
        w["enabled"] = [{"region": region, "at": iso(self.at - DAY) if self.chance(0.9) else iso(self.near(self.at))}
                        for region in ("AU", "NZ", "KI", "NP", "IE", "MA", "IN", "BR") if self.chance(0.95)]
        w["checks"] = [{"at": iso(self.near(self.at - self.r.choice([1, 30, 31]) * DAY)), "result": self.r.choice(["no"] * 20 + ["yes", "no_data"])}
                       ] if self.chance(0.4) else []
        w["preferences"] = [{"at": iso(self.near(self.at - self.r.choice([1, 7]) * DAY)), "categories": self.r.choice([[], [], [0], [1, 2, 3]]),
                             "modes": self.r.choice([[], [], ["robo"], ["voice"]]),
                             "spans": self.r.choice([None, None, [{"days": [1, 2, 3, 4, 5], "from": "12:00", "to": "15:00"}]])}
                            ] if lead["region"] == "IN" or self.chance(0.2) else []
        w["dnc"] = [{"here": self.chance(0.5), "lifted_at": self.r.choice([None, "2026-01-02T00:00:00+00:00"])}] if self.chance(0.05) else []
        if self.chance(0.05):
            w["pauses"] = [{"scope": self.r.choice(["tenant", "campaign"]), "at": iso(self.at - 3 * DAY),
                            "until": self.r.choice([None, iso(self.at), iso(self.at + HOUR)])}]
        return w

    def moments(self):
        return [iso(self.at)] + [iso(self.at + self.r.randrange(0, 60) * dt.timedelta(minutes=30)
                                     - self.r.choice([0, 0, 1]) * dt.timedelta(seconds=1)) for _ in range(QUESTIONS_PER_WORLD - 1)]


def one_round(url, seed, first, count, shared, counts):
    """Worlds first … first + count - 1 of a seed: stored, asked, answered twice, thrown away."""
    drawn = {n: Draw("%d/%d" % (seed, n)) for n in range(first, first + count)}
    worlds = {n - first + 1: draw.world() for n, draw in drawn.items()}
    asked = [("%d_%d" % (n, k), n, world, at) for n, world in worlds.items() for k, at in enumerate(drawn[n - 1 + first].moments())]
    tables = gather(worlds.items())
    said = database.read_answers(database.psql(url, "BEGIN;" + database.load_script(tables) + database.ask_script(asked)
                                               + database.answers_sql() + "ROLLBACK;\n"))
    facts = Facts({**tables, **shared})
    wrong = []
    for key, n, world, at in asked:
        mine = verdict(facts, *question(n, world), at)
        counts[mine[0] or "dial"] += 1
        if mine != said[key]:
            wrong.append({"world": world, "at": at, "evaluator": [str(part) for part in mine], "sql": [str(part) for part in said[key]]})
    return wrong, len(asked)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--cases", type=int, default=20000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--purpose", default="gatediff")
    options.add_argument("--url")
    options.add_argument("--keep", help="append disagreements to this file")
    options = options.parse_args()
    url = options.url or database.fresh(options.purpose)
    began = time.monotonic()
    counts = collections.Counter()
    done, worlds, wrong = 0, 0, []
    try:
        shared = database.shared_tables(url)
        while done < options.cases and len(wrong) < 20:
            count = min(WORLDS_PER_ROUND, -(-(options.cases - done) // QUESTIONS_PER_WORLD))
            found, asked = one_round(url, options.seed, worlds, count, shared, counts)
            wrong += found
            worlds += count
            done += asked
    finally:
        if not options.url:
            database.tool("pg-private", "--purpose", options.purpose, "destroy")
    for case in wrong[:20]:
        print("# " + json.dumps(case))
    if options.keep and wrong:
        with open(options.keep, "a", encoding="utf-8") as kept:
            kept.writelines(json.dumps(case) + "\n" for case in wrong)
    print("# answers: " + ", ".join("%s %d" % pair for pair in counts.most_common()))
    print("%s 1 - %d random cases of seed %d, %d disagreements, %.0f s" % (
        "not ok" if wrong else "ok", done, options.seed, len(wrong), time.monotonic() - began))
    print("1..1")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
