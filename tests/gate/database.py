"""Worlds into a throw-away database, and the SQL gate's words about them. Everything goes through psql; nothing else is needed."""
import datetime as dt
import json
import os
import subprocess

from evaluator import SHARED
from worlds import GENERATED, question, uid

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def tool(*arguments):
    return subprocess.run([os.path.join(TOOLS, arguments[0]), *arguments[1:]], check=True, capture_output=True, text=True).stdout.strip()


def psql(url, script):
    done = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", url], input=script, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit("psql: " + done.stderr[:2000])
    return done.stdout


def copied(lines):
    """Rows for COPY: tabs and backslashes of the JSON are escaped."""
    return "\n".join("\t".join(cell.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n") for cell in line) for line in lines)


def load_script(tables):
    """Stores the rows without triggers, keys and checks of other tables: worlds are states, not histories."""
    script = ["SET session_replication_role = replica; SET search_path = public;", "CREATE TEMP TABLE load (t text, r jsonb);",
              "COPY load FROM STDIN;"]
    script.append(copied((name, json.dumps(row)) for name, rows in tables.items() for row in rows))
    script.append("\\.")
    for name, rows in tables.items():
        if rows:
            columns = ", ".join('"%s"' % key for key in rows[0] if key not in GENERATED.get(name, ()))
            script.append("INSERT INTO %s (%s) SELECT %s FROM load, jsonb_populate_record(NULL::%s, r) AS x WHERE t = '%s';"
                          % (name, columns, columns.replace('"', 'x."', 1).replace(', "', ', x."'), name, name))
    script.append("DROP TABLE load; ANALYZE; RESET session_replication_role;")
    return "\n".join(script) + "\n"


def ask_script(questions, name="questions"):
    """Keeps the questions: (key, world number, world, moment)."""
    lines = [(str(key), *question(n, world), at) for key, n, world, at in questions]
    return ("CREATE TABLE IF NOT EXISTS public.%s (key text, org uuid, campaign uuid, lead uuid, caller text, at timestamptz);\n"
            "COPY public.%s FROM STDIN;\n%s\n\\.\nANALYZE public.%s;\n" % (name, name, copied(lines), name))


def answers_sql(name="questions", where="true"):
    return ("SELECT q.key, coalesce(v.reason, ''), coalesce((extract(epoch FROM v.next_change_at) * 1000000)::int8::text, '') FROM public.%s q,"
            " LATERAL app.gate(q.org, q.campaign, q.lead, q.caller, q.at) AS v WHERE %s ORDER BY q.key;\n" % (name, where))


def read_answers(text):
    found = {}
    for line in text.splitlines():
        key, reason, change = line.split("|")
        found[key] = (reason or None, EPOCH + dt.timedelta(microseconds=int(change)) if change else None)
    return found


def shared_tables(url):
    script = "SET search_path = public; SELECT jsonb_build_object(%s);" % ", ".join(
        "'%s', (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM %s t)" % (name, name) for name in SHARED)
    return json.loads(psql(url, script))


def fresh(purpose, name="gate"):
    """A migrated database of this run, on a cluster of its own."""
    tool("pg-private", "--purpose", purpose, "start")
    url = tool("pg-private", "--purpose", purpose, "createdb", name)
    tool("migrate-plain.sh", url)
    return url


def world_id(n):
    return uid(1, n)
