#!/bin/sh
# Applies sql/migrations and sql/functions in the order of their numbers, each file in one transaction, to the
# database of the URL.
# `dialwright migrate` does the same from the binary, with checksums; this is for tests of the SQL alone.
# usage: tools/migrate-plain.sh DATABASE_URL [LAST]     stops after the file whose number is LAST
set -eu
url=${1:?usage: tools/migrate-plain.sh DATABASE_URL [LAST]}
last=${2:-9999}
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here/sql"
for file in $(ls migrations/[0-9]*.sql functions/[0-9]*.sql | sort -t/ -k2); do
    name=${file##*/}
    [ "${name%%_*}" -le "$last" ] || break
    PGOPTIONS='-c client_min_messages=warning -c check_function_bodies=off' \
        psql -X -q -v ON_ERROR_STOP=1 --single-transaction -f "$file" "$url" >/dev/null || {
        echo "migrate: $name failed" >&2
        exit 1
    }
done
