#!/usr/bin/env bash
# import.sh [--rows N] [--json] -- how long a list takes to become leads. script/bench builds first.
#
# N rows (100,000) of US numbers with consents go through `dialwright import` into a durable Postgres of its
# own. The yardstick, in the same server right after: psql's \copy of the same file into one bare table
# with a unique index on the phone; no parsing of numbers, no zones, no consents, no queue.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
dw=${DIALWRIGHT_BUILD:-$root/build/release}/src/dialwright
rows=100000
json=no
while [ $# -gt 0 ]; do
    case "$1" in
        --rows)
            rows=${2:?}
            shift
            ;;
        --json) json=yes ;;
        *)
            echo "usage: import.sh [--rows N] [--json]" >&2
            exit 2
            ;;
    esac
    shift
done
tmp=$(mktemp -d)
pg() { "$root/tools/pg-private" --purpose benchimport "$@"; }
trap 'pg destroy; rm -rf "$tmp"' EXIT
pg start --durable >/dev/null
admin=$(pg createdb bench)
DATABASE_URL=$(pg url bench app_login)
export DATABASE_URL DIALWRIGHT_MIGRATE_URL=$admin DIALWRIGHT_SECRET=0123456789abcdef0123456789abcdef
DIALWRIGHT_KEK=$(printf '42%.0s' {1..32})
export DIALWRIGHT_KEK

python3 - "$rows" >"$tmp/list.csv" <<'PY'
import random
import sys
random.seed(1)
areas = [212, 617, 312, 713, 303, 415, 206, 305, 404, 214]
seen = set()
print("name,phone,email,timezone,consent_at,consent_evidence,consent_scope,company,interest")
for i in range(int(sys.argv[1])):
    while True:
        number = "+1%d%d%06d" % (random.choice(areas), random.randint(2, 9), random.randint(0, 999999))
        if number not in seen:
            break
    seen.add(number)
    print("Person %d,%s,p%d@example.org,,2026-01-02T10:00:00Z,signed order form,ai_voice,Company %d,plan" % (i, number, i, i % 977))
PY
cat >"$tmp/setup.yaml" <<'YAML'
organization: {slug: bench, name: Bench, legal_name: Bench Ltd}
carrier: [{name: none, auth_id: MABENCH, auth_token: none}]
campaigns: [{name: bench}]
YAML
"$dw" migrate >/dev/null
"$dw" setup "$tmp/setup.yaml" >/dev/null

seconds() { # COMMAND...: how long it took
    local begin end
    begin=$(date +%s.%N)
    "$@" >"$tmp/out"
    end=$(date +%s.%N)
    awk -v a="$begin" -v b="$end" 'BEGIN {printf "%.3f", b - a}'
}
import_s=$(seconds "$dw" import --campaign bench --consent-level written --json "$tmp/list.csv")
added=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["added"])' "$tmp/out")
[ "$added" = "$rows" ] || {
    cat "$tmp/out" >&2
    exit 1
}
psql -qX "$admin" -c "CREATE TABLE bare (name text, phone text UNIQUE, email text, timezone text, consent_at text,
    consent_evidence text, consent_scope text, company text, interest text)"
copy_s=$(seconds psql -qX "$admin" -c "\\copy bare FROM '$tmp/list.csv' CSV HEADER")

awk -v rows="$rows" -v i="$import_s" -v c="$copy_s" -v json="$json" 'BEGIN {
    if (json == "yes") {
        printf "{\"bench\":\"import\",\"rows\":%d,\"seconds\":%.2f,\"rows_per_second\":%.0f,\"yardstick\":\"copy into a bare table\",\"yardstick_seconds\":%.2f,\"ratio\":%.1f}\n", rows, i, rows / i, c, i / c
    } else {
        printf "%d rows in %.2f s: %.0f rows/s; a bare \\copy of the same file takes %.2f s (%.1f times less)\n", rows, i, rows / i, c, i / c
    }
}'
