#!/usr/bin/env python3
"""clang_tidy.py -- clang-tidy over the sources of a build, two at once. Prints TAP, one line per file.

    tools/clang_tidy.py BUILD [FILE...]

A file that passed is not looked at again until it, a header it includes, or .clang-tidy changes; what
passed is remembered in var/clang-tidy. Tests and fuzzers are left out: the compiler's warnings and the
sanitizers look at those.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(ROOT, "var", "clang-tidy")
TOOL = "clang-tidy-14"


def sources(build, wanted):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as handle:
        entries = json.load(handle)
    found = {}
    for entry in entries:
        name = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
        if name.startswith(("src/", "sim/")) and name.endswith(".c") and not re.search(r"_(test|fuzz)\.c$", name):
            if not wanted or name in wanted:
                found[name] = entry
    return found


def headers(text, seen):
    """The project's own headers that a text includes, directly or through others."""
    for name in re.findall(r'#\s*include\s+"([^"]+)"', text):
        for base in ("src", "sim"):
            path = os.path.join(ROOT, base, name)
            if os.path.isfile(path) and path not in seen:
                seen.add(path)
                with open(path, encoding="utf-8") as handle:
                    headers(handle.read(), seen)
    return seen


def digest(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as handle:
        text = handle.read()
    whole = hashlib.sha256()
    for path in [os.path.join(ROOT, ".clang-tidy"), os.path.join(ROOT, name)] + sorted(headers(text, set())):
        with open(path, "rb") as handle:
            whole.update(handle.read())
    return whole.hexdigest()


def look_at(build, name):
    mark = os.path.join(CACHE, name.replace("/", "!"))
    now = digest(name)
    try:
        with open(mark, encoding="utf-8") as handle:
            if handle.read() == now:
                return name, ""
    except OSError:
        pass
    done = subprocess.run([TOOL, "-p", build, "--quiet", "--extra-arg=-Wno-unknown-warning-option",
                           "--extra-arg=-Wno-ignored-optimization-argument", os.path.join(ROOT, name)],
                          capture_output=True, text=True, check=False)
    said = "\n".join(line for line in done.stdout.splitlines() if line.strip())
    if done.returncode == 0:
        with open(mark, "w", encoding="utf-8") as handle:
            handle.write(now)
        return name, ""
    return name, said or done.stderr


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    build = os.path.abspath(arguments[0])
    names = sources(build, set(arguments[1:]))
    os.makedirs(CACHE, exist_ok=True)
    print("1..%d" % len(names))
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        for number, (name, said) in enumerate(pool.map(lambda n: look_at(build, n), sorted(names)), 1):
            print("%s %d - clang-tidy %s" % ("not ok" if said else "ok", number, name), flush=True)
            if said:
                bad += 1
                print("\n".join("# " + line for line in said.splitlines()[:40]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
