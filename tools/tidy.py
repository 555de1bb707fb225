#!/usr/bin/env python3
"""tidy.py -- the house rules that a compiler does not check. Prints TAP.

    tools/tidy.py [ROOT]        check the tree
    tools/tidy.py --self-test   plant one fault of each kind and see it found

Checked: include direction between rooms, outside libraries only in their room, sizes of files and
functions, nesting, banned calls (the replacement is named), header manuals, stale or headerless SQL
files, trailing junk, TODO without an issue number.

Exceptions stand in the code with their reason:
    /* tidy: long: why this file or function is longer */     (in the file's head, or in the function)
    /* tidy: allow NAME: why this call is right here */        (on the line, or the line above)
"""
import os
import re
import subprocess
import sys
import tempfile

ROOMS = ["base", "loop", "net", "store", "carrier", "voice", "media", "call", "dial", "handoff",
         "insight", "api", "cli"]
OUTSIDE_ROOMS = {"sim": {"base", "loop", "net", "sim"}, "bench": set(ROOMS) | {"bench"},
                 "fuzz": set(ROOMS), "tests": set(ROOMS) | {"sim", "tests"}}
# Outside libraries that only one room may know.
LIBRARY_ROOMS = {"libpq-fe.h": {"store"}, "microhttpd.h": {"net"}, "curl/curl.h": {"net"},
                 "wslay/wslay.h": {"net"}, "uv.h": {"loop", "net", "store", "main"}, "csv.h": {"cli"},
                 "cyaml/cyaml.h": {"cli"}, "sndfile.h": {"media"}, "simdjson.h": {"base"}}
FILE_LINES_MAX = 900
FUNCTION_LINES_MAX = 70
NESTING_MAX = 3
BANNED = {
    "strcpy": "str_copy()", "strncpy": "str_copy()", "strcat": "struct buf", "strncat": "struct buf",
    "sprintf": "snprintf() or struct buf", "vsprintf": "buf_vaddf()", "gets": "buf_reserve() and read()",
    "strtok": "str_split()", "strtok_r": "str_split()", "atoi": "str_to_i64()", "atol": "str_to_i64()",
    "atoll": "str_to_i64()", "atof": "str_to_double()", "strtol": "str_to_i64()",
    "strtoll": "str_to_i64()", "strtoul": "str_to_i64()", "strtoull": "str_to_i64()",
    "strtod": "str_to_double()", "localtime": "clock_format()", "localtime_r": "clock_format()",
    "gmtime": "clock_format()", "gmtime_r": "clock_format()", "mktime": "clock_parse()",
    "sleep": "timer_start()", "usleep": "timer_start()", "nanosleep": "timer_start()",
    "time": "loop_wall_us() or clock_wall_us()", "gettimeofday": "clock_wall_us()",
    "clock_gettime": "loop_now_us() or clock_mono_us()", "system": "posix_spawn() with an argument list",
    "popen": "posix_spawn() with an argument list", "rand": "random_bytes()", "srand": "random_bytes()",
    "random": "random_bytes()", "alloca": "an array with a limit, or an arena",
    "malloc": "xmalloc()", "calloc": "xcalloc()", "realloc": "xrealloc()", "free": "xfree()",
    "strdup": "xstrdup()", "strndup": "xstrndup()", "asprintf": "buf_addf()",
    "longjmp": "an int result", "setjmp": "an int result",
}
C_SUFFIXES = (".c", ".h", ".cc")
TEXT_SUFFIXES = C_SUFFIXES + (".py", ".sh", ".sql", ".md", ".yaml", ".yml", ".build", ".txt", ".env",
                              ".sample", ".json", ".pml", ".conf", ".supp")
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(sorted(BANNED, key=len, reverse=True)))
CONTROL = re.compile(r"^( *)(?:\} )?(?:if|for|while|switch|do|else)\b")
ALLOW = re.compile(r"tidy: allow ([\w, ]+): \S")
LONG = re.compile(r"tidy: long: \S")


def blank_literals(text):
    """The text with comments, strings and character constants blanked; line numbers stay."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def tree_files(root):
    """Every file of the project, committed or about to be; relative paths."""
    # The tree's own repository, not one that it happens to lie in.
    alone = dict(os.environ, GIT_CEILING_DIRECTORIES=os.path.dirname(os.path.abspath(root)))
    found = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], env=alone,
                           capture_output=True, text=True)
    if found.returncode == 0:
        names = found.stdout.splitlines()
    else:
        names = [os.path.relpath(os.path.join(d, f), root)
                 for d, _, fs in os.walk(root) for f in fs]
    return sorted(n for n in names if os.path.isfile(os.path.join(root, n))
                  and not os.path.islink(os.path.join(root, n)))


class Source:
    """One file, read once."""

    def __init__(self, root, path):
        self.root = root
        self.path = path
        with open(os.path.join(root, path), "rb") as handle:
            self.raw = handle.read()
        self.text = self.raw.decode("utf-8", "replace")
        self.lines = self.text.split("\n")
        self._code = None

    @property
    def code(self):
        if self._code is None:
            self._code = blank_literals(self.text).split("\n")
        return self._code

    def allowed(self, index, name):
        for line in self.lines[max(0, index - 1):index + 1]:
            for match in ALLOW.finditer(line):
                if name in [n.strip() for n in match.group(1).split(",")]:
                    return True
        return False


def room_of(path):
    parts = path.split("/")
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else "main"
    return parts[0]


def check_includes(source):
    room = room_of(source.path)
    if room in ROOMS:
        may = set(ROOMS[:ROOMS.index(room) + 1])
    elif room == "main":
        may = set(ROOMS)
    else:
        may = OUTSIDE_ROOMS.get(room, set(ROOMS))
    for number, line in enumerate(source.lines, 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not match:
            continue
        kind, name = match.groups()
        if source.path.startswith("src/") and name in LIBRARY_ROOMS and room not in LIBRARY_ROOMS[name]:
            if not source.allowed(number - 1, name.split("/")[0].split(".")[0]):
                yield number, "only src/%s includes <%s>" % (", src/".join(LIBRARY_ROOMS[name]), name)
        if kind == '"' and "/" in name:
            target = name.split("/")[0]
            if room == "sim" and os.path.isfile(os.path.join(source.root, "sim", name)):
                continue  # the other side has folders of its own under names of ours
            if target in set(ROOMS) | set(OUTSIDE_ROOMS) and target not in may:
                yield number, "%s must not include %s: arrows point to earlier rooms" % (room, name)
        elif kind == '"' and room in ROOMS and not name.endswith("_gen.h"):
            yield number, 'includes name their room: "%s/%s"' % (room, name)


def functions(source):
    """(name, first line, last line) of each function body, for code in our format."""
    start = None
    for index, line in enumerate(source.code):
        if line.rstrip() == "{" and index and source.code[index - 1].rstrip().endswith(")"):
            start = index
        elif line.startswith("}") and start is not None:
            head = " ".join(source.code[max(0, start - 6):start])
            names = re.findall(r"(\w+)\s*\(", head)
            yield (names[-1] if names else "?"), start, index
            start = None


def check_sizes(source):
    lines = len(source.lines) - 1
    if lines > FILE_LINES_MAX and not LONG.search("\n".join(source.lines[:30])):
        yield 1, "%d lines; a file has at most %d" % (lines, FILE_LINES_MAX)
    if source.path.endswith(".cc"):
        return
    for name, first, last in functions(source):
        if last - first - 1 > FUNCTION_LINES_MAX and not LONG.search("\n".join(source.lines[first - 4:last])):
            yield first + 1, "%s() has %d lines; at most %d" % (name, last - first - 1, FUNCTION_LINES_MAX)
        for index in range(first, last):
            match = CONTROL.match(source.code[index])
            if match and len(match.group(1)) // 4 > NESTING_MAX and len(match.group(1)) % 4 == 0:
                yield index + 1, "%s() nests deeper than %d" % (name, NESTING_MAX)
                break


def check_bans(source):
    in_base = source.path.startswith("src/base/")
    memory = {"malloc", "calloc", "realloc", "free", "strdup", "strndup"}
    for index, line in enumerate(source.code):
        for match in CALL.finditer(line):
            name = match.group(1)
            if in_base or (source.path.endswith(".cc") and name in memory):
                continue
            if re.search(r"\b(?:struct|enum|int|void|char)\s*\*?\s*$", line[:match.start()]):
                continue
            if not source.allowed(index, name):
                yield index + 1, "%s() is banned: use %s" % (name, BANNED[name])
        if re.search(r"\bgoto\b", line):
            yield index + 1, "goto is banned: use OWNED() and early return"
        if re.search(r"\btypedef\s+(struct|enum|union)\b[^(]*$", line):
            yield index + 1, "no typedef of structs or enums: write struct, enum"


def check_header(source):
    if not source.path.endswith(".h"):
        return
    name = os.path.basename(source.path)
    if not re.match(r"/\* %s -- \S" % re.escape(name), source.lines[0]):
        yield 1, 'a header opens with its manual: "/* %s -- what it is for"' % name
        return
    manual = source.text.split("*/", 1)[0]
    takes_part = re.search(r"^\w[^=;{]*\w\([^;{]*\)[^;{]*;", "\n".join(source.code), re.M)
    if source.path.startswith("src/") and takes_part and not re.search(r"\b(Owner|Thread|Contract|Shape)\b|\bas \w+\.h", manual, re.I):
        yield 1, "the manual of a header with functions says Owner or Thread"


def check_text(source):
    if b"\r" in source.raw:
        yield 1, "carriage returns"
    if source.raw and not source.raw.endswith(b"\n"):
        yield len(source.lines), "no newline at the end"
    if source.raw.endswith(b"\n\n"):
        yield len(source.lines) - 1, "empty lines at the end"
    for number, line in enumerate(source.lines, 1):
        if line != line.rstrip():
            yield number, "white space at the end of a line"
        if "\t" in line and not source.path.endswith((".conf", "Makefile")):
            yield number, "a tab"
        if re.search(r"\bTODO\b(?!\(#\d+\))", line) and source.path != "tools/tidy.py":
            yield number, "TODO needs an issue number: TODO(#12)"
        if re.search(r"\b(FIXME|XXX)\b", line) and source.path not in ("tools/tidy.py", "CONTRIBUTING.md"):
            yield number, "FIXME does not merge"


def check_sql(source, used):
    parts = source.path.split("/")
    if parts[1] in ("functions", "migrations", "tests") or len(parts) != 3:
        return
    head = [line for line in source.lines if line.startswith("--")]
    for field in ("in", "out", "rows"):
        if not any(re.match(r"-- %s\b" % field, line) for line in head):
            yield 1, "the header lacks `-- %s`" % field
    name = "SQL_%s_%s" % (parts[1].upper(), parts[2][:-4].upper())
    if name not in used:
        yield 1, "nothing uses %s: remove the file or use it" % name


def run_checks(root):
    """{rule: [(path, line, message)]} over the whole tree."""
    sources = [Source(root, path) for path in tree_files(root)
               if path.endswith(TEXT_SUFFIXES) or path.startswith(("script/", "tools/", ".ci/"))]
    code = [s for s in sources if s.path.endswith(C_SUFFIXES)]
    used = set()
    for source in code:
        used.update(re.findall(r"\bSQL_[A-Z0-9_]+\b", "\n".join(source.code)))
    rules = {
        "includes point to earlier rooms": (check_includes, code),
        "sizes and nesting": (check_sizes, code),
        "banned calls": (check_bans, code),
        "header manuals": (check_header, code),
        "text is clean": (check_text, [s for s in sources if not s.path.startswith(("tests/data/", "fuzz/"))]),
        "sql files have a header and a user":
            (lambda s: check_sql(s, used), [s for s in sources if re.match(r"sql/.*\.sql$", s.path)]),
    }
    found = {}
    for rule, (check, over) in rules.items():
        found[rule] = [(s.path, number, message) for s in over for number, message in check(s)]
    return found


def print_tap(found):
    print("1..%d" % len(found))
    bad = 0
    for number, (rule, faults) in enumerate(found.items(), 1):
        print("%s %d - tidy: %s" % ("not ok" if faults else "ok", number, rule))
        for path, line, message in faults:
            print("# %s:%d: %s" % (path, line, message))
        bad += bool(faults)
    return 1 if bad else 0


CLEAN = """/* good.h -- a header as it should be.
 *
 * Thread  any. */
#ifndef BASE_GOOD_H
#define BASE_GOOD_H

int good_run(int n);

#endif
"""
# (file, content, words that the complaint must hold)
PLANTED = [
    ("src/base/up.c", '#include "net/http.h"\n', "arrows point"),
    ("src/call/pq.c", "#include <libpq-fe.h>\n", "only src/store"),
    ("src/call/bare.c", '#include "call.h"\n', "name their room"),
    ("sim/x.c", '#include "carrier/plivo/xml.h"\n', "arrows point"),
    ("src/net/big.c", "int x;\n" * 901, "a file has at most"),
    ("src/net/fn.c", "int f(void)\n{\n" + "    g();\n" * 71 + "}\n", "f() has 71 lines"),
    ("src/net/deep.c", "int f(int a)\n{\n    if (a) {\n        if (a) {\n            if (a) {\n"
     "                if (a) {\n                }\n            }\n        }\n    }\n}\n", "nests deeper"),
    ("src/net/ban.c", "void f(void)\n{\n    sprintf(a, b);\n}\n", "use snprintf"),
    ("src/net/mem.c", "void f(void)\n{\n    free(a);\n}\n", "use xfree"),
    ("src/net/jump.c", "void f(void)\n{\n    goto out;\n}\n", "goto is banned"),
    ("src/net/type.c", "typedef struct x x;\n", "no typedef"),
    ("src/net/no.h", "#ifndef X\n#define X\n#endif\n", "opens with its manual"),
    ("src/net/who.h", "/* who.h -- nobody says. */\nint who_is(int n);\n", "says Owner or Thread"),
    ("src/net/space.c", "int x; \n", "white space"),
    ("src/net/tab.c", "\tint x;\n", "a tab"),
    ("src/net/end.c", "int x;", "no newline"),
    ("src/net/todo.c", "/* TODO later */\n", "issue number"),
    ("src/net/fix.c", "/* FIXME */\n", "does not merge"),
    ("sql/dial/stale.sql", "-- x\n-- in   a\n-- out  b\n-- rows 1\nSELECT 1;\n", "nothing uses"),
    ("sql/dial/used.sql", "-- x\nSELECT 1;\n", "lacks `-- in`"),
]
FINE = [
    ("src/base/good.h", CLEAN),
    ("src/net/fine.c", '#include "base/good.h"\n\n/* free(it) in words, "goto" in a string */\n'
     'const char *s = "strcpy(a, b); TODO(#3)";\nint a = SQL_DIAL_USED;\nint b = x.time(3);\n'),
    ("src/net/allowed.c", "void f(void)\n{\n    /* tidy: allow free: the library wants its own */\n    free(a);\n}\n"),
    ("src/net/long.c", "/* tidy: long: a table */\n" + "int x;\n" * 901),
    ("src/net/fntype.c", "typedef enum x fn(void *arg);\n"),
    ("sim/carrier/own.h", "/* own.h -- the other side's. */\n"),
    ("sim/own.c", '#include "carrier/own.h"\n'),
]


def plant(root, path, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as handle:
        handle.write(text)


def self_test():
    results = []
    with tempfile.TemporaryDirectory() as root:
        for path, text in FINE:
            plant(root, path, text)
        faults = [f for fs in run_checks(root).values() for f in fs]
        results.append(("a clean tree has no fault", not faults, faults))
        for path, text, words in PLANTED:
            plant(root, path, text)
            faults = [f for fs in run_checks(root).values() for f in fs]
            hit = any(p == path and words in message for p, _, message in faults)
            results.append(("finds: " + words, hit, faults))
            os.remove(os.path.join(root, path))
    print("1..%d" % len(results))
    for number, (name, good, detail) in enumerate(results, 1):
        print("%s %d - tidy self-test: %s" % ("ok" if good else "not ok", number, name))
        if not good:
            print("# %s" % detail)
    return 0 if all(good for _, good, _ in results) else 1


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        print(__doc__, file=sys.stderr)
        return 2
    root = arguments[0] if arguments else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    return print_tap(run_checks(os.path.abspath(root)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
