-- "Never call me again": one commit ends what waits, refuses what is on its way, names what talks; and nothing that
-- comes later clears it, but a lift that is audited.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(1) \g /dev/null
SELECT pg_temp.act(1) \g /dev/null
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.worker(), '/run/w', '2026-11-17 14:00Z') \g /dev/null
-- Five campaigns call the same person: the talk, one claimed, one ringing, one talking, one waiting.
UPDATE organizations SET number_spacing_s = 0, number_cap_24h = 50, number_cap_7d = 50;
SELECT pg_temp.lead(1, 1) \g /dev/null
INSERT INTO phone_numbers (organization_id, id, carrier_account_id, phone_e164)
SELECT pg_temp.org(1), pg_temp.id(1, 60 + k), pg_temp.id(1, 1), '+1646556000' || k FROM generate_series(2, 5) k;
INSERT INTO campaigns (organization_id, id, name, status, time_start, time_end, weekdays, lines, calls_per_second, legal_name, callback_number)
SELECT pg_temp.org(1), pg_temp.id(1, 30 + k), 'campaign ' || k, 'active', '09:00', '20:00', '{1,2,3,4,5,6,7}', 100, 100, 'Tenant 1 Ltd.', '+16465550000'
  FROM generate_series(2, 5) k;
INSERT INTO campaign_numbers (organization_id, campaign_id, phone_number_id) SELECT pg_temp.org(1), pg_temp.id(1, 30 + k), pg_temp.id(1, 60 + k) FROM generate_series(2, 5) k;
-- A call of campaign k to the person, as far as `state`.
CREATE FUNCTION pg_temp.call_of(k int, state text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    call uuid := app.uuid7();
BEGIN
    INSERT INTO call_queue (organization_id, id, campaign_id, lead_id, status, next_retry_at)
    VALUES (pg_temp.org(1), pg_temp.id(1, 300 + k), pg_temp.id(1, 30 + k), pg_temp.id(1, 11), 'processing', '2026-01-01');
    INSERT INTO call_logs (organization_id, id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction, caller_number,
        callee_number, status, adopted_at, intent_at)
    VALUES (pg_temp.org(1), call, pg_temp.id(1, 11), pg_temp.id(1, 30 + k), pg_temp.id(1, 300 + k), 1, pg_temp.id(1, 1), 'outbound',
        '+1646556000' || k, pg_temp.phone(1, 1), 'outcome_unknown', '2026-11-17 15:00Z', '2026-11-17 15:00Z');
    UPDATE call_logs SET status = state, answered_at = CASE WHEN state = 'in_progress' THEN '2026-11-17 15:00:05Z'::timestamptz END WHERE id = call;
    RETURN call;
END
$$;
-- The gate lets nobody be called twice at a time: calls beside the claimed one are found at the carrier, and adopted.
SELECT pg_temp.claim('2026-11-17 15:00Z') AS claimed \gset
SELECT pg_temp.call_of(2, 'in_progress') AS talk, pg_temp.call_of(3, 'ringing') AS ringing, pg_temp.call_of(4, 'in_progress') AS talking \gset
INSERT INTO call_queue (organization_id, id, campaign_id, lead_id, next_retry_at, callback_at)
VALUES (pg_temp.org(1), pg_temp.id(1, 305), pg_temp.id(1, 35), pg_temp.id(1, 11), '2026-01-01', '2026-11-18 15:00Z');
INSERT INTO follow_up_tasks (organization_id, lead_id, task_type, title, source) VALUES (pg_temp.org(1), pg_temp.id(1, 11), 'call', 'ring them', 'manual');
SELECT is(app.may_post(:'claimed', '2026-11-17 15:00:20Z'), NULL, 'before: the claimed one might be posted');
SELECT is((SELECT count(*) FROM engine.live_refused(10)), 0::bigint, 'before: nobody is to be let go');

SELECT results_eq(format($$SELECT added, removed, array_length(string_to_array(live_calls, ' '), 1) FROM app.opt_out(%L, 'dtmf', 'key 9', '2026-11-17 15:00:30Z', NULL)$$, :'talk'),
    $$VALUES (true, 1, 3)$$, 'on record; what waited is out; the others of that number are named');
SELECT is((SELECT status || ' ' || last_error || coalesce(callback_at::text, '') FROM call_queue WHERE id = pg_temp.id(1, 305)), 'failed dnc_internal', 'what waited, with its callback');
SELECT is(app.may_post(:'claimed', '2026-11-17 15:00:31Z'), 'dnc_internal', 'claimed and not posted: signed off');
SELECT is(pg_temp.answer(:'ringing', '2026-11-17 15:00:32Z'), 'hangup dnc_internal', 'ringing: told goodbye at the answer');
SELECT is((SELECT array_agg(call_id ORDER BY call_id) FROM engine.live_refused(10)), (SELECT array_agg(id ORDER BY id) FROM call_logs WHERE id IN (:'ringing', :'talking')), 'talking: whoever holds them says goodbye; the talk itself knows');
SELECT is((SELECT count(*) FROM consents WHERE revoked_at IS NULL), 0::bigint, 'consent is revoked');
SELECT is((SELECT status FROM follow_up_tasks), 'cancelled', 'nobody is told to ring them');

-- Barred: an entry that counts, the gate's word, no row that waits.
CREATE FUNCTION pg_temp.barred() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (SELECT count(*) FROM do_not_call WHERE lifted_at IS NULL AND phone_e164 = pg_temp.phone(1, 1)) || ' entries',
        pg_temp.gate(1, 1, '2026-11-18 15:00Z'),
        (SELECT count(*) FROM call_queue q JOIN leads l ON l.id = q.lead_id WHERE l.phone_e164 = pg_temp.phone(1, 1) AND q.status = 'queued'
            AND (app.gate(q.organization_id, q.campaign_id, q.lead_id, '+16465560005', '2026-11-18 15:00Z')).reason IS NULL) || ' open rows')
$$;
SELECT is(pg_temp.barred(), '1 entries dnc_internal 0 open rows', 'barred');
CREATE FUNCTION pg_temp.still(act text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE statement;
    EXCEPTION WHEN OTHERS THEN
        -- A refusal is as good, but say which one: an act that fails for another reason proves nothing.
        IF SQLSTATE NOT IN ('DW001', 'DW003', 'DW006', '42501') THEN
            RETURN ok(false, act || ': ' || SQLSTATE || ' ' || SQLERRM);
        END IF;
    END;
    RETURN is(pg_temp.barred(), '1 entries dnc_internal 0 open rows', 'still barred after: ' || act);
END
$$;
CREATE FUNCTION pg_temp.import(k int) RETURNS jsonb LANGUAGE sql AS $$
    SELECT app.import_batch((app.import_begin('campaign ' || k, 'f.csv', sha256(k::text::bytea), '{}', 'me', '2026-11-18 14:00Z') ->> 'id')::uuid,
        '{1}', '{NULL}', '{NULL}', '{raw}', ARRAY[pg_temp.phone(1, 1)], '{US}', '{America/New_York}', '{Again}', '{""}', '{America/New_York}', '{"{}"}',
        '{2026-11-18 10:00Z}', '{written}', '{"web form"}', '{list}', '2026-11-18 14:00Z')
$$;
SELECT is((pg_temp.import(2) #>> '{rejects,0,1}'), 'dnc', 'an import names it');
SELECT pg_temp.still(act, statement) FROM (VALUES
    ('an import into another campaign', 'SELECT pg_temp.import(3)'),
    ('an import into the same one', 'SELECT pg_temp.import(5)'),
    ('a set-up file with consent and campaign', $$SELECT app.setup_apply(jsonb_build_object('consents', jsonb_build_array(jsonb_build_object('phone', pg_temp.phone(1, 1), 'evidence', 'form',
        'level', 'written', 'granted_at', '2026-11-18 10:00Z'))), 'me', '2026-11-18 14:00Z')$$),
    ('a new consent', $$SELECT app.consent_put(jsonb_build_object('phone', pg_temp.phone(1, 1), 'evidence', 'paper', 'level', 'written', 'granted_at', '2026-11-18 11:00Z'), 'me', '2026-11-18 14:00Z')$$),
    ('a consent by hand', $$INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 1), 'written', 'Tenant 1 Ltd.', 'x', '{"a": 1}', '2026-11-18 12:00Z')$$),
    ('a disposition', format($$SELECT app.call_note(%L, '{"disposition": "interested", "disconnect_reason": "completed"}', '2026-11-17 15:00:40Z')$$, :'talk')),
    ('a callback', format($$SELECT app.callback_request(%L, '2026-11-18 15:00Z', 'please', '2026-11-17 15:00:40Z')$$, :'talk')),
    ('a callback of another talk', format($$SELECT app.callback_request(%L, '2026-11-18 15:00Z', 'please', '2026-11-17 15:00:40Z')$$, :'talking')),
    ('the end of the talk', format($$SELECT pg_temp.hangup(%L, 'answered', '2026-11-17 15:00:10Z', '2026-11-17 15:01:10Z')$$, :'talk')),
    ('another call that was busy, and its retry', format($$SELECT pg_temp.hangup(%L, 'busy', NULL, '2026-11-17 15:01:10Z')$$, :'ringing')),
    ('another talk that ends', format($$SELECT pg_temp.hangup(%L, 'answered', '2026-11-17 15:00:05Z', '2026-11-17 15:01:10Z')$$, :'talking')),
    ('a call that was not placed', format($$SELECT pg_temp.place(%L, 'not_placed', '2026-11-17 15:01:10Z')$$, :'claimed')),
    ('an analysis that wants a call', format($$SELECT engine.analysis_take(pg_temp.worker(), 10, 60, 0, '2026-11-17 16:00Z');
        SELECT app.insight_store(j.id, pg_temp.worker(), '{"summary": "Call them.", "overall_sentiment": 0.9, "interest_level": "high", "recommended_action": "call", "schema_version": 1}', '{}',
            '[{"task_type": "call", "title": "Call", "description": "d", "priority": "high", "reason_key": "x", "due_date": "2026-11-18T15:00:00Z"}]', '{}', 'm', '2026-11-17 16:00Z')
          FROM analysis_jobs j WHERE j.call_log_id = %L AND j.status = 'running'$$, :'talk')),
    ('another analysis', format($$SELECT app.analysis_again(%L, '2026-11-17 17:00Z')$$, :'talk')),
    ('the campaign is paused and resumed', $$SELECT app.campaign_act('campaign 5', 'pause', 'me', '2026-11-18 14:00Z'); SELECT app.campaign_act('campaign 5', 'resume', 'me', '2026-11-18 14:01Z')$$),
    ('a test call', $$SELECT app.live_enrol('campaign 5', pg_temp.phone(1, 1), 'me', '2026-11-18 15:00Z')$$),
    ('the lead is archived and made anew', $$UPDATE leads SET archived_at = now() WHERE phone_e164 = pg_temp.phone(1, 1); UPDATE leads SET archived_at = NULL WHERE phone_e164 = pg_temp.phone(1, 1)$$),
    ('the lead is enrolled again', $$SELECT app.enqueue_leads(pg_temp.id(1, 32), ARRAY[pg_temp.id(1, 11)], NULL, 0, '2026-11-18 14:00Z')$$),
    ('a row of the queue is set back by hand', $$UPDATE call_queue SET status = 'queued', last_error = NULL WHERE id = pg_temp.id(1, 305)$$),
    ('the same words once more, from the disk', format($$SELECT app.opt_out(%L, 'dtmf', 'key 9', '2026-11-17 15:00:30Z', NULL)$$, :'talk')),
    ('a claim', $$SELECT pg_temp.claim('2026-11-18 15:00Z')$$),
    ('an attempt by hand', $$INSERT INTO call_logs (organization_id, id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction, caller_number, callee_number, status, intent_at)
        VALUES (pg_temp.org(1), app.uuid7(), pg_temp.id(1, 11), pg_temp.id(1, 35), pg_temp.id(1, 305), 9, pg_temp.id(1, 1), 'outbound', '+16465560005', pg_temp.phone(1, 1), 'reserved', '2026-11-18 15:00Z')$$),
    ('the entry is edited', $$UPDATE do_not_call SET phone_e164 = '+12125550000'$$),
    ('the entry is made one of a campaign', $$UPDATE do_not_call SET campaign_id = pg_temp.id(1, 35)$$),
    ('the entry is deleted', $$DELETE FROM do_not_call$$)
  ) AS acts (act, statement);
SELECT is((SELECT count(*) FROM call_logs WHERE callee_number = pg_temp.phone(1, 1)), 4::bigint, 'no call to the number was made in all that');
SELECT is((SELECT disposition || ' ' || (opted_out_at IS NOT NULL) FROM call_logs WHERE id = :'talk'), 'do_not_call true', 'the call keeps what it is');
-- By the catalog: who can touch the list at all.
SELECT is((SELECT string_agg(p.oid::regproc::text, ', ') FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname IN ('app', 'engine', 'public') AND p.prosrc ~* '(update|delete\s+from|truncate)\s+(only\s+)?public\.do_not_call'), 'app.dnc_lift', 'one function lifts');
SELECT is((SELECT string_agg(r.rolname || ' ' || p, ', ') FROM pg_roles r, unnest('{DELETE,TRUNCATE}'::text[]) AS p
            WHERE r.rolname IN ('app_owner', 'app_engine', 'app_worker', 'app_login', 'authenticated', 'anon', 'service_role')
              AND has_table_privilege(r.rolname, 'public.do_not_call', p)), NULL, 'nobody deletes');
SELECT throws_ok($$UPDATE do_not_call SET lifted_at = now(), lifted_by = 'me'$$, '23514', NULL, 'no lift without a reason');

-- The lift: named, audited, and only then open again for whom consent is on file.
SELECT is((app.dnc_lift(pg_temp.phone(1, 1), 'asked by letter to be called', 'Robin', '2026-11-19 14:00Z') ->> 'entries'), '1', 'lifted');
SELECT is((SELECT actor || ': ' || (detail ->> 'reason') FROM audit_log WHERE action = 'do_not_call.lift'), 'Robin: asked by letter to be called', 'audited, by whom and why');
SELECT unalike(pg_temp.gate(1, 1, '2026-11-20 15:00Z'), 'dnc%', 'the gate has another word now');
SELECT results_eq(format($$SELECT * FROM app.opt_out(%L, 'dtmf', 'key 9', '2026-11-17 15:00:30Z', NULL)$$, :'talk'), $$VALUES (false, 0, '')$$, 'a replay of the word that was lifted is no new word');
SELECT unalike(pg_temp.gate(1, 1, '2026-11-20 15:00Z'), 'dnc%', 'and bars nobody');
SELECT is((SELECT added FROM app.opt_out(:'talk', 'phrase', 'never again', '2026-11-19 15:00Z', NULL)), true, 'a new word is one');
SELECT matches(pg_temp.gate(1, 1, '2026-11-20 15:00Z'), '^dnc_internal', 'barred again');
-- A call that this database does not know (restored, lost in a failover): the number that the daemon knew counts.
SELECT is((SELECT added FROM app.opt_out(app.uuid7(), 'phrase', 'never again', '2026-11-19 15:00Z', '+12125557777')), true, 'on record without its call');
SELECT is((SELECT count(*) FROM do_not_call WHERE phone_e164 = '+12125557777' AND call_log_id IS NULL AND lifted_at IS NULL), 1::bigint, 'by its number');
SELECT is_empty($$SELECT * FROM app.opt_out(app.uuid7(), 'phrase', 'never again', '2026-11-19 15:00Z', NULL)$$, 'no call and no number: nothing, and said so');
SELECT is_empty($$SELECT * FROM app.opt_out(app.uuid7(), 'phrase', 'never again', '2026-11-19 15:00Z', 'anonymous')$$, 'nor for what is no number');
SELECT * FROM finish();
ROLLBACK;
