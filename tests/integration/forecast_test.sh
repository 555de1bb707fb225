#!/usr/bin/env bash
# forecast_test.sh BUILD -- `why` and `forecast` against a real Postgres, as a person would type them. Prints TAP.
set -uo pipefail
# shellcheck source=tests/integration/cli_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cli_lib.sh"
cli_begin forecast "${1:?usage: $0 BUILD}"
run() { psql -qAtX -v ON_ERROR_STOP=1 "$admin" -c "$1"; }
"$dw" migrate >/dev/null || exit 1

# Two tenants with the same set-up; "main" of the first has 200 leads, of whom 20 are barred and 20 lack consent.
psql -qX -v ON_ERROR_STOP=1 "$admin" <<'SQL' || exit 1
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.id(n int, kind int) RETURNS uuid LANGUAGE sql AS $$
    SELECT ('b0000000-0000-7000-8' || lpad(kind::text, 3, '0') || '-' || lpad(n::text, 12, '0'))::uuid
$$;
INSERT INTO organizations (id, slug, name, legal_name) SELECT pg_temp.id(n, 0), 'org-' || n, 'Org ' || n, 'Org Ltd' FROM generate_series(1, 2) n;
INSERT INTO carrier_accounts (organization_id, id, name, auth_id, lines, calls_per_second) SELECT pg_temp.id(n, 0), pg_temp.id(n, 1), 'main', 'MA' || n, 50, 10 FROM generate_series(1, 2) n;
INSERT INTO phone_numbers (organization_id, id, carrier_account_id, phone_e164) SELECT pg_temp.id(n, 0), pg_temp.id(n, 2), pg_temp.id(n, 1), '+1646555000' || n FROM generate_series(1, 2) n;
INSERT INTO campaigns (organization_id, id, name, weekdays, lines, calls_per_second, legal_name, callback_number, greeting, disclosure, transfer)
SELECT pg_temp.id(1, 0), pg_temp.id(k, 3), c, '{1,2,3,4,5,6,7}', 4, 2, 'Org Ltd', '+16465550000', 'Hello', 'An AI speaks', 'off'
  FROM (VALUES (1, 'main'), (2, 'empty'), (3, 'over'), (4, 'silent'), (5, 'barred'), (6, 'poor')) AS t (k, c);
UPDATE campaigns SET end_date = '2026-11-01' WHERE name = 'over';
UPDATE campaigns SET budget_minor = 300, budget_currency = 'USD', reserve_minor = 60 WHERE name = 'poor';
INSERT INTO campaign_numbers (organization_id, campaign_id, phone_number_id) SELECT organization_id, id, pg_temp.id(1, 2) FROM campaigns WHERE name <> 'silent';
INSERT INTO leads (organization_id, id, name, phone_e164, timezone, region, attributes)
SELECT pg_temp.id(1, 0), pg_temp.id(k, 4), 'Lead ' || k, '+1212' || 2000000 + k, 'America/New_York', 'US', jsonb_build_object('external_ref', 'CRM-' || k) FROM generate_series(1, 200) k;
INSERT INTO leads (organization_id, id, name, phone_e164, timezone, region) VALUES (pg_temp.id(2, 0), pg_temp.id(999, 4), 'Theirs', '+12122009999', 'America/New_York', 'US');
INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at) SELECT organization_id, phone_e164, 'written', 'Org Ltd', 'form', '{"a": 1}', '2026-11-10' FROM leads WHERE phone_e164 NOT LIKE '%7';
INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) SELECT organization_id, phone_e164, 'manual', '2026-11-10' FROM leads WHERE phone_e164 LIKE '%3';
INSERT INTO call_queue (organization_id, campaign_id, lead_id, next_retry_at, ready)
SELECT l.organization_id, c.id, l.id, '2026-11-01', true FROM leads l JOIN campaigns c ON c.organization_id = l.organization_id
 WHERE c.name IN ('main', 'over', 'silent', 'poor') OR (c.name = 'barred' AND l.phone_e164 LIKE '%3');
SQL
export at=2026-11-16T15:00:00Z # a Monday, ten in New York

# forecast
check "answers" dw 0 --help
check "a campaign" dw 0 forecast main --org org-1 --at $at --json
check "who is called and who is not, and why" one_object \
    "o['leads'] == 200 and o['callable'] == 160 and {b['reason']: b['leads'] for b in o['not_called']} == {'dnc_internal': 20, 'consent_missing': 20}"
check "when it is done, with a range" one_object "o['end'] == 'finished' and o['done']['p10'] <= o['done']['median'] <= o['done']['p90'] and o['done_s'] > 3600"
check "calls of each day add up" one_object "abs(sum(d['calls'] for d in o['calls_by_day']) - o['calls']['median']) < 0.1 * o['calls']['median']"
check "cost and short calls" one_object "o['cost']['total_micros']['median'] == o['cost']['total_micros']['median'] > 0 and 0 < o['short_calls']['ratio'] < 1 and o['short_calls']['guard'] == 0.2"
check "and what was assumed" one_object "any('defaults' in a for a in o['assumptions']) and len(o['assumptions']) >= 5"
check "never more lines than it has" one_object "o['lines_used']['p90'] <= 4"
cp "$tmp/out" "$tmp/first"
check "again" dw 0 forecast main --org org-1 --at $at --json
check "the same seed says the same" python3 -c "
import json
a, b = (json.load(open('$tmp/' + f)) for f in ('first', 'out'))
a.pop('run_seconds'); b.pop('run_seconds')
assert a == b"
slider() { # NAME FLAGS... EXPRESSION over a (before) and b (after)
    local name=$1 expression=${*: -1}
    check "$name" dw 0 forecast main --org org-1 --at $at --json "${@:2:$#-2}"
    check "$name: effect" python3 -c "
import json
a, b = (json.load(open('$tmp/' + f)) for f in ('first', 'out'))
assert $expression, (a['done'], b['done'], a['calls'], b['calls'])"
}
slider "one line" --lines 1 "b['lines_used']['p90'] == 1 and b['done_s'] >= a['done_s']"
slider "a call every ten seconds" --cps 0.1 "b['done']['p10'] > a['done']['p10'] and b['done_s'] > a['done_s']"
slider "no retries" --retries 0 "b['calls']['p90'] == 160 and b['done_s'] < a['done_s']"
slider "half an hour a day" --hours 10:00-10:30 "b['done_s'] > a['done_s'] and len(b['calls_by_day']) > len(a['calls_by_day'])"
slider "another seed" --seed 5 "b['calls'] != a['calls']"
slider "one run" --runs 1 "b['runs'] == 1 and b['done']['p10'] == b['done']['p90']"
slider "a sample" --sample 50 "abs(b['callable'] - 160) < 40 and any('of 200 leads, drawn' in t for t in b['assumptions'])"
check "for people" dw 0 forecast main --org org-1 --at $at
check "it is a page of words" says "Done at 2026-11-1"
check "with the reasons" says "this number asked not to be called"
check "nothing was changed" test "$(run "SELECT count(*) FILTER (WHERE status = 'queued' AND ready) || ' ' || (SELECT count(*) FROM call_logs) || ' ' || (SELECT string_agg(DISTINCT status, ',') FROM campaigns) FROM call_queue WHERE campaign_id = (SELECT id FROM campaigns WHERE name = 'main')")" = "200 0 draft"

# forecast of what cannot be
check "no leads" dw 0 forecast empty --org org-1 --at $at --json
check "nobody is called" one_object "o['leads'] == 0 and o['calls']['p90'] == 0 and o['done_s'] == 0 and o['calls_by_day'] == []"
check "in words" dw 0 forecast empty --org org-1 --at $at
check "too" says "Nobody will be called"
check "closed for ever" dw 0 forecast over --org org-1 --at $at --json
check "is told as its dates" one_object "o['callable'] == 0 and {b['reason'] for b in o['not_called']} == {'dates', 'dnc_internal', 'consent_missing'}"
check "everybody barred" dw 0 forecast barred --org org-1 --at $at --json
check "is told" one_object "o['callable'] == 0 and o['not_called'] == [{'reason': 'dnc_internal', 'leads': 20, 'words': 'this number asked not to be called'}]"
check "no caller id is a refusal" dw 3 forecast silent --org org-1 --at $at --json
check "that says so" one_object "'no active caller id' in o['refused']"
check "a budget too small" dw 0 forecast poor --org org-1 --at $at --json
check "ends it, within the budget" one_object "o['end'] == 'budget' and o['cost']['total_micros']['p90'] <= 3000000 and any(b['reason'] == 'budget' and b['leads'] > 10 for b in o['not_called'])"
check "no such campaign" dw 1 forecast nothing --org org-1
for wrong in "--lines 0" "--lines many" "--cps 0" "--cps nan" "--hours 9" "--hours 9-9" "--hours 25-26" "--retries -1" "--runs 0" "--at yesterday" "--frobnicate"; do
    # shellcheck disable=SC2086
    check "forecast main $wrong is wrong usage" dw 2 forecast main --org org-1 $wrong
done

# why
run "ALTER TABLE campaigns DISABLE TRIGGER ALL; UPDATE campaigns SET status = 'active' WHERE name = 'main'; ALTER TABLE campaigns ENABLE TRIGGER ALL" >/dev/null
check "why: callable" dw 0 why CRM-1 --org org-1 --campaign main --at $at --json
check "why: every check passed" one_object "o['campaigns'][0]['callable'] and all(c['state'] == 'passed' for c in o['campaigns'][0]['checks']) and len(o['campaigns'][0]['checks']) > 15"
check "why: numbers are masked" one_object "o['lead']['phone'] == '+*********01'"
check "why: unless asked for" dw 0 why +12122000001 --org org-1 --campaign main --at $at --show-numbers
check "why: then they are shown" says "+12122000001"
check "why: at night, exit 3" dw 3 why CRM-1 --org org-1 --campaign main --at 2026-11-17T03:00:00Z --json
check "why: with the next moment and its proof" one_object \
    "o['campaigns'][0]['next']['at'].startswith('2026-11-17T14:00:00') and o['campaigns'][0]['next']['proof']['gate'] is None and o['campaigns'][0]['next']['proof']['before']['gate'] == 'outside_window'"
check "why: barred, exit 3" dw 3 why CRM-3 --org org-1 --campaign main --at $at
check "why: for people" says "this number asked not to be called"
check "why: with a remedy" says "to change it:"
check "why: never by itself" says "Next: never by itself (dnc_internal)"
check "why: all campaigns of a lead" dw 0 why CRM-1 --org org-1 --at $at --json
check "why: the active one first" one_object "[c['campaign'] for c in o['campaigns']][0] == 'main' and len(o['campaigns']) == 4"
check "why: another tenant's number" dw 1 why +12122009999 --org org-1
check "why: is nobody's, and masked" says "no lead or call +*********99"
check "why: nobody's reference" dw 1 why CRM-9999 --org org-1
check "why: wrong usage" dw 2 why CRM-1 --org org-1 --at noon
check "why: an unknown option" dw 2 why CRM-1 --frobnicate

cli_end
