# shellcheck shell=bash
# cli_lib.sh -- for tests that type the commands, against a Postgres of their own; they print TAP. Sourced, never run.
#
#   cli_begin NAME BUILD     starts the Postgres, sets the environment of a person who uses the program, and $admin
#   check WORDS COMMAND...   one line of TAP
#   cli_end                  the plan, and the exit status

count=0
bad=0

cli_begin() {
    cli_name=$1
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
    build=$2
    dw=$build/src/dialwright
    tmp=$(mktemp -d)
    local pg=("$root/tools/pg-private" --purpose "${cli_name}test")
    "${pg[@]}" start >/dev/null || exit 1
    trap '"$root/tools/pg-private" --purpose "${cli_name}test" destroy; rm -rf "$tmp"' EXIT
    admin=$("${pg[@]}" createdb dialwright)
    DATABASE_URL=$("${pg[@]}" url dialwright app_login)
    DIALWRIGHT_SECRET=0123456789abcdef0123456789abcdef
    DIALWRIGHT_KEK=$(printf '42%.0s' {1..32})
    export DATABASE_URL DIALWRIGHT_SECRET DIALWRIGHT_KEK DIALWRIGHT_MIGRATE_URL=$admin
    unset PLIVO_AUTH_ID PLIVO_AUTH_TOKEN
}

cli_end() {
    echo "1..$count"
    exit "$((bad > 0))"
}

check() {
    local name=$1
    shift
    count=$((count + 1))
    if "$@" >"$tmp/check" 2>&1; then
        echo "ok $count - $cli_name: $name"
    else
        bad=$((bad + 1))
        echo "not ok $count - $cli_name: $name"
        { cat "$tmp/check" "$tmp/out" "$tmp/err"; } 2>/dev/null | head -20 | sed 's/^/# /'
    fi
}

# dw CODE ARGUMENTS...: runs the program; fails unless it ends with CODE. Output in $tmp/out, $tmp/err.
dw() {
    local want=$1 code=0
    shift
    "$dw" "$@" >"$tmp/out" 2>"$tmp/err" || code=$?
    [ "$code" -eq "$want" ] || {
        echo "dialwright $* ended with $code, not $want"
        return 1
    }
}

says() { grep -qF -- "$1" "$tmp/out" "$tmp/err"; }

# one_object: stdout holds exactly one JSON object, and a Python expression over it (o) is true.
one_object() {
    python3 - "$tmp/out" "${1:-True}" <<'PY'
import json, sys
text = open(sys.argv[1]).read()
o = json.loads(text)
assert text.count("\n") == 1, "more than one line"
assert isinstance(o, dict) and eval(sys.argv[2]), text[:3000]
PY
}
