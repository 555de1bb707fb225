#!/usr/bin/env python3
"""Turns sql/<module>/<name>.sql into the table of statements that src/store prepares.

usage: gen_sql.py --sql DIR --header OUT.h --source OUT.c [--depfile OUT.d]

Each file holds one statement under a comment header (CONVENTIONS 9):
    -- What it is for.
    -- in   name type, ...        ("-- in   none" when it takes nothing)
    -- out  name type, ...        ("-- out  none" when it returns no columns)
    -- rows 1 | 0..1 | 0..n
A file that breaks the rules stops the build with its name. What `in` and `out` claim is compared
with the database by tests/integration (PQdescribePrepared).
"""
import argparse
import pathlib
import re
import sys

TYPES = {'uuid', 'text', 'int2', 'int4', 'int8', 'bool', 'float8', 'numeric', 'jsonb', 'bytea',
         'timestamptz', 'date', 'time', 'uuid[]', 'text[]', 'int4[]', 'int8[]', 'int2[]', 'jsonb[]',
         'bool[]', 'float8[]', 'timestamptz[]'}
SKIPPED = {'functions', 'migrations', 'tests'}
PARAMS_MAX = 32


class Wrong(Exception):
    pass


def columns(line):
    if line == 'none':
        return []
    found = []
    for part in line.split(','):
        words = part.split()
        if len(words) != 2 or not re.fullmatch(r'[a-z][a-z0-9_]*', words[0]):
            raise Wrong(f'not "name type": {part.strip()!r}')
        if words[1] not in TYPES:
            raise Wrong(f'unknown type {words[1]!r}')
        found.append((words[0], words[1]))
    if len({name for name, _ in found}) != len(found):
        raise Wrong('a name twice')
    return found


def head_of(lines):
    """The comment block at the top, continuation lines (indented) joined to their member."""
    head = {}
    member = None
    for line in lines:
        m = re.match(r'-- (in|out|rows)\b\s*(.*)$', line)
        if m:
            member = m.group(1)
            if member in head:
                raise Wrong(f'-- {member} twice')
            head[member] = m.group(2).strip()
        elif member and re.match(r'--\s{4,}\S', line):
            head[member] += ' ' + line[2:].strip()
        else:
            member = None
    return head


def read(path):
    text = path.read_text(encoding='utf-8')
    lines = text.splitlines()
    top = 0
    while top < len(lines) and lines[top].startswith('--'):
        top += 1
    if top == 0 or re.match(r'-- (in|out|rows)\b', lines[0]):
        raise Wrong('the first line says what the statement is for')
    head = head_of(lines[:top])
    for member in ('in', 'out', 'rows'):
        if member not in head:
            raise Wrong(f'no "-- {member}" line')
    ins, outs = columns(head['in']), columns(head['out'])
    if len(ins) > PARAMS_MAX:
        raise Wrong(f'more than {PARAMS_MAX} parameters')
    body = '\n'.join(lines[top:]).strip()
    if not body.endswith(';') or ';' in body[:-1]:
        raise Wrong('exactly one statement, ended by one semicolon')
    used = set()
    for number, cast in re.findall(r'\$(\d+)(::[a-z0-9_]+(?:\[\])?)?', body):
        n = int(number)
        if not 1 <= n <= len(ins):
            raise Wrong(f'${n} is not in "in"')
        if cast != '::' + ins[n - 1][1]:
            raise Wrong(f'${n} must be written ${n}::{ins[n - 1][1]}')
        used.add(n)
    if len(used) != len(ins):
        raise Wrong(f'parameters never used: {sorted(set(range(1, len(ins) + 1)) - used)}')
    return ins, outs, body[:-1]


def c_text(s):
    out = []
    for line in s.split('\n'):
        line = line.replace('\\', '\\\\').replace('"', '\\"')
        out.append(f'        "{line}\\n"')
    return '\n'.join(out)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--sql', type=pathlib.Path, required=True)
    ap.add_argument('--header', type=pathlib.Path, required=True)
    ap.add_argument('--source', type=pathlib.Path, required=True)
    ap.add_argument('--depfile', type=pathlib.Path)
    args = ap.parse_args()

    folders = sorted(d for d in args.sql.iterdir() if d.is_dir() and d.name not in SKIPPED)
    files = [f for d in folders for f in sorted(d.glob('*.sql'))]
    statements, failed = [], False
    for f in files:
        name = f'{f.parent.name}_{f.stem}'
        try:
            if not re.fullmatch(r'[a-z][a-z0-9_]*', name):
                raise Wrong('names are lower case, digits and _')
            statements.append((name, f.relative_to(args.sql), *read(f)))
        except Wrong as e:
            print(f'{f}: {e}', file=sys.stderr)
            failed = True
    if failed:
        return 1

    h = ['/* Made by tools/gen_sql.py from sql/; not for editing. */',
         '#ifndef STORE_SQL_GEN_H', '#define STORE_SQL_GEN_H', '', '#include <stdint.h>', '', 'enum sql_id {']
    h += [f'    SQL_{name.upper()}, /* sql/{path} */' for name, path, *_ in statements]
    h += ['    SQL_COUNT', '};', '']
    for name, _, _, outs, _ in statements:
        if outs:
            h.append('enum {')
            h += [f'    COL_{name.upper()}_{column.upper()} = {i},' for i, (column, _) in enumerate(outs)]
            h += ['};']
    h += ['', 'struct sql_column {', '    const char *name;', '    const char *type;', '};', '',
          'struct sql_statement {', '    const char *name; /* also the name it is prepared under */',
          '    const char *text;', '    const struct sql_column *in;', '    const struct sql_column *out;',
          '    uint8_t in_count;', '    uint8_t out_count;', '};', '',
          'extern const struct sql_statement sql_statements[SQL_COUNT];', '', '#endif', '']

    c = ['/* Made by tools/gen_sql.py from sql/; not for editing. */', '#include "sql_gen.h"', '',
         '#include <stddef.h>', '']
    for name, _, ins, outs, _ in statements:
        for side, cols in (('in', ins), ('out', outs)):
            if cols:
                c.append(f'static const struct sql_column {name}_{side}[] = {{')
                c += [f'    {{"{column}", "{kind}"}},' for column, kind in cols]
                c += ['};']
    c += ['', 'const struct sql_statement sql_statements[SQL_COUNT] = {']
    for name, _, ins, outs, body in statements:
        c += [f'    [SQL_{name.upper()}] = {{', f'        .name = "{name}",', '        .text =', c_text(body) + ',',
              f'        .in = {name + "_in" if ins else "NULL"},', f'        .out = {name + "_out" if outs else "NULL"},',
              f'        .in_count = {len(ins)},', f'        .out_count = {len(outs)},', '    },']
    c += ['};', '']

    args.header.write_text('\n'.join(h), encoding='utf-8')
    args.source.write_text('\n'.join(c), encoding='utf-8')
    if args.depfile:
        # Folders too: a file that comes or goes changes its folder.
        needed = ' '.join(str(p).replace(' ', '\\ ') for p in [args.sql, *folders, *files])
        args.depfile.write_text(f'{args.header}: {needed}\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
