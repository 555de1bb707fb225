#!/usr/bin/env python3
"""embed_schema.py -- makes a C string of the analysis schema.

    embed_schema.py SCHEMA.json OUT.c

Checks what strict mode of the Responses API demands: every object closed, every member required, in the
order in which the model is to write them.
"""
import json
import sys


def check(node, path):
    if isinstance(node, dict):
        if "properties" in node:
            if node.get("additionalProperties") is not False:
                sys.exit("%s: additionalProperties must be false" % path)
            if node.get("required") != list(node["properties"]):
                sys.exit("%s: required must list every member, in order" % path)
        for key, child in node.items():
            check(child, path + "/" + key)


def main():
    with open(sys.argv[1], encoding="utf-8") as handle:
        schema = json.load(handle)
    check(schema, "schema")
    text = json.dumps(schema, separators=(",", ":"))
    data = text.encode("utf-8") + b"\0"
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        # A list of characters: compilers need not take a string literal of this length.
        out.write('#include "insight/analyse.h"\n\nconst char insight_schema[] = {\n')
        for at in range(0, len(data), 20):
            out.write("    " + " ".join("%d," % byte for byte in data[at:at + 20]) + "\n")
        out.write("};\n")


main()
