-- The retry table of DOMAIN 6: waits by outcome, caps, next opening, callbacks.
BEGIN;
\ir fixture.psql
\ir life.psql
SELECT no_plan();
SELECT pg_temp.tenant(1) \g /dev/null
SELECT pg_temp.act(1) \g /dev/null
SELECT engine.worker_start(pg_temp.node(), 'one', '0.1', NULL, pg_temp.worker(), '/run/w', '2026-11-17 14:00Z') \g /dev/null

-- A lead whose n earlier attempts came out as told, three days before one another, and then one more at `at`.
CREATE FUNCTION pg_temp.after(k int, before text[], outcome text, at timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    call uuid;
    what text;
    moment timestamptz := at - cardinality(before) * interval '10 days';
    said text;
BEGIN
    PERFORM pg_temp.lead(1, k);
    UPDATE call_queue SET max_attempts = 5 WHERE id = pg_temp.id(1, 200 + k);
    FOREACH what IN ARRAY before || outcome LOOP
        UPDATE call_queue SET next_retry_at = moment, status = 'queued' WHERE id = pg_temp.id(1, 200 + k) AND moment < at OR id = pg_temp.id(1, 200 + k);
        call := pg_temp.claim(moment);
        PERFORM pg_temp.place(call, 'placed', moment);
        PERFORM pg_temp.hangup(call, what, CASE WHEN what IN ('answered', 'voicemail') THEN moment END, moment);
        moment := moment + interval '10 days';
    END LOOP;
    said := pg_temp.attempt(call) || ' / ' || pg_temp.job(1, k);
    UPDATE call_queue SET status = 'failed' WHERE id = pg_temp.id(1, 200 + k);
    RETURN said;
END
$$;
SELECT is(pg_temp.after(10, '{}', 'busy', '2026-11-17 15:00Z'), 'busy t busy 11-17 15:30 / queued busy count=1 due=11-17 15:30', 'busy: 30 min');
SELECT is(pg_temp.after(11, '{busy}', 'busy', '2026-11-17 15:00Z'), 'busy t busy 11-17 17:00 / queued busy count=2 due=11-17 17:00', 'busy twice: 2 h');
SELECT is(pg_temp.after(12, '{busy,busy}', 'busy', '2026-11-17 15:00Z'), 'busy f final / failed busy count=3', 'busy three times: never');
SELECT is(pg_temp.after(13, '{}', 'no_answer', '2026-11-17 15:00Z'), 'no_answer t no_answer 11-17 17:00 / queued no_answer count=1 due=11-17 17:00', 'no answer: 2 h');
SELECT is(pg_temp.after(14, '{no_answer}', 'no_answer', '2026-11-17 15:00Z'), 'no_answer t no_answer 11-18 15:00 / queued no_answer count=2 due=11-18 15:00', 'no answer twice: 24 h');
SELECT is(pg_temp.after(15, '{busy,busy}', 'no_answer', '2026-11-17 15:00Z'), 'no_answer t no_answer 11-17 17:00 / queued no_answer count=3 due=11-17 17:00', 'each outcome has its own waits');
SELECT is(pg_temp.after(16, '{}', 'voicemail', '2026-11-17 15:00Z'), 'voicemail t voicemail 11-18 15:00 / queued voicemail count=1 due=11-18 15:00', 'voicemail: 24 h');
SELECT is(pg_temp.after(17, '{}', 'failed', '2026-11-17 15:00Z'), 'failed t failed 11-17 15:30 / queued failed count=1 due=11-17 15:30', 'failed: 30 min');
SELECT is(pg_temp.after(18, '{}', 'rejected', '2026-11-17 15:00Z'), 'rejected f final / failed rejected count=1', 'rejected: never');
SELECT is(pg_temp.after(19, '{}', 'invalid_number', '2026-11-17 15:00Z'), 'invalid_number f permanent / failed invalid_number count=1', 'invalid number: never');
SELECT is(pg_temp.after(20, '{}', 'answered', '2026-11-17 15:00Z'), 'answered f final / completed answered count=1', 'answered: done');
-- Next opening: 20:00 New York is 01:00Z. An overnight due time waits for 09:00 = 14:00Z.
SELECT is(pg_temp.after(21, '{}', 'busy', '2026-11-18 00:45Z'), 'busy t busy 11-18 14:00 / queued busy count=1 due=11-18 14:00', 'due in the night: the morning');
SELECT is(pg_temp.after(22, '{}', 'busy', '2026-11-18 00:29Z'), 'busy t busy 11-18 00:59 / queued busy count=1 due=11-18 00:59', 'a minute before closing stays');
SELECT is(pg_temp.after(23, '{}', 'busy', '2026-11-18 00:30Z'), 'busy t busy 11-18 14:00 / queued busy count=1 due=11-18 14:00', 'the closing minute itself does not');
UPDATE campaigns SET weekdays = '{1,2,3,4,5}' WHERE id = pg_temp.id(1, 3);
SELECT is(pg_temp.after(24, '{}', 'no_answer', '2026-11-20 23:30Z'), 'no_answer t no_answer 11-23 14:00 / queued no_answer count=1 due=11-23 14:00', 'Friday evening: Monday');
UPDATE campaigns SET weekdays = '{1,2,3,4,5,6,7}' WHERE id = pg_temp.id(1, 3);
-- Caps: max_attempts, spacing, three a day.
UPDATE campaigns SET max_attempts = 2 WHERE id = pg_temp.id(1, 3);
SELECT pg_temp.lead(1, 30) \g /dev/null
UPDATE call_queue SET max_attempts = 1 WHERE id = pg_temp.id(1, 230);
SELECT pg_temp.claim('2026-11-17 15:00Z') AS a \gset
SELECT pg_temp.place(:'a', 'placed', '2026-11-17 15:00Z') \g /dev/null
SELECT pg_temp.hangup(:'a', 'busy', NULL, '2026-11-17 15:00:20Z') \g /dev/null
SELECT is(pg_temp.attempt(:'a') || ' / ' || pg_temp.job(1, 30), 'busy f max_attempts / failed busy count=1', 'attempts used up, as the row says');
UPDATE organizations SET number_spacing_s = 7200 WHERE id = pg_temp.org(1);
SELECT is(pg_temp.after(31, '{}', 'busy', '2026-11-17 15:00Z'), 'busy t busy 11-17 17:00 / queued busy count=1 due=11-17 17:00', 'spacing is later than the policy');
UPDATE organizations SET number_spacing_s = 0, number_cap_24h = 2 WHERE id = pg_temp.org(1);
SELECT pg_temp.lead(1, 32) \g /dev/null
UPDATE call_queue SET max_attempts = 9 WHERE id = pg_temp.id(1, 232);
SELECT pg_temp.dialed(1, 32, 8, '2026-11-17 14:10Z') \g /dev/null
SELECT pg_temp.claim('2026-11-17 15:00Z') AS b \gset
SELECT pg_temp.place(:'b', 'placed', '2026-11-17 15:00Z') \g /dev/null
SELECT pg_temp.hangup(:'b', 'busy', NULL, '2026-11-17 15:00:20Z') \g /dev/null
SELECT is(pg_temp.attempt(:'b'), 'busy t busy 11-18 14:10', 'two in 24 h: when the first of them leaves the day');
-- A policy of its own.
INSERT INTO retry_policies (organization_id, id, name, waits) VALUES (pg_temp.org(1), pg_temp.id(1, 9), 'own', '{"busy": [5], "rejected": [60]}');
UPDATE campaigns SET retry_policy_id = pg_temp.id(1, 9) WHERE id = pg_temp.id(1, 3);
UPDATE organizations SET number_cap_24h = 3 WHERE id = pg_temp.org(1);
SELECT is(pg_temp.after(33, '{}', 'rejected', '2026-11-17 15:00Z'), 'rejected t rejected 11-17 15:01 / queued rejected count=1 due=11-17 15:01', 'policy is data');
SELECT is(pg_temp.after(34, '{}', 'no_answer', '2026-11-17 15:00Z'), 'no_answer f final / failed no_answer count=1', 'what it does not name is never tried again');
UPDATE campaigns SET retry_policy_id = NULL WHERE id = pg_temp.id(1, 3);
-- not_placed: waits grow, the last repeats, nothing is used up, twenty are enough.
SELECT pg_temp.lead(1, 40) \g /dev/null
CREATE FUNCTION pg_temp.refused(times int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    call uuid;
    due timestamptz;
    said text;
BEGIN
    FOR i IN 1..times LOOP
        SELECT next_retry_at INTO due FROM call_queue WHERE id = pg_temp.id(1, 240);
        due := greatest(due, '2026-11-17 15:00Z');
        call := pg_temp.claim(due);
        PERFORM pg_temp.place(call, 'not_placed', due, '4xx');
        SELECT extract(epoch FROM next_retry_at - due)::int::text INTO said FROM call_attempts WHERE call_log_id = call;
    END LOOP;
    RETURN coalesce(said, '-') || ' ' || pg_temp.job(1, 40);
END
$$;
SELECT matches(pg_temp.refused(1), '^60 queued not_placed count=0', 'refused once: a minute');
SELECT matches(pg_temp.refused(1), '^300 queued', 'twice: five');
SELECT matches(pg_temp.refused(1), '^1800 queued', 'three times: half an hour');
SELECT matches(pg_temp.refused(1), '^1800 queued', 'and so on');
SELECT is(pg_temp.refused(16), '- failed not_placed count=0', 'twenty refusals are an answer');
-- The two copies of the default waits agree.
SELECT is(app.default_waits(), (SELECT waits FROM retry_policies WHERE id = (SELECT id FROM retry_policies WHERE organization_id = pg_temp.org(1) AND name = 'default')), 'default waits')
 WHERE EXISTS (SELECT FROM retry_policies WHERE name = 'default');
INSERT INTO retry_policies (organization_id, name) VALUES (pg_temp.org(1), 'plain');
SELECT is(app.default_waits(), (SELECT waits FROM retry_policies WHERE name = 'plain'), 'the default waits are those of the column');
-- A number on the do-not-call list is not queued again.
SELECT pg_temp.lead(1, 41) \g /dev/null
SELECT pg_temp.claim('2026-11-17 15:00Z') AS c \gset
SELECT pg_temp.place(:'c', 'placed', '2026-11-17 15:00Z') \g /dev/null
INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 41), 'manual', now());
SELECT pg_temp.hangup(:'c', 'busy', NULL, '2026-11-17 15:00:20Z') \g /dev/null
SELECT is(pg_temp.attempt(:'c') || ' / ' || pg_temp.job(1, 41), 'busy f dnc_internal / failed dnc_internal count=1', 'listed meanwhile: no retry');
SELECT * FROM finish();
ROLLBACK;
