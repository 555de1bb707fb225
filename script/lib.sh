# shellcheck shell=bash
# lib.sh -- what the scripts share: where we are, how to say things, how to become root.
# Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VAR_DIR=$ROOT/var
BUILD_DIR=${DIALWRIGHT_BUILD_DIR:-$ROOT/build}

say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# One heading per step, with the seconds since the script began.
step() { printf '== %s (%ds)\n' "$*" "$SECONDS" >&2; }

# Runs a command as root: directly, or by sudo when we are a user.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        die "this needs root: run as root, or install sudo"
    fi
}

# How many compile jobs: the cores, but one for every 1.5 GiB of memory (sanitizer builds are hungry).
jobs_count() {
    local cores mem
    cores=$(nproc)
    mem=$(awk '/MemAvailable/ {print int($2 / 1572864)}' /proc/meminfo)
    if [ "${mem:-1}" -lt 1 ]; then mem=1; fi
    if [ "$cores" -gt "$mem" ]; then cores=$mem; fi
    echo "$cores"
}

# build_tree DIR [meson options]: configures once, reconfigures when options changed, builds all, or only
# the targets named in BUILD_TARGETS. Two callers of one directory take turns.
build_tree() {
    mkdir -p "$(dirname "$1")"
    (
        flock 8
        build_locked "$@"
    ) 8>"$1.lock"
}

# What is to be fast: no sanitizers, assertions on, no tests.
build_release() { build_tree "$BUILD_DIR/release" --buildtype=release -Db_ndebug=false -Dtests=false; }

build_locked() {
    local dir=$1
    shift
    if [ -f "$dir/build.ninja" ]; then
        if [ "$(cat "$dir/.dialwright-options" 2>/dev/null)" != "$*" ]; then
            meson setup --reconfigure "$dir" "$ROOT" "$@" >"$dir.log" 2>&1 || rm -rf "$dir"
        fi
    fi
    if [ ! -f "$dir/build.ninja" ]; then
        rm -rf "$dir"
        meson setup "$dir" "$ROOT" "$@" >"$dir.log" 2>&1 || {
            cat "$dir.log" >&2
            return 1
        }
    fi
    printf '%s' "$*" >"$dir/.dialwright-options"
    # shellcheck disable=SC2086 # several targets
    ninja -C "$dir" -j "$(jobs_count)" ${BUILD_TARGETS:-} >"$dir.log" 2>&1 || {
        grep -avE '^\[[0-9]+/[0-9]+\]|^ninja: ' "$dir.log" | tail -60 >&2
        return 1
    }
}
