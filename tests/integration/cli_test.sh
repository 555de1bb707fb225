#!/usr/bin/env bash
# cli_test.sh BUILD -- the commands against a real Postgres, each as a person would type it. Prints TAP.
set -uo pipefail
# shellcheck source=tests/integration/cli_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cli_lib.sh"
cli_begin cli "${1:?usage: $0 BUILD}"
query() { [ "$(psql -qAtX "$admin" -c "$1")" = "$2" ]; }

# Words, help, usage.
check "no command is wrong usage" dw 2
check "an unknown command is wrong usage" dw 2 frobnicate
check "half a command is wrong usage" dw 2 campaign
check "an unknown option is wrong usage" dw 2 campaign list --frobnicate
check "a missing argument is wrong usage" dw 2 campaign start
check "--help of the program" dw 0 --help
"$dw" --help | awk '/^  [a-z]/ {print $1, ($2 ~ /^[a-z]+$/ ? $2 : "")}' | while read -r words; do
    case "$words" in serve*) continue ;; esac
    # shellcheck disable=SC2086
    "$dw" $words --help >/dev/null 2>&1 || echo "$words"
done >"$tmp/helpless"
check "each command has --help" test ! -s "$tmp/helpless"
check "version" dw 0 version --json
check "version as one object" one_object "'version' in o"

# Before there is a schema.
check "an empty database is named as such" dw 1 campaign list
check "migrate --dry-run changes nothing" dw 0 migrate --dry-run --json
check "it lists what is pending" one_object "len(o['pending']) == o['known'] > 20"
check "and left the database empty" query "SELECT count(*) FROM pg_namespace WHERE nspname IN ('app', 'dialwright')" 0

# migrate
check "migrate" dw 0 migrate --json
check "migrate applies all" one_object "len(o['applied']) == o['known']"
check "migrate again does nothing" dw 0 migrate --json
check "and says so" one_object "o['applied'] == []"
psql -qX "$admin" -c "UPDATE dialwright.migrations SET sha256 = 'x' WHERE number = 12"
check "a function whose text changed" dw 0 migrate status --json
check "is pending" one_object "o['pending'] == ['0012_gate']"
check "and applied again" dw 0 migrate --json
check "alone" one_object "o['applied'] == ['0012_gate']"
psql -qX "$admin" -c "UPDATE dialwright.migrations SET sha256 = 'x'
    WHERE number = ANY (ARRAY[$(ls "$root/sql/functions" | sed -n 's/^\([0-9]*\)_.*\.sql$/\1/p' | sed 's/^0*//' | paste -sd,)])"
check "all functions apply again" dw 0 migrate --json
check "and then none" dw 0 migrate status --json
check "is pending after that" one_object "o['pending'] == []"
psql -qX "$admin" -c "UPDATE dialwright.migrations SET sha256 = 'x' WHERE number = 3"
check "a changed migration is refused" dw 1 migrate
check "and named" says "0003"
psql -qX "$admin" -c "DELETE FROM dialwright.migrations WHERE number = 3; INSERT INTO dialwright.migrations (number, name, sha256, took_ms) VALUES (9999, 'future', 'x', 0)"
check "a migration from the future is refused" dw 1 migrate status
psql -qX "$admin" -c "DELETE FROM dialwright.migrations WHERE number = 9999"
"$root/tools/pg-private" --purpose clitest createdb dialwright >/dev/null
"$dw" migrate >/dev/null 2>&1 &
"$dw" migrate >/dev/null 2>&1
check "two migrators at once take turns" wait $!

# setup
cat >"$tmp/setup.yaml" <<'YAML'
organization: {slug: northwind, name: Northwind, legal_name: Northwind Telecom Ltd}
carrier:
  - {name: main, auth_id: MATEST, auth_token: a-secret-token, lines: 10}
numbers:
  - phone: "+1 202 555 0100"
agents:
  - {name: Robin, phone: "+12025550190", available: true}
regions: [ES]
do_not_call:
  - {phone: "+12125550122", words: stop it}
campaigns:
  - name: autumn
    greeting: Hello
    disclosure: I am an AI.
    numbers: ["+12025550100"]
    callback_number: "+12025550100"
YAML
check "no organization yet" dw 1 campaign list
check "setup" dw 0 setup "$tmp/setup.yaml" --json
check "setup creates" one_object "all(c['change'] == 'created' for c in o['changes']) and len(o['changes']) == 7"
check "setup again" dw 0 setup "$tmp/setup.yaml" --json
check "changes nothing" one_object "all(c['change'] == 'unchanged' for c in o['changes'])"
check "the token is stored sealed" query "SELECT count(*) FROM carrier_accounts WHERE auth_token_sealed IS NOT NULL AND position('a-secret-token'::bytea IN auth_token_sealed) = 0" 1
sed -i 's/lines: 10/lines: 11/; s/greeting: Hello/greeting: Good day/' "$tmp/setup.yaml"
check "setup with two changes" dw 0 setup "$tmp/setup.yaml" --json
check "changes two things" one_object "[c['what'] for c in o['changes'] if c['change'] == 'updated'] == ['carrier account', 'campaign']"
printf 'organization: {slug: northwind, name: Other}\ncampaigns: [{name: x, timezone: Mars/Base}]\n' >"$tmp/half.yaml"
check "a file with a fault" dw 1 setup "$tmp/half.yaml"
check "changes nothing at all" query "SELECT name FROM organizations" Northwind
check "a file that is no YAML" dw 1 setup "$root/LICENSE" --json
check "is an error object" one_object "'error' in o"
check "a file that is not there" dw 1 setup "$tmp/nowhere"

# import
cat >"$tmp/list.csv" <<'CSV'
name,phone,timezone,consent_at,consent_evidence,consent_scope,company
Ann,+12125550141,,2026-01-02T10:00:00Z,signed form,ai_voice:written,ACME
Bob,+12125550142,,2026-01-02T10:00:00Z,signed form,ai_voice,
Cid,12,,,,,
Dup,+12125550141,,,,,
Dnc,+12125550122,,2026-01-02,signed form,written,
Zed,+442079460011,Mars/Base,2026-01-02,signed form,,
Eve,+34911234567,,2026-01-02,"two
lines",,
Non,+442079460012,,2026-01-02,,,
Cut,+1
CSV
check "import" dw 0 import --campaign autumn --rejects "$tmp/rejects.csv" "$tmp/list.csv" --json
check "each row is a lead or a named reject" one_object "o['rows'] == 9 and o['added'] == 2 and o['reasons'] == {'bad_number': 1, 'duplicate_in_file': 1, 'dnc': 1, 'unknown_zone': 1, 'consent_missing': 2, 'bad_row': 1}"
check "rejects name their lines" test "$(cut -d, -f1,2 "$tmp/rejects.csv" | tr '\n' ' ')" = "line,reason 3,consent_missing 4,bad_number 5,duplicate_in_file 6,dnc 7,unknown_zone 10,consent_missing 11,bad_row "
check "no consent without evidence" query "SELECT count(*) FROM consents WHERE evidence ->> 'words' IS NULL OR evidence ->> 'words' = ''" 0
check "other columns are attributes" query "SELECT attributes ->> 'company' FROM leads WHERE name = 'Ann'" ACME
check "import again" dw 0 import --campaign autumn "$tmp/list.csv" --json
check "adds nobody twice" one_object "o['added'] == 0 and o['reasons']['duplicate'] == 2"
check "the operator's word on the list" dw 0 import --campaign autumn --consent-level written "$tmp/list.csv" --json
check "lets Bob in" one_object "o['added'] == 1"
check "import from standard input" bash -c "'$dw' import - --json <'$tmp/list.csv' >'$tmp/out' 2>'$tmp/err'"
check "without a campaign consent is not asked" one_object "o['updated'] == 3 and o['added'] == 1"
printf 'name,email\nx,y\n' >"$tmp/nophone.csv"
check "a list without phones" dw 1 import "$tmp/nophone.csv"
: >"$tmp/empty.csv"
check "an empty list" dw 1 import "$tmp/empty.csv"
check "a wrong region" dw 2 import --default-region usa "$tmp/list.csv"
check "an unknown campaign" dw 1 import --campaign nowhere "$tmp/list.csv"
check "a file that is no CSV" dw 1 import "$dw"

# campaigns
check "status of a draft" dw 0 campaign status autumn --json
check "lacks nothing" one_object "o['lacks'] == [] and o['leads'] == 3"
check "create another" dw 0 campaign create winter 'weekdays=[1,2]' lines=3
check "which cannot start" dw 3 campaign start winter --json
check "and says what it lacks" one_object "'greeting' in o['refused']"
check "pausing a draft is refused" dw 3 campaign pause winter
check "start" dw 0 campaign start autumn --json
check "moves draft to active" one_object "(o['from'], o['to']) == ('draft', 'active')"
check "start again is done" dw 0 campaign start autumn
check "pause" dw 0 campaign pause autumn
check "starting what is paused is refused" dw 3 campaign start autumn
check "resume" dw 0 campaign resume autumn
check "report" dw 0 campaign report autumn --json
check "report has a funnel" one_object "o['funnel']['leads'] == 3 and o['funnel']['dials'] == 0 and o['rejects']['dnc'] == 3"
check "report for people" dw 0 campaign report autumn
check "a wrong number of calls" dw 2 campaign report autumn --calls many
check "list" dw 0 campaign list --json
check "has both" one_object "[c['campaign'] for c in o['campaigns']] == ['autumn', 'winter']"
check "unknown campaign" dw 1 campaign status nowhere

# people
check "dnc add" dw 0 dnc add "(212) 555-0141" --region US --words "never again"
check "ends what is queued" query "SELECT last_error FROM call_queue q JOIN leads l ON l.id = q.lead_id WHERE l.phone_e164 = '+12125550141'" dnc_internal
check "dnc check of a barred number" dw 3 dnc check +12125550141
check "dnc check of a free number" dw 0 dnc check +12125550199
check "dnc lift without a reason" dw 2 dnc lift +12125550141
check "dnc lift" dw 0 dnc lift +12125550141 --reason "asked in writing"
check "queues again" query "SELECT status FROM call_queue q JOIN leads l ON l.id = q.lead_id WHERE l.phone_e164 = '+12125550141'" queued
check "dnc list" dw 0 dnc list --json
check "holds the other one" one_object "o['total'] == 1"
check "consent without evidence" dw 2 consent add +12125550150
check "consent of the future" dw 3 consent add +12125550150 --evidence form --at 2999-01-01T00:00:00Z
check "consent add" dw 0 consent add +12125550150 --evidence form --at 2026-01-01T00:00:00Z --level written
check "consent revoke" dw 0 consent revoke +12125550150 --reason "said so"
check "consent list" dw 0 consent list +12125550150 --json
check "shows it revoked" one_object "o['consents'][0]['revoked_at']"
check "agent add" dw 0 agent add Alex --phone +12025550191 --skills "solar, roofs" --available
check "agent offline" dw 0 agent offline Alex
check "agent list" dw 0 agent list --json
check "knows both" one_object "[(a['name'], a['state']) for a in o['agents']] == [('Alex', 'offline'), ('Robin', 'available')]"
check "no such agent" dw 1 agent available Nobody
check "cancel" dw 0 campaign cancel autumn
check "is final" dw 3 campaign resume autumn
check "acts by hand are on record" query "SELECT count(DISTINCT action) >= 10 AND bool_and(actor LIKE 'cli:%' OR actor = 'system') FROM audit_log" t

# tenants, settings, doctor
printf 'organization: {slug: second, name: Second}\n' >"$tmp/second.yaml"
check "a second organization" dw 0 setup "$tmp/second.yaml"
check "then which one must be said" dw 2 campaign list
check "--org picks one" dw 0 campaign list --org second --json
check "which sees nothing of the other" one_object "o['campaigns'] == []"
check "an unknown organization" dw 1 campaign list --org nowhere
DIALWRIGHT_SECRET=ffffffffffffffffffffffffffffffff check "another secret opens nothing" dw 1 campaign list --org second
check "and says why" says "differs from the one"
DATABASE_URL="postgresql://nobody@/x?host=/nowhere" check "no database" dw 1 campaign list --json
check "is an error object" one_object "'error' in o"
check "doctor" dw 1 doctor --org northwind --json
check "names what is missing" one_object "any(c['name'] == 'public url' and c['result'] == 'bad' for c in o['checks']) and any(c['name'] == 'tenant context' and c['result'] == 'ok' for c in o['checks'])"
check "doctor sees a superuser" env DATABASE_URL="$admin" bash -c "'$dw' doctor --org northwind | grep -q 'bad.*login role'"
check "doctor --live of no number" dw 2 doctor --org northwind --live 12
check "doctor --live without an active campaign" dw 2 doctor --org northwind --live +12125550141 --json
check "asks which one" one_object "'--campaign' in o['usage']"
check "doctor --live without a daemon" dw 1 doctor --org northwind --live +12125550141 --campaign winter --json
check "says that none is running" one_object "'no daemon is running' in o['error']"
printf 'organization: {slug: northwind, name: Northwind}\ncampaigns: [{name: winter, voicemail_action: message, voicemail_message: Hello}]\n' >"$tmp/voicemail.yaml"
check "a voicemail message is refused, not ignored" dw 1 setup "$tmp/voicemail.yaml"
check "and named" says "voicemail_action message is not supported"
check "config help" dw 0 config help
check "config markdown" dw 0 config markdown
check "docs/configuration.md is what it prints" diff "$tmp/out" "$root/docs/configuration.md"
check "config sample" dw 0 config sample
check "packaging/dialwright.env.sample is what it prints" diff "$tmp/out" "$root/packaging/dialwright.env.sample"
check "setup --describe" dw 0 setup --describe
check "docs/setup-file.md is what it prints" diff "$tmp/out" "$root/docs/setup-file.md"
check "serve refuses to start without settings" dw 2 serve
check "and says what to set" says DIALWRIGHT_PUBLIC_URL
cli_end
