#!/bin/sh
# Runs the pgTAP tests of the SQL and prints one TAP stream; exit 1 when anything failed.
# usage: tools/pgtap.sh DATABASE_URL [sql/tests/NAME.sql ...]
# The URL is a superuser's, of a database that is empty (migrated first) or migrated by the same files. Tests roll
# back, but for the concurrency test, which needs commits: use a throw-away database.
set -eu
url=${1:?usage: tools/pgtap.sh DATABASE_URL [FILE ...]}
shift
here=$(cd "$(dirname "$0")/.." && pwd)
if [ "$(psql -XAtc "SELECT to_regnamespace('engine') IS NULL" "$url")" = t ]; then
    "$here"/tools/migrate-plain.sh "$url"
fi
psql -Xq -v ON_ERROR_STOP=1 "$url" <<'SQL'
SET client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS tap;
CREATE EXTENSION IF NOT EXISTS pgtap SCHEMA tap;
CREATE EXTENSION IF NOT EXISTS dblink SCHEMA tap;
SQL
[ $# -gt 0 ] || set -- "$here"/sql/tests/[0-9]*.sql
for file in "$@"; do
    echo "# ${file##*/}"
    PGOPTIONS='-c client_min_messages=warning' psql -XqAt -v ON_ERROR_STOP=1 -f "$file" "$url" 2>&1 ||
        echo "not ok 0 - ${file##*/} ended early"
    echo "# end"
done | awk '
    # Each file counts from one and has its own plan: number them through, and hold each to its plan.
    /^# end/ { if (plan == "" || plan != seen) { n++; bad++; print "not ok " n " - " name ": planned " plan ", ran " seen }; next }
    /^# [0-9].*\.sql$/ { name = $2; plan = ""; seen = 0; print; next }
    /^1\.\.[0-9]+/ { plan = substr($1, 4); next }
    /^(not )?ok [0-9]+/ { n++; seen++; if ($1 == "not") bad++; sub(/ok [0-9]+/, "ok " n); sub(/ - /, " - " name ": "); print; next }
    { print }
    END { print "1.." n; exit bad > 0 }'
