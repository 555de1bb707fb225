#!/usr/bin/env python3
"""check.py -- is the forecast right? Forecasts seeded campaigns, lets each happen once, and compares.

    tests/forecast/check.py BUILD [--campaigns 50] [--leads 10000] [--seed 1] [--jobs 2] [--limit 0.10] [--json]

Every seed makes a tenant of its own in a throw-away Postgres: country, zones, hours, days, lines, calls per second,
retry policy, attempts, and a hidden truth (how often calls are answered by attempt and hour, how long they take).
The tenant's history is a sample of calls drawn from that truth; `dialwright forecast` sees the database and nothing
else. Then BUILD/tests/simulation/simulate_campaign lets the campaign happen with the truth itself: the daemon's own
dialer, placer and reconciler, a carrier in memory, and a ledger that decides for itself what the SQL would.

Prints a row per campaign and the errors' median and p90; exit 1 when the median error of the completion time is
above the limit."""
import argparse
import concurrent.futures
import datetime
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PURPOSE = "forecastcheck"
START = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.timezone.utc)  # a Monday
AT = START.strftime("%Y-%m-%dT%H:%M:%SZ")
REASONS = {"answered": "completed", "failed": "unreachable"}
# country: (zone, a prefix of its numbers); the laws' hours are what the gate's rules say of them
PLACES = {"US": [("America/New_York", "+1212"), ("America/Chicago", "+1312"), ("America/Los_Angeles", "+1213"), ("America/Denver", "+1303")],
          "AU": [("Australia/Sydney", "+612"), ("Australia/Perth", "+618"), ("Australia/Brisbane", "+617")], "DE": [("Europe/Berlin", "+4930")]}
LAWS = {c: {"spans": [{"days": list(range(1, 7 if c == "DE" else 8)), "from": "09:00", "to": "20:00"}], "24h": 3, "7d": 7} for c in PLACES}


class Campaign:
    """One seed: its settings, its truth, its history."""

    def __init__(self, seed, leads):
        r = self.r = random.Random(seed)
        self.seed, self.leads, self.slug = seed, leads, f"s{seed}"
        self.country = r.choice(["US", "US", "AU", "DE"])
        self.places = [(z, self.country, p) for z, p in r.sample(PLACES[self.country], r.randint(1, len(PLACES[self.country])))]
        first = r.choice([8, 9, 10, 11, 13])
        self.hours = (first, min(first + r.choice([3, 4, 6, 8, 10]), 20))
        self.weekdays = r.choice(["{1,2,3,4,5}", "{1,2,3,4,5,6,7}", "{1,3,5}", "{1,2,3,4,5,6}"])
        self.max_attempts = r.choice([1, 2, 3, 3, 4])
        self.lines = max(2, round(leads / 10000 * r.choice([8, 15, 25, 40, 60])))
        self.cps = r.choice([0.3, 0.5, 1, 2, 5]) * max(0.2, leads / 10000)
        self.waits = {"busy": r.choice([[1800, 7200], [600], [3600, 3600, 86400]]),
                      "no_answer": r.choice([[7200, 86400], [14400], [3600, 21600, 86400], [86400, 172800]]),
                      "voicemail": r.choice([[86400], [], [43200, 86400]]), "failed": r.choice([[1800, 7200], []]),
                      "not_placed": [60, 300, 1800], "unknown": [], "rejected": [], "invalid_number": []}
        self.ring_timeout = r.choice([20, 30, 45])
        self.history = r.choice([400, 800, 1500, 3000])
        self.make_truth()

    def make_truth(self):
        r = self.r
        answered = r.uniform(0.12, 0.45)
        rest = {o: r.gammavariate(a, 1) for o, a in (("no_answer", 8), ("busy", 1), ("voicemail", r.choice([0.5, 4])),
                                                     ("rejected", 0.6), ("invalid_number", 0.4), ("failed", 0.4))}
        share = []
        for _ in range(6):
            total = sum(rest.values())
            share.append({"answered": answered, **{o: (1 - answered) * v / total for o, v in rest.items()}})
            answered *= r.uniform(0.55, 0.95)
            rest["invalid_number"] *= 0.2
        peak, swing = r.uniform(8, 20), r.uniform(0, 0.5)
        hour = [1 + swing * math.cos((h - peak) / 24 * 4 * math.pi) for h in range(24)]
        ring = {o: {"median": m, "sigma": d} for o, m, d in (
            ("answered", r.uniform(6, 14), 0.4), ("no_answer", self.ring_timeout, 0.01), ("busy", 3, 0.3), ("voicemail", 15, 0.15),
            ("rejected", 7, 0.5), ("invalid_number", 2, 0.2), ("failed", 4, 0.6))}
        self.truth = {"outcomes": share, "hour": hour, "ring_s": ring, "talk_s": {"median": r.uniform(20, 110), "sigma": r.uniform(0.5, 1.1)},
                      "machine_s": {"median": r.uniform(4, 15), "sigma": 0.3}}

    def scenario(self):
        weekdays = [int(d) for d in self.weekdays.strip("{}").split(",")]
        return {"start": AT, "until_days": 180, "laws": LAWS, "claim_batch": 20, "calls_max": 200, "organization": {"number_cap_24h": 3, "number_cap_7d": 7, "number_spacing_s": 1800},
                "accounts": [{"lines": self.lines + 10, "calls_per_second": self.cps + 1}],
                "campaigns": [{"name": "main", "account": 0, "leads": self.leads, "zones": {z: 1 / len(self.places) for z, _, _ in self.places}, "region": self.country,
                               "time_start": f"{self.hours[0]:02}:00", "time_end": f"{self.hours[1]:02}:00", "weekdays": weekdays, "lines": self.lines,
                               "calls_per_second": self.cps, "max_attempts": self.max_attempts, "waits": self.waits, "ring_timeout_s": self.ring_timeout,
                               "max_duration_s": 600, **self.truth}]}

    def length(self, spread):
        return self.r.lognormvariate(math.log(spread["median"]), spread["sigma"])

    def draw_outcome(self, attempt, hour):
        share = self.truth["outcomes"][attempt - 1]
        answered = min(0.99, share["answered"] * self.truth["hour"][hour])
        if self.r.random() < answered:
            return "answered"
        names = [o for o in share if o != "answered"]
        return self.r.choices(names, [share[o] for o in names])[0]

    def past_calls(self):
        """Calls of the last four weeks, in working hours on the people's clocks."""
        for i in range(self.history):
            zone = self.r.randrange(len(self.places))
            attempt = self.r.choices([1, 2, 3, 4], [10, 6, 3, 1])[0]
            hour = self.r.randint(8, 19)
            outcome = self.draw_outcome(attempt, hour)
            ring = min(self.length(self.truth["ring_s"][outcome]), self.ring_timeout)
            talk = 0
            if outcome in ("answered", "voicemail"):
                talk = min(self.length(self.truth["talk_s" if outcome == "answered" else "machine_s"]), 600)
            yield i, zone, attempt, hour, self.r.randint(0, 3599), 1 + i % 27, outcome, ring, talk

    def sql(self):
        org = f"(SELECT id FROM organizations WHERE slug = '{self.slug}')"
        zones = "ARRAY[" + ",".join(f"'{z}'" for z, _, _ in self.places) + "]"
        regions = "ARRAY[" + ",".join(f"'{c}'" for _, c, _ in self.places) + "]"
        prefixes = "ARRAY[" + ",".join(f"'{p}'" for _, _, p in self.places) + "]"
        n = len(self.places)
        past = ",".join(f"({i},{z},{a},{h},{s},{d},'{o}',{ring:.3f},{talk:.3f})" for i, z, a, h, s, d, o, ring, talk in self.past_calls())
        reasons = " ".join(f"WHEN '{o}' THEN '{w}'" for o, w in REASONS.items())
        return f"""
SET session_replication_role = replica;
INSERT INTO organizations (slug, name, legal_name) VALUES ('{self.slug}', '{self.slug}', 'Org Ltd');
INSERT INTO carrier_accounts (organization_id, name, auth_id, lines, calls_per_second) VALUES ({org}, 'main', 'MA', {self.lines + 10}, {self.cps + 1});
INSERT INTO phone_numbers (organization_id, carrier_account_id, phone_e164) SELECT organization_id, id, '+16465550001' FROM carrier_accounts WHERE organization_id = {org};
INSERT INTO retry_policies (organization_id, name, waits) VALUES ({org}, 'p', '{json.dumps(self.waits)}');
INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at) VALUES ({org}, 'AU', 'test', '2026-01-01');
INSERT INTO campaigns (organization_id, name, weekdays, time_start, time_end, lines, calls_per_second, max_attempts, retry_policy_id, ring_timeout_s, legal_name)
SELECT {org}, c, '{self.weekdays}', '{self.hours[0]}:00', '{self.hours[1]}:00', {self.lines}, {self.cps}, {self.max_attempts}, p.id, {self.ring_timeout}, 'Org Ltd'
  FROM retry_policies p, unnest(ARRAY['main', 'past']) AS c WHERE p.organization_id = {org};
INSERT INTO campaign_numbers (organization_id, campaign_id, phone_number_id) SELECT c.organization_id, c.id, p.id FROM campaigns c JOIN phone_numbers p ON p.organization_id = c.organization_id WHERE c.organization_id = {org};
INSERT INTO leads (organization_id, name, phone_e164, timezone, region)
SELECT {org}, 'L', ({prefixes})[1 + k % {n}] || 3000000 + k, ({zones})[1 + k % {n}], ({regions})[1 + k % {n}] FROM generate_series(1, {self.leads}) k;
INSERT INTO leads (organization_id, name, phone_e164, timezone, region)
SELECT {org}, 'past ' || i, ({prefixes})[1 + z] || 2000000 + i, ({zones})[1 + z], ({regions})[1 + z] FROM (VALUES {past}) AS past (i, z, attempt, h, s, d, outcome, ring, talk);
INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at) SELECT organization_id, phone_e164, 'written', 'Org Ltd', 'form', '{{"a": 1}}', '2026-11-20' FROM leads WHERE organization_id = {org};
INSERT INTO number_checks (organization_id, phone_e164, checked_at, result) SELECT organization_id, phone_e164, d, 'no' FROM leads, unnest(ARRAY['2026-11-20', '2026-12-15', '2027-01-10', '2027-02-05']::timestamptz[]) d WHERE organization_id = {org} AND region = 'US';
INSERT INTO call_queue (organization_id, campaign_id, lead_id, max_attempts, next_retry_at, ready)
SELECT l.organization_id, c.id, l.id, c.max_attempts, '2026-11-01', true FROM leads l JOIN campaigns c ON c.organization_id = l.organization_id AND c.name = 'main' WHERE l.organization_id = {org} AND l.name = 'L';
WITH past (i, z, attempt, h, s, d, outcome, ring, talk) AS (VALUES {past}), made AS (
    INSERT INTO call_logs (organization_id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction, caller_number, callee_number, status,
        call_sid, intent_at, answered_at, ended_at, duration, disconnect_reason)
    SELECT l.organization_id, l.id, c.id, app.uuid7(), p.attempt, a.id, 'outbound', '+16465550001', l.phone_e164, 'ended',
           'p' || p.i, t.at, CASE WHEN p.talk > 0 THEN t.at + p.ring * interval '1 second' END, t.at + (p.ring + p.talk) * interval '1 second', round(p.talk),
           CASE p.outcome {reasons} ELSE p.outcome END
      FROM past p JOIN leads l ON l.organization_id = {org} AND l.name = 'past ' || p.i JOIN campaigns c ON c.organization_id = {org} AND c.name = 'past' JOIN carrier_accounts a ON a.organization_id = {org},
           LATERAL (SELECT (date '2026-11-22' - p.d + make_time(p.h, p.s / 60, 0) + p.s % 60 * interval '1 second') AT TIME ZONE l.timezone AS at) t
    RETURNING organization_id, lead_id, campaign_id, id, attempt_number, call_sid)
INSERT INTO call_attempts (organization_id, lead_id, campaign_id, call_log_id, attempt_number, outcome, settled_at, will_retry, gate)
SELECT m.organization_id, m.lead_id, m.campaign_id, m.id, m.attempt_number, p.outcome, now(), false, '{{}}' FROM made m JOIN past p ON m.call_sid = 'p' || p.i;
"""


def private(*args):
    return subprocess.run([os.path.join(ROOT, "tools/pg-private"), "--purpose", PURPOSE, *args], check=True, capture_output=True, text=True).stdout.strip()


def one(build, admin, env, campaign):
    subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", admin], input=campaign.sql(), text=True, check=True, stdout=subprocess.DEVNULL)
    ask = subprocess.run([f"{build}/src/dialwright", "forecast", "main", "--org", campaign.slug, "--at", AT, "--seed", str(campaign.seed), "--runs", "100", "--sample", "2500", "--json"],
                         env=env, capture_output=True, text=True)
    if ask.returncode != 0:
        raise SystemExit(f"seed {campaign.seed}: {ask.stdout}{ask.stderr}")
    told = json.loads(ask.stdout)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as scenario:
        json.dump(campaign.scenario(), scenario)
        scenario.flush()
        real = subprocess.run([f"{build}/tests/simulation/simulate_campaign", "--scenario", scenario.name, "--seed", str(7000 + campaign.seed)], capture_output=True, text=True,
                              check=True)
    then = json.loads(real.stdout)["campaigns"][0]
    done = datetime.datetime.fromisoformat(then["completed_at"].replace("Z", "+00:00"))
    return campaign, told, {"done_s": (done - START).total_seconds(), "calls": then["dials"]}


def seconds(told, key):
    return (datetime.datetime.fromisoformat(told["done"][key] + "+00:00") - START).total_seconds()


def compare(campaign, told, real):
    error = abs(told["done_s"] - real["done_s"]) / real["done_s"]
    calls = abs(told["calls"]["median"] - real["calls"]) / max(1, real["calls"])
    inside = seconds(told, "p10") - 1 <= real["done_s"] <= seconds(told, "p90") + 1
    print(f"# seed {campaign.seed:3}: {campaign.country} {len(campaign.places)} zones {campaign.hours[0]:2}-{campaign.hours[1]:2} h, {campaign.lines:2} lines {campaign.cps:.2f}/s, "
          f"{campaign.max_attempts} attempts, {campaign.history:4} past calls: forecast {told['done_s'] / 3600:6.1f} h, then {real['done_s'] / 3600:6.1f} h "
          f"({100 * error:5.1f} %), calls {told['calls']['median']} / {real['calls']} ({100 * calls:4.1f} %){'' if inside else ', outside p10-p90'}", flush=True)
    return error, calls, inside


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default=os.path.join(ROOT, "build/release"))
    parser.add_argument("--campaigns", type=int, default=50)
    parser.add_argument("--leads", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit", type=float, default=0.10)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    private("start")
    try:
        admin = private("createdb", "dialwright")
        env = dict(os.environ, DATABASE_URL=private("url", "dialwright", "app_login"), DIALWRIGHT_MIGRATE_URL=admin, DIALWRIGHT_SECRET="0123456789abcdef0123456789abcdef",
                   ASAN_OPTIONS="detect_leaks=0")
        subprocess.run([f"{args.build}/src/dialwright", "migrate"], env=env, check=True, capture_output=True)
        campaigns = [Campaign(s, args.leads) for s in range(args.seed, args.seed + args.campaigns)]
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            rows = [compare(*r) for r in pool.map(lambda c: one(args.build, admin, env, c), campaigns)]
    finally:
        private("destroy")
    errors = sorted(e for e, _, _ in rows)
    figures = {"campaigns": len(rows), "leads": args.leads, "median_error": statistics.median(errors), "p90_error": errors[min(len(errors) - 1, int(0.9 * len(errors)))],
               "worst_error": errors[-1], "median_calls_error": statistics.median(c for _, c, _ in rows), "inside_p10_p90": sum(i for _, _, i in rows) / len(rows)}
    good = figures["median_error"] <= args.limit
    if args.json:
        print(json.dumps(figures))
    else:
        print(f"{'ok' if good else 'not ok'} 1 - forecast: {len(rows)} campaigns of {args.leads} leads: completion time off by {100 * figures['median_error']:.1f} % at the median, "
              f"p90 {100 * figures['p90_error']:.1f} %, worst {100 * figures['worst_error']:.1f} %; calls off by {100 * figures['median_calls_error']:.1f} %; "
              f"{100 * figures['inside_p10_p90']:.0f} % of them between p10 and p90")
        print("1..1")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
