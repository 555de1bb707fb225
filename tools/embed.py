#!/usr/bin/env python3
"""embed.py -- puts the migrations into the binary.

    tools/embed.py OUT.c OUT.h DEPFILE MIGRATIONS_DIR

Writes struct migration migrations[] (store/store_migrate.h), in the order of their numbers, each with
the SHA-256 of its file. A number used twice, or a name that is not NNNN_words.sql, is an error.
"""
import hashlib
import os
import re
import sys


def read_files(directory):
    found = {}
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".sql"):
            continue
        match = re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", name)
        if not match:
            sys.exit("embed.py: %s: a migration is named NNNN_words.sql" % name)
        number = int(match.group(1))
        if number in found:
            sys.exit("embed.py: number %04d is used by %s and %s" % (number, found[number][0], name))
        with open(os.path.join(directory, name), "rb") as handle:
            found[number] = (name, handle.read())
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
            out.write('    {%d, "%s", (const char *)text_%04d, "%s"},\n'
                      % (number, name[:-4], number, hashlib.sha256(text).hexdigest()))
        out.write("};\nconst size_t migrations_count = %d;\n" % len(files))
    with open(header, "w", encoding="utf-8") as out:
        out.write("/* The schema, as text. */\n#ifndef CLI_MIGRATIONS_GEN_H\n#define CLI_MIGRATIONS_GEN_H\n\n"
                  '#include "store/store_migrate.h"\n\nextern const struct migration migrations[];\n'
                  "extern const size_t migrations_count;\n\n#endif\n")
    with open(depfile, "w", encoding="utf-8") as out:
        # The directory too: a file added there must run this again.
        paths = [directory] + [os.path.join(directory, name) for name, _ in files.values()]
        out.write("%s %s: %s\n" % (source, header, " ".join(p.replace(" ", "\\ ") for p in paths)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
