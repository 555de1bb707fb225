-- Every pair of states of a call, of a campaign; settled attempts; ledgers that only grow.
BEGIN;
\ir fixture.psql
SELECT no_plan();
SELECT pg_temp.tenant(1) \gset
SELECT pg_temp.lead(1, 1) \gset

CREATE TEMP TABLE legal (was text, target text);
INSERT INTO legal
SELECT e.was, t FROM (VALUES ('reserved', 'dialing ringing in_progress ended outcome_unknown not_placed'),
    ('dialing', 'ringing in_progress ended outcome_unknown'), ('ringing', 'in_progress ended outcome_unknown'),
    ('in_progress', 'transferring ended outcome_unknown'), ('transferring', 'in_progress ended outcome_unknown'),
    ('outcome_unknown', 'dialing ringing in_progress ended not_placed')) AS e (was, targets), regexp_split_to_table(e.targets, ' ') AS t;

-- A call in a given state, by a legal path; then the edge is tried.
CREATE FUNCTION pg_temp.edge(was text, target text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    call uuid := app.uuid7();
    path text[] := CASE was WHEN 'reserved' THEN '{}' WHEN 'transferring' THEN '{in_progress,transferring}' ELSE ARRAY[was] END;
    step text;
    said text;
BEGIN
    BEGIN
        INSERT INTO call_logs (organization_id, id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction,
            caller_number, callee_number, status, intent_at)
        VALUES (pg_temp.org(1), call, pg_temp.id(1, 11), pg_temp.id(1, 3), pg_temp.id(1, 201), 1, pg_temp.id(1, 1), 'outbound',
            '+16465550001', pg_temp.phone(1, 1), 'reserved', '2026-11-17 15:00Z');
        FOREACH step IN ARRAY path LOOP
            UPDATE call_logs SET status = step, ended_at = CASE WHEN step IN ('ended', 'not_placed') THEN intent_at END WHERE id = call;
        END LOOP;
        BEGIN
            UPDATE call_logs SET status = target, ended_at = CASE WHEN target IN ('ended', 'not_placed') THEN intent_at END WHERE id = call;
            said := 'legal';
        EXCEPTION WHEN SQLSTATE 'DW003' THEN
            said := 'refused';
        END;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW999';
    EXCEPTION WHEN SQLSTATE 'DW999' THEN
        RETURN said;
    END;
END
$$;
SELECT is(pg_temp.edge(a.s, b.s), CASE WHEN l.was IS NULL THEN 'refused' ELSE 'legal' END, format('call: %s to %s', a.s, b.s))
  FROM unnest('{reserved,dialing,ringing,in_progress,transferring,ended,outcome_unknown,not_placed}'::text[]) AS a (s)
 CROSS JOIN unnest('{reserved,dialing,ringing,in_progress,transferring,ended,outcome_unknown,not_placed}'::text[]) AS b (s)
  LEFT JOIN legal l ON l.was = a.s AND l.target = b.s
 WHERE a.s <> b.s;

SELECT throws_ok($$INSERT INTO call_logs (organization_id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction,
    caller_number, callee_number, status, intent_at)
    VALUES (pg_temp.org(1), pg_temp.id(1, 11), pg_temp.id(1, 3), pg_temp.id(1, 201), 1, pg_temp.id(1, 1), 'outbound',
    '+16465550001', pg_temp.phone(1, 1), $$ || quote_literal(s) || $$, '2026-11-17 15:00Z')$$, 'DW003', NULL, 'no outbound call begins ' || s)
  FROM unnest('{dialing,ringing,in_progress,transferring,ended,outcome_unknown,not_placed}'::text[]) AS s;
SELECT throws_ok($$INSERT INTO call_logs (organization_id, carrier_account_id, direction, caller_number, callee_number, status)
    VALUES (pg_temp.org(1), pg_temp.id(1, 1), 'inbound', '+12125550000', '+16465550001', 'reserved')$$, 'DW003', NULL, 'no inbound call begins reserved');
SELECT lives_ok($$INSERT INTO call_logs (organization_id, carrier_account_id, direction, caller_number, callee_number, status)
    VALUES (pg_temp.org(1), pg_temp.id(1, 1), 'inbound', '+12125550000', '+16465550001', 'in_progress')$$, 'an inbound call begins in_progress');
SELECT throws_ok($$INSERT INTO call_logs (organization_id, carrier_account_id, direction, caller_number, callee_number, status)
    VALUES (pg_temp.org(1), pg_temp.id(1, 1), 'inbound', '+12125550000', '+16465550001', 'weird')$$, NULL, NULL, 'no status outside the vocabulary');

-- Identity, and the attempt's one settlement.
SELECT pg_temp.dialed(1, 1, 1, '2026-11-10 15:00Z') AS call \gset
SELECT throws_ok(format('UPDATE call_logs SET callee_number = %L WHERE id = %L', '+12125550009', :'call'), 'DW003', NULL, 'the number of a call stays');
SELECT lives_ok(format('UPDATE call_logs SET call_sid = %L WHERE id = %L', 'abc', :'call'), 'a call learns its carrier id');
SELECT throws_ok(format('UPDATE call_logs SET call_sid = %L WHERE id = %L', 'abd', :'call'), 'DW003', NULL, 'and keeps it');
SELECT throws_ok(format('DELETE FROM call_logs WHERE id = %L', :'call'), 'DW006', NULL, 'a call is never deleted');
SELECT throws_ok(format($$INSERT INTO call_attempts (organization_id, lead_id, campaign_id, call_log_id, attempt_number, gate, outcome, settled_at, will_retry)
    VALUES (pg_temp.org(1), pg_temp.id(1, 11), pg_temp.id(1, 3), %L, 1, '{}', 'busy', now(), false)$$, :'call'), 'DW004', NULL, 'an attempt begins open');
INSERT INTO call_attempts (organization_id, lead_id, campaign_id, call_log_id, attempt_number, gate)
VALUES (pg_temp.org(1), pg_temp.id(1, 11), pg_temp.id(1, 3), :'call', 1, '{}');
SELECT throws_ok(format('UPDATE call_attempts SET gate = %L WHERE call_log_id = %L', '{"a": 1}', :'call'), 'DW004', NULL, 'the verdict of an attempt stays');
SELECT throws_ok(format('UPDATE call_attempts SET outcome = %L WHERE call_log_id = %L', 'perhaps', :'call'), NULL, NULL, 'no outcome outside the vocabulary');
SELECT lives_ok(format($$UPDATE call_attempts SET outcome = 'no_answer', settled_at = now(), will_retry = true WHERE call_log_id = %L$$, :'call'), 'an attempt is settled');
SELECT throws_ok(format($$UPDATE call_attempts SET outcome = 'busy' WHERE call_log_id = %L$$, :'call'), 'DW004', NULL, 'once');
SELECT throws_ok(format($$UPDATE call_attempts SET will_retry = false WHERE call_log_id = %L$$, :'call'), 'DW004', NULL, 'and nothing else changes');

-- Campaigns.
CREATE FUNCTION pg_temp.campaign_edge(was text, target text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    made uuid := app.uuid7();
    said text;
BEGIN
    BEGIN
        INSERT INTO campaigns (organization_id, id, name, status, completed_reason)
        VALUES (pg_temp.org(1), made, made::text, was, CASE was WHEN 'completed' THEN 'finished' END);
        BEGIN
            UPDATE campaigns SET status = target, completed_reason = CASE target WHEN 'completed' THEN 'cancelled' END WHERE id = made;
            said := 'legal';
        EXCEPTION WHEN SQLSTATE 'DW005' THEN
            said := 'refused';
        END;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW999';
    EXCEPTION WHEN SQLSTATE 'DW999' THEN
        RETURN said;
    END;
END
$$;
SELECT is(pg_temp.campaign_edge(a.s, b.s),
          CASE WHEN (a.s, b.s) IN (('draft', 'active'), ('active', 'paused'), ('paused', 'active'), ('active', 'completed'), ('paused', 'completed'))
               THEN 'legal' ELSE 'refused' END, format('campaign: %s to %s', a.s, b.s))
  FROM unnest('{draft,active,paused,completed}'::text[]) AS a (s) CROSS JOIN unnest('{draft,active,paused,completed}'::text[]) AS b (s)
 WHERE a.s <> b.s;

-- Ledgers.
INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) VALUES (pg_temp.org(1), '+12125550001', 'manual', now());
SELECT throws_ok($$UPDATE do_not_call SET phone_e164 = '+12125550002'$$, 'DW006', NULL, 'a refusal is not edited');
SELECT throws_ok($$DELETE FROM do_not_call$$, 'DW006', NULL, 'a refusal is not deleted');
SELECT throws_ok($$UPDATE do_not_call SET lifted_at = now()$$, NULL, NULL, 'nobody lifts a refusal without a name and a reason');
SELECT lives_ok($$UPDATE do_not_call SET lifted_at = now(), lifted_by = 'me', lift_reason = 'asked in writing'$$, 'it is lifted by name');
SELECT is((SELECT action FROM audit_log WHERE organization_id = pg_temp.org(1) ORDER BY sequence DESC LIMIT 1), 'do_not_call.lift', 'and that is on record');
SELECT throws_ok($$UPDATE audit_log SET actor = 'nobody'$$, 'DW006', NULL, 'the record is not edited');
SELECT throws_ok($$DELETE FROM audit_log$$, 'DW006', NULL, 'nor deleted');
INSERT INTO audit_log (organization_id, at, actor, action) SELECT pg_temp.org(1), now(), 'me', 'test' FROM generate_series(1, 3);
SELECT is((SELECT count(*)::int FROM audit_log a LEFT JOIN audit_log b ON b.organization_id = a.organization_id AND b.sequence = a.sequence - 1
            WHERE a.organization_id = pg_temp.org(1) AND (a.digest <> app.audit_digest(a) OR a.previous_digest IS DISTINCT FROM b.digest)), 0, 'its chain holds');
SELECT throws_ok($$INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at)
    VALUES (pg_temp.org(1), '+12125550003', 'written', 'x', 'import', '{}', now())$$, '23514', NULL, 'no consent without evidence');
SELECT throws_ok($$UPDATE consents SET granted_at = '2020-01-01'$$, 'DW006', NULL, 'a consent is not edited');
SELECT lives_ok($$UPDATE consents SET revoked_at = '2026-11-16'$$, 'a consent is revoked');
SELECT throws_ok($$UPDATE consents SET revoked_at = NULL$$, 'DW006', NULL, 'for good');
SELECT * FROM finish();
ROLLBACK;
