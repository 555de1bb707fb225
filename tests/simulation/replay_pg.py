#!/usr/bin/env python3
"""replay_pg.py SIMULATE [--seeds N] [--first S] [--seconds T] [--tap]

Runs seeds of the simulation, plays the history of each through the real SQL functions on a database of its own,
and compares after every operation what the two implementations say: rows claimed, status, outcome, will_retry,
next_retry_at, the queue row, attempt counts, reasons and evidence. DATABASE_URL is a superuser of a migrated
database that nothing else uses; it serves as the template.

Exit 0: no difference. 1: some, each with its seed and line. 2: usage.
"""
import hashlib
import hmac
import json
import os
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

KEY = bytes.fromhex("42" * 32)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
WAITS = {"busy": [20, 60], "no_answer": [30, 90], "voicemail": [60], "failed": [20, 60], "not_placed": [5, 20, 60]}


def moment(us):
    return "NULL" if us in (0, None) else "'%s'" % (EPOCH + timedelta(microseconds=us)).isoformat()


def text(value):
    return "NULL" if value is None else "'%s'" % str(value).replace("'", "''")


def boolean(value):
    return "true" if value else "false"


def context(org):
    said = "%s.%d" % (org, int(time.time()) + 86400)
    return said + "." + hmac.new(KEY, said.encode(), hashlib.sha256).hexdigest()


def clock(minute):
    return "'%02d:%02d'" % (minute // 60, minute % 60)


def us(column):
    return "coalesce((extract(epoch FROM %s) * 1000000)::int8, 0)" % column


AFTER = ("jsonb_build_array(l.status, a.outcome, a.will_retry, " + us("a.next_retry_at") + ", q.status, " + us("q.next_retry_at") +
         ", q.attempt_count, q.attempt_number, q.last_error, l.disconnect_reason, l.resolved_by, l.duration)")


class Script:
    """One psql session's worth of statements; each answer is a line that begins with the history's line number."""

    def __init__(self):
        self.lines = []
        self.expected = {}
        self.org = None
        self.org_of = {}

    def add(self, sql):
        self.lines.append(sql)

    def ask(self, number, what, sql, expected):
        """sql: an expression of type jsonb, or a query of one such column."""
        key = "%d.%s" % (number, what)
        self.expected[key] = expected
        self.add("SELECT '%s ' || (%s)::text;" % (key, sql))

    def enter(self, org):
        if org != self.org:
            self.org = org
            self.add("SET app.ctx = '%s';" % context(org))

    def call(self, sim):
        return "(SELECT real FROM ids WHERE sim = '%s')" % sim

    def enter_call(self, sim):
        self.enter(self.org_of[sim])

    def after(self, number, op):
        if "after" in op and op["after"] is not None:
            self.ask(number, "after", "SELECT %s FROM call_logs l JOIN call_attempts a ON a.call_log_id = l.id "
                     "JOIN call_queue q ON q.id = l.queue_id WHERE l.id = %s" % (AFTER, self.call(op["call"])), op["after"])


def set_org(s, o):
    s.add("INSERT INTO organizations (id, slug, name, number_spacing_s, number_cap_24h, weight) VALUES ('%s', 't%s', 'T', %d, %d, %d);"
          % (o["id"], o["id"].replace("-", ""), o["spacing"], o["cap_24h"], o["weight"]))
    s.add("INSERT INTO carrier_accounts (organization_id, id, name, auth_id, lines, calls_per_second, unknown_limit) "
          "VALUES ('%s', '%s', 'main', 'MA1', %d, %g, %d);" % (o["id"], o["account"], o["lines"], o["cps"], o["unknown_limit"]))
    s.add("INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at) VALUES ('%s', 'ZZ', 'test', '2020-01-01');" % o["id"])
    s.add("INSERT INTO retry_policies (organization_id, id, name, waits) VALUES ('%s', '%s', 'p', '%s');"
          % (o["id"], o["id"], json.dumps(WAITS)))


def set_campaign(s, c):
    end = "'24:00'" if c["to_min"] == 1440 else clock(c["to_min"])
    s.add("INSERT INTO phone_numbers (organization_id, id, carrier_account_id, phone_e164) VALUES ('%s', '%s', '%s', '%s');"
          % (c["org"], c["number"], c["account"], c["phone"]))
    budget = ("%d, 'USD', 1" % (c["budget"] // 10000)) if c["budget"] else "NULL, NULL, NULL"
    s.add("INSERT INTO campaigns (organization_id, id, name, status, time_start, time_end, weekdays, lines, calls_per_second, max_attempts, "
          "weight, ring_timeout_s, max_duration_s, transfer, retry_policy_id, budget_minor, budget_currency, reserve_minor) VALUES "
          "('%s', '%s', '%s', 'active', %s, %s, '{1,2,3,4,5,6,7}', %d, %g, %d, %d, %d, %d, '%s', '%s', %s);"
          % (c["org"], c["id"], c["id"], clock(c["from_min"]), end, c["lines"], c["cps"], c["max_attempts"], c["weight"], c["ring_s"],
             c["talk_s"], "agents" if c["transfers"] else "off", c["org"], budget))
    s.add("INSERT INTO campaign_numbers (organization_id, campaign_id, phone_number_id) VALUES ('%s', '%s', '%s');" % (c["org"], c["id"], c["number"]))


def set_job(s, j, org):
    s.add("INSERT INTO leads (organization_id, id, name, phone_e164, timezone, region) VALUES ('%s', '%s', 'L', '%s', '%s', 'ZZ') ON CONFLICT DO NOTHING;"
          % (org, j["lead"], j["phone"], j["zone"]))
    s.add("INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at) SELECT '%s', '%s', 'written', 'T', "
          "'form', '{\"a\": 1}', '2026-11-22' WHERE NOT EXISTS (SELECT FROM consents c WHERE c.phone_e164 = '%s');" % (org, j["phone"], j["phone"]))
    s.add("INSERT INTO call_queue (organization_id, id, campaign_id, lead_id, max_attempts, next_retry_at, ready) SELECT '%s', '%s', c.id, '%s', "
          "c.max_attempts, %s, true FROM campaigns c WHERE c.id = '%s';" % (org, j["id"], j["lead"], moment(j["due"]), j["campaign"]))


def op_claim(s, n, o, orgs):
    s.add("TRUNCATE got; INSERT INTO got SELECT c.call_id, c.queue_id, c.attempt_number, c.caller_number, c.callee_number "
          "FROM engine.claim('%s', '%s', %d, %s, %d) c;" % (o["node"], o["worker"], o["want"], moment(o["at"]), o["lease_ms"]))
    s.ask(n, "claim", "SELECT coalesce(jsonb_agg(jsonb_build_array(queue_id, attempt, caller, callee) ORDER BY queue_id), '[]') FROM got",
          sorted([r[1:] for r in o["rows"]]))
    for row in o["rows"]:
        s.org_of[row[0]] = orgs[row[1]]
        s.add("INSERT INTO ids SELECT '%s', call_id FROM got WHERE queue_id = '%s';" % (row[0], row[1]))


def op_sweep(s, n, o, orgs):
    del orgs
    s.ask(n, "sweep", "SELECT coalesce(jsonb_agg(jsonb_build_array(i.sim, w.was) ORDER BY i.sim), '[]') FROM engine.lease_sweep(%d, %s) w "
          "JOIN ids i ON i.real = w.call_id" % (o["slack_ms"], moment(o["at"])), sorted(o["rows"]))


def op_due(s, n, o, orgs):
    del orgs
    s.ask(n, "due", "SELECT coalesce(jsonb_agg(jsonb_build_array(i.sim, d.status, d.signed_off) ORDER BY i.sim), '[]') "
          "FROM engine.unknown_due(%d, %d, %s) d JOIN ids i ON i.real = d.call_id" % (o["want"], o["retry_ms"], moment(o["at"])), sorted(o["rows"]))


def op_worker_start(s, n, o, orgs):
    del n, orgs
    s.add("SELECT FROM engine.worker_start('%s', 'n', 'sim', 'https://x', '%s', 'x', %s);" % (o["node"], o["worker"], moment(o["at"])))


def op_worker_dead(s, n, o, orgs):
    del orgs
    s.ask(n, "dead", "SELECT to_jsonb(engine.worker_dead('%s', '%s', %s))" % (o["worker"], o["proof"], moment(o["at"])), o["count"])


def op_may_post(s, n, o, orgs):
    del orgs
    s.enter_call(o["call"])
    s.ask(n, "may_post", "SELECT coalesce(to_jsonb(app.may_post(%s, %s)), 'null')" % (s.call(o["call"]), moment(o["at"])), o["refusal"])


def op_place_result(s, n, o, orgs):
    del orgs
    s.enter_call(o["call"])
    s.ask(n, "placed", "SELECT to_jsonb(app.place_result(%s, '%s', %s, %s, NULL, %s, '', %s, %s))"
          % (s.call(o["call"]), o["result"], text(o["by"]), text(o["request"]), o["http"] or "NULL", boolean(o["permanent"]), moment(o["at"])), o["status"])


def op_trouble(s, n, o, orgs):
    del n
    s.enter(orgs[o["account"]])
    s.add("SELECT FROM app.account_trouble('%s', 'x', %d, %s);" % (o["account"], o["rest_ms"], moment(o["at"])))


def op_presence(s, n, o, orgs):
    del orgs
    s.enter_call(o["call"])
    s.ask(n, "presence", "SELECT to_jsonb(app.reconcile_presence(%s, '%s', %s, %s, %s, %s, %s, %d, %d, %d, NULL, NULL, NULL, NULL, %s, %s, %d, %d, %d, %s))"
          % (s.call(o["call"]), o["in"], text(o["sid"]), text(o["request"]), moment(o["initiated"]), moment(o["answered"]), moment(o["ended"]),
             o["duration"], o["billed"], o["cost"], text(o["outcome"]), text(o["reason"]), o["skew_ms"], o["horizon_ms"], o["retry_ms"],
             moment(o["at"])), o["status"])


def op_absence(s, n, o, orgs):
    del orgs
    s.enter_call(o["call"])
    s.add("BEGIN; SELECT FROM app.reconcile_scan(%s, %d, %d, %s);" % (s.call(o["call"]), o["skew_ms"], o["retry_ms"], moment(o["at"])))
    s.ask(n, "absence", "SELECT coalesce(to_jsonb(r.why), 'null') FROM app.reconcile_absence(%s, %d, %d, %s) r"
          % (s.call(o["call"]), o["horizon_ms"], o["gap_ms"], moment(o["at"])), o["why"])
    s.add("COMMIT;")


def op_event(s, n, o, orgs):
    del orgs
    s.enter_call(o["call"])
    s.ask(n, "event", "SELECT jsonb_build_array(e.duplicate::int, e.anomaly::int) FROM app.call_event(%s, '%s', '%s', %s, %s, NULL, NULL, %s) e"
          % (s.call(o["call"]), o["kind"], o["key"], text(o["sid"]), text(o["request"]), moment(o["at"])), [o["duplicate"], o["anomaly"]])


def op_answer(s, n, o, orgs):
    del orgs
    s.enter_call(o["call"])
    s.ask(n, "answer", "SELECT jsonb_build_array(e.reason, e.duplicate::int, e.anomaly::int) FROM app.call_answer(%s, '%s', %s, %s, NULL, '\\x%s', %s, %s) e"
          % (s.call(o["call"]), o["key"], text(o["sid"]), text(o["request"]), o["hash"], moment(o["expires"]), moment(o["at"])),
          [o["why"], o["duplicate"], o["anomaly"]])


def op_hangup(s, n, o, orgs):
    del orgs
    s.enter_call(o["call"])
    s.ask(n, "hangup", "SELECT jsonb_build_array(e.duplicate::int, e.anomaly::int) FROM app.call_hangup(%s, '%s', %s, %s, NULL, NULL, NULL, NULL, %s, %s, %d, %d, %d, NULL, %s, %s, NULL, %s) e"
          % (s.call(o["call"]), o["key"], text(o["sid"]), text(o["request"]), moment(o["answered"]), moment(o["ended"]), o["duration"], o["billed"],
             o["cost"], text(o["outcome"]), text(o["reason"]), moment(o["at"])), [o["duplicate"], o["anomaly"]])


def op_media_token(s, n, o, orgs):
    del orgs
    s.ask(n, "token", "SELECT coalesce((SELECT to_jsonb(i.sim) FROM engine.media_token_take('\\x%s', %s) t JOIN ids i ON i.real = t.call_id), 'null')"
          % (o["hash"], moment(o["at"])), o["call"])


def op_opt_out(s, n, o, orgs):
    del orgs
    s.enter_call(o["call"])
    s.ask(n, "opt_out", "SELECT jsonb_build_array(r.added, r.removed) FROM app.opt_out(%s, 'model', 'stop', %s) r"
          % (s.call(o["call"]), moment(o["at"])), [o["added"], o["removed"]])


def op_completed(s, n, o, orgs):
    del orgs
    s.add("SELECT FROM engine.fold_counters(%s);" % moment(o["at"]))
    s.add("SELECT FROM engine.complete_campaigns(%s);" % moment(o["at"]))
    s.ask(n, "completed", "SELECT coalesce(to_jsonb(completed_reason), 'null') FROM campaigns WHERE id = '%s'" % o["campaign"], o["reason"])


def op_campaign(s, n, o, orgs):
    del n, orgs
    s.add("UPDATE campaigns SET status = '%s' WHERE id = '%s' AND status IN ('active', 'paused') AND closing_reason IS NULL;" % (o["status"], o["id"]))


def op_tenant(s, n, o, orgs):
    del n, orgs
    if o["status"] == "paused":
        s.add("INSERT INTO dial_pauses (organization_id, scope, reason, paused_at, paused_by) VALUES ('%s', 'tenant', 'x', %s, 'x');" % (o["id"], moment(o["at"])))
    else:
        s.add("UPDATE dial_pauses SET resumed_at = %s WHERE organization_id = '%s' AND resumed_at IS NULL;" % (moment(o["at"]), o["id"]))


OPS = {"claim": op_claim, "lease_sweep": op_sweep, "unknown_due": op_due, "worker_start": op_worker_start, "worker_dead": op_worker_dead,
       "may_post": op_may_post, "place_result": op_place_result, "account_trouble": op_trouble, "presence": op_presence, "absence": op_absence,
       "event": op_event, "answer": op_answer, "hangup": op_hangup, "media_token": op_media_token, "opt_out": op_opt_out,
       "completed": op_completed, "campaign": op_campaign, "tenant": op_tenant}


def script_of(history):
    s = Script()
    s.add("SET client_min_messages = warning; SET timezone = 'UTC'; SET search_path = public;")
    s.add("CREATE TEMP TABLE ids (sim uuid PRIMARY KEY, real uuid UNIQUE);")
    s.add("CREATE TEMP TABLE got (call_id uuid, queue_id uuid, attempt int4, caller text, callee text);")
    s.add("SELECT FROM app.context_key_set('\\x%s');" % KEY.hex())
    orgs = {}
    for number, line in enumerate(history, 1):
        o = json.loads(line)
        kind = o.get("set")
        if kind == "org":
            orgs[o["account"]] = o["id"]
            set_org(s, o)
        elif kind == "campaign":
            orgs[o["id"]] = o["org"]
            set_campaign(s, o)
        elif kind == "job":
            orgs[o["id"]] = orgs[o["campaign"]]
            set_job(s, o, orgs[o["campaign"]])
        else:
            OPS[o["op"]](s, number, o, orgs)
            s.after(number, o)
    return s


def psql(url, sql):
    return subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=0", url], input=sql, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


def database(url, name):
    head, _, tail = url.partition("?")
    return head.rsplit("/", 1)[0] + "/" + name + ("?" + tail if tail else "")


def replay(simulate, url, seed):
    """The differences of one seed, and how many comparisons there were."""
    run = subprocess.run([simulate, "--seed", str(seed), "--history", "-", "--plain"], stdout=subprocess.PIPE, text=True, check=False)
    history = run.stdout.splitlines()
    script = script_of(history)
    name = url.partition("?")[0].rsplit("/", 1)[1]
    copy = "%s_seed" % name
    admin = database(url, "postgres")
    made = psql(admin, "SET client_min_messages = error; DROP DATABASE IF EXISTS %s; CREATE DATABASE %s TEMPLATE %s;" % (copy, copy, name))
    if made.stderr.strip():
        raise SystemExit("no copy of the database: " + made.stderr.strip())
    out = psql(database(url, copy), "\n".join(script.lines))
    psql(admin, "DROP DATABASE %s;" % copy)
    said = {}
    for line in out.stdout.splitlines():
        key, _, value = line.partition(" ")
        if key in script.expected:
            said[key] = json.loads(value)
    differences = []
    for key, expected in script.expected.items():
        if key not in said or said[key] != expected:
            number = int(key.split(".")[0])
            differences.append("seed %d, line %d (%s):\n  memory   %s\n  postgres %s\n  %s"
                               % (seed, number, key, json.dumps(expected), json.dumps(said.get(key, "no answer")), history[number - 1][:300]))
    errors = [line for line in out.stderr.splitlines() if "ERROR" in line]
    return differences, len(script.expected), errors


def main(argv):
    seeds, first, seconds, tap = 20, 1, 1e9, False
    args = argv[1:]
    if not args or "DATABASE_URL" not in os.environ:
        print(__doc__, file=sys.stderr)
        return 2
    simulate = args.pop(0)
    while args:
        flag = args.pop(0)
        if flag == "--tap":
            tap = True
        elif flag in ("--seeds", "--first", "--seconds") and args and args[0].isdigit():
            value = int(args.pop(0))
            seeds, first, seconds = (value if flag == "--seeds" else seeds, value if flag == "--first" else first,
                                     value if flag == "--seconds" else seconds)
        else:
            print(__doc__, file=sys.stderr)
            return 2
    began, compared, bad, done = time.monotonic(), 0, 0, 0
    for seed in range(first, first + seeds):
        if time.monotonic() - began > seconds:
            break
        differences, count, errors = replay(simulate, os.environ["DATABASE_URL"], seed)
        compared += count
        done += 1
        if differences:
            bad += 1
            for line in errors[:2] + differences[:2]:
                print(("# " if tap else "") + line.replace("\n", "\n# " if tap else "\n"))
        if tap:
            print("%sok %d - seed %d: %d answers agree" % ("not " if differences else "", done, seed, count))
    if tap:
        print("1..%d" % done)
    print(("# " if tap else "") + "%d seeds, %d comparisons, %d seeds differ" % (done, compared, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
