#!/bin/sh
# The same migrations under Supabase's roles: applied by a role that is no superuser, beside roles and default
# privileges that were there before; then the isolation matrix with its mutants, the lint with its faults, the other doors,
# and the matrix over connections of the gateway's own login. Prints TAP.
# usage: tools/pg-private run tools/supabase-check.sh      (or DATABASE_URL of a superuser of a throw-away cluster:
#        roles belong to the cluster, and must not exist before)
set -eu
url=${DATABASE_URL:?DATABASE_URL of a superuser of a throw-away cluster}
here=$(cd "$(dirname "$0")/.." && pwd)
psql -Xq -v ON_ERROR_STOP=1 "$url" <<'SQL'
CREATE ROLE supabase_like LOGIN NOSUPERUSER CREATEROLE CREATEDB BYPASSRLS;
CREATE ROLE supabase_admin_like NOLOGIN SUPERUSER;
CREATE ROLE anon NOLOGIN NOINHERIT;
CREATE ROLE authenticated NOLOGIN NOINHERIT;
CREATE ROLE service_role NOLOGIN NOINHERIT BYPASSRLS;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated, service_role TO authenticator, supabase_like;
CREATE DATABASE supabase_like OWNER supabase_like;
SQL
at() {
    # The URL with another database, and perhaps another user.
    python3 - "$url" "$@" <<'PY'
import sys
from urllib.parse import urlsplit, urlunsplit, parse_qsl, urlencode
url, database = sys.argv[1], sys.argv[2]
parts = urlsplit(url)
query = dict(parse_qsl(parts.query))
netloc = parts.netloc
if len(sys.argv) > 3:
    query.pop("user", None)
    netloc = sys.argv[3] + "@" + netloc.rpartition("@")[2]
print(urlunsplit((parts.scheme, netloc, "/" + database, urlencode(query), "")))
PY
}
psql -Xq -v ON_ERROR_STOP=1 "$(at supabase_like)" <<'SQL'
CREATE SCHEMA auth AUTHORIZATION supabase_admin_like;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_like IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_like IN SCHEMA public GRANT ALL ON FUNCTIONS TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_like IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated, service_role;
SQL
"$here"/tools/migrate-plain.sh "$(at supabase_like supabase_like)"
"$here"/tools/pgtap.sh "$(at supabase_like)" "$here"/sql/tests/110_isolation.sql "$here"/sql/tests/111_lint.sql \
    "$here"/sql/tests/113_doors.sql "$here"/sql/tests/990_logins.sql
