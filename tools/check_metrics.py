#!/usr/bin/env python3
"""Compares the metric names used in the sources with the table in src/base/metrics_table.h.

An unknown name does not crash the program (it counts as metric_unknown_total), so this check is what
finds it. Label values that are written as literals are compared too.

usage: check_metrics.py SOURCE_ROOT
"""
import pathlib
import re
import sys

ROW = re.compile(r'\{"([a-z0-9_]+)", (COUNTER|GAUGE|HISTOGRAM), (NULL|"[^"]*"), (NULL|"[^"]*"),')
USE = re.compile(r'\bmetric_(add|set|observe_ms)\(\s*"([^"]+)"(?:,\s*(NULL|"[^"]*"))?')


def read_table(root):
    text = (root / "src/base/metrics_table.h").read_text(encoding="utf-8")
    rows = {}
    for name, kind, _, values in ROW.findall(text):
        if name in rows:
            yield None, f"{name} is listed twice"
        rows[name] = (kind, values.strip('"').split() if values != "NULL" else None)
    yield rows, None


def check_use(rows, call, name, label):
    name = name.removeprefix("dialwright_")
    if name not in rows:
        return f"{name} is not in src/base/metrics_table.h"
    kind, values = rows[name]
    if (call == "observe_ms") != (kind == "HISTOGRAM"):
        return f"{name} is a {kind.lower()}"
    if label.startswith('"') and label.strip('"') not in (values or []):
        return f"{name} has no label value {label}"
    if label == "NULL" and values is not None and call != "observe_ms":
        return f"{name} needs a label value"
    return None


def main(root):
    problems = []
    rows = {}
    for table, problem in read_table(root):
        rows = table or rows
        if problem:
            problems.append(problem)
    for path in sorted((root / "src").rglob("*.c")):
        if path.name.endswith("_test.c") or path.name == "metrics.c":
            continue
        text = path.read_text(encoding="utf-8")
        for match in USE.finditer(text):
            problem = check_use(rows, match[1], match[2], match[3] or "")
            if problem:
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"{path.relative_to(root)}:{line}: {problem}")
    print("\n".join(problems) or f"{len(rows)} series")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1])))
