#!/usr/bin/env python3
"""embed.py -- puts the schema into the binary.

    tools/embed.py OUT.c OUT.h DEPFILE SQL_DIR

Writes struct migration migrations[] (store/store_migrate.h): the files of SQL_DIR/migrations, applied once,
and of SQL_DIR/functions, applied again whenever their text changed, in the order of their numbers, each with
the SHA-256 of its file. A number used twice, or a name that is not NNNN_words.sql, is an error.
"""
import hashlib
import os
import re
import sys

FOLDERS = ("migrations", "functions")


def read_files(sql):
    """{number: (path under SQL_DIR, text)} of both folders."""
    found = {}
    paths = [(folder, name) for folder in FOLDERS for name in sorted(os.listdir(os.path.join(sql, folder)))]
    for folder, name in paths:
        if not name.endswith(".sql"):
            continue
        match = re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", name)
        if not match:
            sys.exit("embed.py: %s: a file of the schema is named NNNN_words.sql" % name)
        number = int(match.group(1))
        if number in found:
            sys.exit("embed.py: number %04d is used by %s and %s" % (number, found[number][0], name))
        with open(os.path.join(sql, folder, name), "rb") as handle:
            found[number] = (folder + "/" + name, handle.read())
    return found


def as_bytes(text):
    # Bytes, not a literal: ISO C promises literals of 4095 characters only.
    numbers = [str(b) for b in text] + ["0"]
    return "\n".join("    " + ",".join(numbers[i:i + 32]) + "," for i in range(0, len(numbers), 32))


def main(arguments):
    if len(arguments) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    source, header, depfile, directory = arguments
    files = read_files(directory)
    with open(source, "w", encoding="utf-8") as out:
        out.write('#include "%s"\n\n' % os.path.basename(header))
        for number, (name, text) in sorted(files.items()):
            if any(b > 126 for b in text):
                kind = "unsigned char"
            else:
                kind = "char"
            out.write("static const %s text_%04d[] = {\n%s\n};\n" % (kind, number, as_bytes(text)))
        out.write("\nconst struct migration migrations[] = {\n")
        for number, (name, text) in sorted(files.items()):
            out.write('    {%d, "%s", (const char *)text_%04d, "%s", %s},\n'
                      % (number, os.path.basename(name)[:-4], number, hashlib.sha256(text).hexdigest(),
                         "true" if name.startswith("functions/") else "false"))
        out.write("};\nconst size_t migrations_count = %d;\n" % len(files))
    with open(header, "w", encoding="utf-8") as out:
        out.write("/* The schema, as text. */\n#ifndef CLI_MIGRATIONS_GEN_H\n#define CLI_MIGRATIONS_GEN_H\n\n"
                  '#include "store/store_migrate.h"\n\nextern const struct migration migrations[];\n'
                  "extern const size_t migrations_count;\n\n#endif\n")
    with open(depfile, "w", encoding="utf-8") as out:
        # The folders too: a file added there must run this again.
        paths = [os.path.join(directory, folder) for folder in FOLDERS] + [os.path.join(directory, name) for name, _ in files.values()]
        out.write("%s %s: %s\n" % (source, header, " ".join(p.replace(" ", "\\ ") for p in paths)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
