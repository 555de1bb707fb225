#!/usr/bin/env python3
"""Every rule and every check must be missed by the golden table when it is gone.

A mutant is app.gate with one thing taken away or one step moved: a row of compliance_rules deleted, a check that always passes, a
comparison turned. Each runs in a transaction that is rolled back, until the first golden row that notices. A mutant that no row
notices is a hole in the table (or a thing that has no effect), and fails this test.

usage: mutants.py [--purpose NAME] [--url URL] [--only TEXT]
"""
import argparse
import json

import database
from golden import BARE, golden_rows
from worlds import gather

# Function, what its text says, what the mutant says instead, the golden rule that should notice first.
TURNED = [
    ("gate_pauses", "p.resumed_at > p_at", "p.resumed_at >= p_at", "ALL-5"),
    ("gate_pauses", "p.scope = 'tenant' OR ", "", "ALL-5"),
    ("gate_pauses", "p.campaign_id = p_campaign OR ", "", "ALL-5"),
    ("gate_pauses", "IN (p_from, p_to)", "IN (p_from)", "ALL-5"),
    ("gate_pauses", "IN (p_from, p_to)", "IN (p_to)", "ALL-5"),
    ("gate_dnc", " AND d.lifted_at IS NULL", "", "US-10"),
    ("gate_dnc", "d.campaign_id IS NULL OR ", "", "US-10"),
    ("gate_dnc", "NULLS FIRST", "NULLS LAST", "US-10"),
    ("check_campaign", " OR c.archived_at IS NOT NULL", "", "campaign"),
    ("check_campaign", " OR c.closing_reason IS NOT NULL", "", "campaign"),
    ("check_lead", "l.archived_at IS NOT NULL OR ", "", "campaign"),
    ("check_lead", " OR o.archived_at IS NOT NULL", "", "campaign"),
    ("region_enabled", "e.enabled_at <= p_at", "e.enabled_at < p_at", "rules"),
    ("region_enabled", "e.disabled_at > p_at", "e.disabled_at >= p_at", "rules"),
    ("region_enabled", " AND e.region = left(p_region, 2)", "", "rules"),
    ("check_rules", "OR (country = l.region AND app.number_area(l.phone_e164) IS NULL)", "", "rules"),
    ("check_rules", "c.voice_kind = 'ai' AND ", "", "IN-4"),
    ("lead_regions", "l.address_region <> ALL (found)", "false", "strictest"),
    ("lead_regions", "l.residence_region <> ALL (found)", "false", "strictest"),
    ("lead_regions", "found := found || area", "found := found", "FL-1"),
    ("lead_zones", "WHEN stated IS NULL OR", "WHEN true OR", "strictest"),
    ("lead_zones", "j.jurisdiction IN (stated, left(stated, 2))", "j.jurisdiction = stated", "strictest"),
    ("lead_zones", "ORDER BY length(j.jurisdiction) DESC", "ORDER BY length(j.jurisdiction)", "strictest"),
    ("lead_zones", "l.timezone IS NOT NULL", "false", "US-1"),
    ("consent_held", "k.level = 'written') AND (NOT law.per_seller OR n.named)", "k.level = 'written')", "US-2b"),
    ("consent_held", "(law.consent < 2 OR k.level = 'written')", "true", "US-2"),
    ("consent_held", "k.granted_at <= p_at", "true", "US-2"),
    ("consent_held", "k.expires_at > p_at", "k.expires_at >= p_at", "US-2"),
    ("consent_held", "k.revoked_at > p_at", "k.revoked_at >= p_at", "US-3"),
    ("consent_held", "(k.scope = 'ai_voice' OR (c.voice_kind = 'human' AND k.scope = 'human_voice'))", "true", "US-2"),
    ("consent_held", "t.level = 'written' AND t.named", "t.level = 'written'", "US-9"),
    ("consent_held", "t.level = 'written' AND t.named", "t.named", "US-9"),
    ("relation_held", "p_at < (k.granted_at", "p_at <= (k.granted_at", "US-9"),
    ("relation_held", "asked -> 'exempt' ? k.scope", "false", "US-9"),
    ("check_lists", "> (asked ->> 'max_age_days')::int4", ">= (asked ->> 'max_age_days')::int4", "US-9"),
    ("check_lists", "> (asked ->> 'max_age_days')::int4", "> 1 + (asked ->> 'max_age_days')::int4", "US-9"),
    ("check_lists", "d.active_until > p_at)", "true)", "US-9"),
    ("check_lists", "d.active_from <= p_at\n           AND", "true AND", "US-9"),
    ("check_lists", "c.purpose = ANY (d.purposes)", "true", "US-9"),
    ("check_lists", "d.kind = 'prohibited' OR ", "", "US-13"),
    ("check_lists", "d.code <> ALL (exempt)", "true", "US-9"),
    ("check_lists", " OR d.code = ANY (bound)", "", "tighten"),
    ("law_merge", "WHEN r.own THEN law.abandon_days ELSE", "WHEN false THEN law.abandon_days ELSE", "tighten"),
    ("check_lists", "(asked -> 'exempt' ? 'written' AND held.written)", "held.written", "UK-2"),
    ("check_reassigned", "p_at > coalesce", "p_at >= coalesce", "US-11"),
    ("check_reassigned", "k.checked_at <= p_at", "true", "US-11"),
    ("check_reassigned", " AND k.checked_at > held.granted_at", "", "US-11"),
    ("check_reassigned", "('yes', 'no_data')", "('yes')", "US-11"),
    ("check_reassigned", "('yes', 'no_data')", "('no_data')", "US-11"),
    ("check_reassigned", "ORDER BY k.checked_at DESC", "ORDER BY k.checked_at", "US-11"),
    ("series_ok", "starts_with(p_from, p)", "true", "IN-1"),
    ("check_preference", "p_at > p.checked_at", "p_at >= p.checked_at", "IN-2"),
    ("check_preference", "0 = ANY (p.blocked_categories)", "false", "IN-2"),
    ("check_preference", "c.category IS NULL OR ", "", "IN-2"),
    ("check_preference", " OR c.category = ANY (p.blocked_categories)", "", "IN-2"),
    ("check_preference", "'{auto_dialer,robo}'", "'{robo}'", "IN-2"),
    ("check_preference", "'{auto_dialer,robo}'", "'{auto_dialer}'", "IN-2"),
    ("check_preference", "ELSE '{voice}'", "ELSE '{}'", "IN-2"),
    ("check_preference", "ORDER BY t.checked_at DESC", "ORDER BY t.checked_at", "IN-2"),
    ("law_windows", "WHEN chosen IS NULL", "WHEN true", "IN-2"),
    ("check_attempts", " AND enrolled.callback_at IS NULL", "", "attempts"),
    ("check_attempts", ">= enrolled.max_attempts", "> enrolled.max_attempts", "attempts"),
    ("windows_open", "clock >= ", "clock > ", "US-1"),
    ("windows_open", "clock < (span ->> 'to')", "clock <= (span ->> 'to')", "US-1"),
    ("windows_open", "span -> 'days' @> to_jsonb(today) AND", "", "IN-3"),
    ("span_next", "app.is_holiday(country, day)", "false", "FR-1"),
    ("span_next", "EXIT WHEN day > last", "EXIT WHEN day > last + 1", "window"),
    ("wall_first", "FOREACH shift IN ARRAY ARRAY[interval '2 hours', interval '1 hour', interval '30 minutes']",
     "FOREACH shift IN ARRAY ARRAY[interval '2 hours']", "window"),
    ("span_again", "ends <= at", "true", "window"),
    ("check_window", "why := 'holiday'", "why := why", "FR-1"),
    ("check_window", "(opening IS NULL AND c.end_date IS NOT NULL)", "false", "window"),
    ("check_window", "today < c.start_date OR ", "", "window"),
    ("call_marks", "k.machine_detected IS NOT TRUE", "true", "UK-3"),
    ("call_marks", "k.disclosure_played_at IS NULL", "true", "UK-3"),
    ("call_marks", "'provider_error', ", "", "UK-3"),
    ("call_marks", ", 'cancelled'", "", "UK-3"),
    ("check_holds", "h.free_at > p_at", "h.free_at >= p_at", "UK-3"),
    ("check_holds", "'not_interested', ", "", "FR-1"),
    ("check_holds", "m.live AND NOT m.abandoned", "m.live", "UK-3"),
    ("number_caps", "least(o.number_cap_24h, law.cap_24h)", "o.number_cap_24h", "US-17"),
    ("number_caps", "least(o.number_cap_24h, law.cap_24h)", "law.cap_24h", "US-17"),
    ("number_caps", "least(o.number_cap_7d, law.cap_7d)", "o.number_cap_7d", "US-17"),
    ("number_caps", "least(o.number_cap_7d, law.cap_7d)", "law.cap_7d", "US-17"),
    ("number_caps", "cap_30d := law.cap_30d", "cap_30d := NULL", "FR-1"),
    ("check_number", "g.free_at > p_at", "g.free_at >= p_at", "US-17"),
    ("check_number", " AND d.may_have_rung", "", "US-17"),
    ("check_number", "interval '168 hours'", "interval '167 hours'", "US-17"),
    ("check_number", "live IS NOT NULL", "false", "US-17"),
    ("check_number", "ORDER BY g.free_at DESC", "ORDER BY g.free_at", "US-17"),
    ("check_guard", "calls >= p_min", "calls > p_min", "US-7"),
    ("check_guard", "bad >= p_share", "bad > p_share", "US-7"),
    ("guard_figures", "d.day > today - law.abandon_days", "d.day >= today - law.abandon_days", "US-7"),
    ("guard_figures", "d.day > today - law.short_days", "d.day >= today - law.short_days", "short_calls"),
    ("guard_figures", "SELECT x.day, x.live_answers, x.abandoned, x.answers, x.short_calls FROM public.campaign_deltas",
     "SELECT x.day, 0, 0, 0, 0 FROM public.campaign_deltas", "US-7"),
    ("budget_used", "c.spent_micros + ", "", "budget"),
    ("budget_room", " - app.budget_reserved(c, p_self)", "", "budget"),
    ("call_reserve", "ceil(c.max_duration_s / 60.0)", "floor(c.max_duration_s / 60.0)", "budget"),
    ("minor_to_micros", "'JPY', ", "", "budget"),
    ("minor_to_micros", "'KWD', ", "", "budget"),
    ("gate_steps", "i IN (15, 16) AND", "i = 15 AND", "US-17"),
    ("gate_steps", "i IN (15, 16) AND", "i = 16 AND", "UK-3"),
    ("law_merge", "(r.value -> 'purposes' ? p_purpose) IS NOT TRUE", "false", "US-9"),
    ("law_merge", "(r.value -> 'voices' ? p_voice) IS NOT TRUE", "false", "US-2"),
    ("law_merge", "(r.value -> 'sectors' ? of_sector) IS NOT TRUE", "false", "IN-1"),
    ("law_merge", "p_today < x.valid_to", "true", "IN-1"),
    ("law_merge", "x.valid_from <= p_today", "true", "CA-1"),
    ("law_merge", "x.organization_id = p_organization", "false", "tighten"),
]
CHECKS = [("check_campaign", "campaign"), ("check_lead", "campaign"), ("check_paused", "ALL-5"), ("gate_dnc", "US-10"), ("check_country", "rules"),
          ("check_prefix", "US-13"), ("check_rules", "rules"), ("check_consent", "US-2"), ("check_lists", "US-9"), ("check_reassigned", "US-11"),
          ("check_series", "IN-1"), ("check_attempts", "attempts"), ("check_preference", "IN-2"), ("check_window", "US-1"),
          ("check_holds", "UK-3"), ("check_number", "US-17"), ("check_guard", "US-7"), ("check_budget", "budget"), ("check_line", "lines")]
HINTS = {"lists": "US-9", "reassigned": "US-11", "frequency": "US-17", "prefixes": "US-13", "abandon": "US-7", "short_calls": "short_calls",
         "areas": "rules", "caller_series": "IN-1", "preferences": "IN-2", "notice": "IN-4", "consent": "US-2", "hours": "US-1"}
COUNTRY = {"GB": {"hours": "US-1/GB", "consent": "UK-1", "lists": "UK-2", "holds": "UK-3"}, "FR": "FR-1", "DE": {"hours": "DE-1", "consent": "DE-1"},
           "IN": {"hours": "IN-3", "consent": "IN-2"}, "CA": {"hours": "CA-CAN", "consent": "CA-CAN", "prefixes": "CA-CAN"}, "*": "EU-2/*"}


def hint_of(place, rule):
    if place.startswith("US-"):
        return place[3:] + "-1"
    known = COUNTRY.get(place, {})
    return known if isinstance(known, str) else known.get(rule, HINTS.get(rule, "US-17"))


def first_to_notice(hint):
    """The first golden row that the mutant gets wrong: the plain ones, then those with the states alone."""
    ask = ("SELECT q.key FROM (SELECT * FROM public.questions k WHERE k.bare = %%s ORDER BY k.rule = '%s' DESC, k.key) AS q,"
           " LATERAL app.gate(q.org, q.campaign, q.lead, q.caller, q.at) AS v"
           " WHERE (v.reason, v.next_change_at) IS DISTINCT FROM (q.want_reason, q.want_next) LIMIT 1;\n" % hint)
    raised = "\\if :ERROR\n\\echo raised\n\\endif\n"
    return ask % "false" + raised + BARE + ask % "true" + raised


def function_mutants(url):
    names = sorted({name for name, *_ in TURNED} | {name for name, _ in CHECKS})
    said = database.psql(url, "SELECT jsonb_object_agg(p.proname, jsonb_build_object('text', pg_get_functiondef(p.oid), 'head',"
                         " format('app.%%I(%%s)', p.proname, pg_get_function_arguments(p.oid)))) FROM pg_proc p"
                         " WHERE p.pronamespace = 'app'::regnamespace AND p.proname = ANY ('{%s}');" % ",".join(names))
    functions = json.loads(said)
    for name, old, new, hint in TURNED:
        text = functions[name]["text"]
        if old not in text:
            raise SystemExit("mutants: app.%s no longer says: %s" % (name, old))
        yield "%s: %s -> %s" % (name, " ".join(old.split()), new or "nothing"), text.replace(old, new) + ";\n", hint
    for name, hint in CHECKS:
        yield "%s: always passes" % name, (
            "CREATE OR REPLACE FUNCTION %s RETURNS app.verdict LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';\n" % functions[name]["head"]), hint


def rule_mutants(url):
    rows = json.loads(database.psql(url, "SELECT jsonb_agg(to_jsonb(r) ORDER BY r.jurisdiction, r.rule, r.valid_from) FROM public.compliance_rules r;"))
    for row in rows:
        gone = "SET session_replication_role = replica; DELETE FROM public.compliance_rules WHERE id = '%s'; RESET session_replication_role;\n" % row["id"]
        yield "no %s of %s since %s" % (row["rule"], row["jurisdiction"], row["valid_from"]), gone, hint_of(row["jurisdiction"], row["rule"])
    for region, hint in (("US", "AL-1"), ("FR", "FR-1")):
        yield "no holidays of " + region, "DELETE FROM public.holidays WHERE region = '%s';\n" % region, hint


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--purpose", default="gatemut")
    options.add_argument("--url")
    options.add_argument("--only", default="")
    options = options.parse_args()
    url = options.url or database.fresh(options.purpose)
    survivors = 0
    try:
        rows = golden_rows()
        database.psql(url, database.load_script(gather((row["n"], row["world"]) for row in rows)) + database.ask_script(
            [(row["id"], row["n"], row["world"], row["at"]) for row in rows])
            + "ALTER TABLE public.questions ADD rule text, ADD bare boolean, ADD want_reason text, ADD want_next timestamptz;\n"
            + "CREATE TEMP TABLE wanted (key text, rule text, bare boolean, reason text, next timestamptz);\nCOPY wanted FROM STDIN;\n"
            + "\n".join("\t".join([row["id"], row["rule"], "t" if row.get("variant") else "f", row["reason"] or "\\N", row["next"] or "\\N"])
                        for row in rows) + "\n\\.\n"
            + "UPDATE public.questions q SET rule = w.rule, bare = w.bare, want_reason = w.reason, want_next = w.next FROM wanted w WHERE w.key = q.key;\n")
        mutants = [("the gate as it is", "", "US-1")] + [m for m in list(function_mutants(url)) + list(rule_mutants(url)) if options.only in m[0]]
        # A gate that raises an error lets nobody through, but somebody notices.
        script = "\\set ON_ERROR_STOP 0\n" + "".join("BEGIN;\n%s\\echo #%d\n%sROLLBACK;\n" % (change, n, first_to_notice(hint)) for n, (_, change, hint) in enumerate(mutants))
        noticed = {}
        for line in database.psql(url, script).splitlines():
            if line.startswith("#"):
                n = int(line[1:])
            elif line:
                noticed.setdefault(n, line)
        for n, (name, _, _) in enumerate(mutants):
            good = (n in noticed) == (n > 0)
            survivors += not good
            print("%s %d - %s: %s" % ("ok" if good else "not ok", n + 1, name, noticed.get(n, "nobody notices")))
    finally:
        if not options.url:
            database.tool("pg-private", "--purpose", options.purpose, "destroy")
    print("1..%d" % len(mutants))
    print("# %d mutants, %d not noticed" % (len(mutants) - 1, survivors))
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
