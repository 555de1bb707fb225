-- The gate at its edges, to the second; each row its own world. 2026-11-17 is a Tuesday; New York is UTC-5.
BEGIN;
\ir fixture.psql
SELECT no_plan();
SELECT pg_temp.tenant(1), pg_temp.lead(1, 1) \gset fixture_

-- prepare: SQL that changes the world; then the gate's words at a moment.
CREATE FUNCTION pg_temp.world(prepare text, at timestamptz) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
BEGIN
    BEGIN
        IF prepare <> '' THEN
            EXECUTE prepare;
        END IF;
        said := pg_temp.gate(1, 1, at);
        RAISE EXCEPTION 'undo' USING ERRCODE = 'DW998';
    EXCEPTION WHEN SQLSTATE 'DW998' THEN
        RETURN said;
    END;
END
$$;
CREATE FUNCTION pg_temp.consent_of(level text, seller text, granted timestamptz DEFAULT '2026-01-01') RETURNS void LANGUAGE sql AS $$
    INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at)
    VALUES (pg_temp.org(1), pg_temp.phone(1, 1), level, seller, 'form', '{"a": 1}', granted)
$$;
CREATE FUNCTION pg_temp.drop_consents() RETURNS void LANGUAGE sql AS 'DELETE FROM consents';
CREATE FUNCTION pg_temp.another_call(status text, callee text, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    other uuid := app.uuid7();
    job uuid := app.uuid7();
    call uuid := app.uuid7();
BEGIN
    INSERT INTO leads (organization_id, id, phone_e164, archived_at) VALUES (pg_temp.org(1), other, callee, '2026-01-01');
    INSERT INTO call_queue (organization_id, id, campaign_id, lead_id) VALUES (pg_temp.org(1), job, pg_temp.id(1, 3), other);
    INSERT INTO call_logs (organization_id, id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction, caller_number,
        callee_number, status, adopted_at, intent_at)
    VALUES (pg_temp.org(1), call, other, pg_temp.id(1, 3), job, 1, pg_temp.id(1, 1), 'outbound', '+16465550001', callee, 'outcome_unknown', at, at);
    IF status <> 'outcome_unknown' THEN
        UPDATE call_logs SET status = another_call.status, ended_at = CASE WHEN another_call.status IN ('ended', 'not_placed') THEN at END WHERE id = call;
    END IF;
END
$$;

CREATE TEMP TABLE golden (n serial, name text, prepare text, at timestamptz, want text);
INSERT INTO golden (name, prepare, at, want) VALUES
    -- Window and law.
    ('in the window', '', '2026-11-17 15:00Z', 'dial'),
    ('a second before it opens', '', '2026-11-17 13:59:59Z', 'outside_window until 2026-11-17 14:00:00'),
    ('the second it opens', '', '2026-11-17 14:00:00Z', 'dial'),
    ('its last second', '', '2026-11-18 00:59:59Z', 'dial'),
    ('the second it closes', '', '2026-11-18 01:00:00Z', 'outside_window until 2026-11-18 14:00:00'),
    ('campaign wider than the law, early', $$UPDATE campaigns SET time_start = '06:00', time_end = '23:00'$$, '2026-11-17 13:59:59Z', 'outside_window until 2026-11-17 14:00:00'),
    ('campaign wider than the law, late', $$UPDATE campaigns SET time_start = '06:00', time_end = '23:00'$$, '2026-11-18 01:00:00Z', 'outside_window until 2026-11-18 14:00:00'),
    ('campaign narrower than the law', $$UPDATE campaigns SET time_start = '12:30', time_end = '12:31'$$, '2026-11-17 17:31:00Z', 'outside_window until 2026-11-18 17:30:00'),
    ('campaign whose window never meets the law', $$UPDATE campaigns SET time_start = '21:00', time_end = '23:00'$$, '2026-11-17 15:00Z', 'outside_window'),
    ('weekday not chosen', $$UPDATE campaigns SET weekdays = '{1,3}'$$, '2026-11-17 15:00Z', 'outside_window until 2026-11-18 14:00:00'),
    ('weekday chosen, far', $$UPDATE campaigns SET weekdays = '{1}'$$, '2026-11-17 15:00Z', 'outside_window until 2026-11-23 14:00:00'),
    -- Across midnight, under a rule that allows it.
    ('across midnight, before', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '22:00', time_end = '02:00', weekdays = '{2}'$$, '2026-11-18 02:59:59Z', 'outside_window until 2026-11-18 03:00:00'),
    ('across midnight, evening', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '22:00', time_end = '02:00', weekdays = '{2}'$$, '2026-11-18 03:00:00Z', 'dial'),
    ('across midnight, after midnight it is still Tuesday''s', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '22:00', time_end = '02:00', weekdays = '{2}'$$, '2026-11-18 06:59:59Z', 'dial'),
    ('across midnight, the end', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '22:00', time_end = '02:00', weekdays = '{2}'$$, '2026-11-18 07:00:00Z', 'outside_window until 2026-11-25 03:00:00'),
    ('across midnight, the small hours of Tuesday are Monday''s', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '22:00', time_end = '02:00', weekdays = '{2}'$$, '2026-11-17 06:00:00Z', 'outside_window until 2026-11-18 03:00:00'),
    ('across midnight, last date, tail', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '22:00', time_end = '02:00', end_date = '2026-11-17'$$, '2026-11-18 06:00:00Z', 'dial'),
    ('across midnight, last date, over', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '22:00', time_end = '02:00', end_date = '2026-11-17'$$, '2026-11-18 07:00:00Z', 'dates'),
    ('the whole day', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '00:00', time_end = '24:00'$$, '2026-11-18 05:00:00Z', 'dial'),
    -- Clocks change: New York skips 02:00-03:00 on 2026-03-08 and has 01:00-02:00 twice on 2026-11-01.
    ('gap: window begins in it, before', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '02:30', time_end = '05:00'$$, '2026-03-08 06:59:59Z', 'outside_window until 2026-03-08 07:00:00'),
    ('gap: window begins in it, after', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '02:30', time_end = '05:00'$$, '2026-03-08 07:00:00Z', 'dial'),
    ('gap: window lies in it', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '02:10', time_end = '02:50'$$, '2026-03-08 06:00:00Z', 'outside_window until 2026-03-09 06:10:00'),
    ('gap: window ends in it', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '01:00', time_end = '02:30'$$, '2026-03-08 07:00:00Z', 'outside_window until 2026-03-09 05:00:00'),
    ('day after the gap opens an hour earlier in UTC', '', '2026-03-09 12:59:59Z', 'outside_window until 2026-03-09 13:00:00'),
    ('overlap: first time', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '01:15', time_end = '01:45'$$, '2026-11-01 05:15:00Z', 'dial'),
    ('overlap: before the first time', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '01:15', time_end = '01:45'$$, '2026-11-01 05:00:00Z', 'outside_window until 2026-11-01 05:15:00'),
    ('overlap: between', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '01:15', time_end = '01:45'$$, '2026-11-01 06:00:00Z', 'outside_window until 2026-11-01 06:15:00'),
    ('overlap: second time', $$UPDATE leads SET region = 'ZZ'; UPDATE campaigns SET time_start = '01:15', time_end = '01:45'$$, '2026-11-01 06:44:59Z', 'dial'),
    ('no clocks change in Phoenix', $$UPDATE leads SET timezone = 'America/Phoenix'$$, '2026-07-01 15:59:59Z', 'outside_window until 2026-07-01 16:00:00'),
    ('half an hour in Kolkata', $$UPDATE leads SET timezone = 'Asia/Kolkata', region = 'ZZ'$$, '2026-11-17 03:30:00Z', 'dial'),
    ('a second less in Kolkata', $$UPDATE leads SET timezone = 'Asia/Kolkata', region = 'ZZ'$$, '2026-11-17 03:29:59Z', 'outside_window until 2026-11-17 03:30:00'),
    ('fourteen hours ahead', $$UPDATE leads SET timezone = 'Pacific/Kiritimati', region = 'ZZ'$$, '2026-11-16 19:00:00Z', 'dial'),
    ('forty-five minutes in Kathmandu', $$UPDATE leads SET timezone = 'Asia/Kathmandu', region = 'ZZ'$$, '2026-11-17 03:15:00Z', 'dial'),
    ('the leap day', $$UPDATE campaigns SET start_date = '2028-02-29', end_date = '2028-02-29'$$, '2028-02-29 14:00:00Z', 'dial'),
    ('the day after the leap day', $$UPDATE campaigns SET start_date = '2028-02-29', end_date = '2028-02-29'$$, '2028-03-01 14:00:00Z', 'dates'),
    -- Zones.
    ('all candidate zones open', $$UPDATE leads SET timezone = NULL, zones = '{America/New_York,America/Los_Angeles}'$$, '2026-11-17 17:00:00Z', 'dial'),
    ('the western one still closed', $$UPDATE leads SET timezone = NULL, zones = '{America/New_York,America/Los_Angeles}'$$, '2026-11-17 16:59:59Z', 'outside_window until 2026-11-17 17:00:00'),
    ('the eastern one closed already', $$UPDATE leads SET timezone = NULL, zones = '{America/New_York,America/Los_Angeles}'$$, '2026-11-18 01:00:00Z', 'outside_window until 2026-11-18 17:00:00'),
    ('the known zone wins over candidates', $$UPDATE leads SET zones = '{America/Los_Angeles}'$$, '2026-11-17 14:00:00Z', 'dial'),
    ('candidates that never meet', $$UPDATE leads SET timezone = NULL, zones = '{America/New_York,Asia/Singapore}'$$, '2026-11-17 15:00Z', 'outside_window'),
    ('no zone', $$UPDATE leads SET timezone = NULL$$, '2026-11-17 15:00Z', 'timezone_unknown'),
    ('no zone, the campaign names one', $$UPDATE leads SET timezone = NULL; UPDATE campaigns SET timezone = 'America/Los_Angeles'$$, '2026-11-17 16:59:59Z', 'outside_window until 2026-11-17 17:00:00'),
    ('a zone that is none', $$UPDATE leads SET timezone = 'Mars/Olympus'$$, '2026-11-17 15:00Z', 'timezone_unknown'),
    ('one of the candidates is none', $$UPDATE leads SET timezone = NULL, zones = '{America/New_York,Foo5}'$$, '2026-11-17 15:00Z', 'timezone_unknown'),
    ('no country', $$UPDATE leads SET region = NULL$$, '2026-11-17 15:00Z', 'region_unknown'),
    -- Dates.
    ('before the first date', $$UPDATE campaigns SET start_date = '2026-11-20'$$, '2026-11-17 15:00Z', 'dates until 2026-11-20 14:00:00'),
    ('far before the first date', $$UPDATE campaigns SET start_date = '2027-11-20'$$, '2026-11-17 15:00Z', 'dates until 2027-11-20 14:00:00'),
    ('the first date', $$UPDATE campaigns SET start_date = '2026-11-17'$$, '2026-11-17 14:00Z', 'dial'),
    ('the last date', $$UPDATE campaigns SET end_date = '2026-11-17'$$, '2026-11-18 00:59:59Z', 'dial'),
    ('after the last opening', $$UPDATE campaigns SET end_date = '2026-11-17'$$, '2026-11-18 01:00:00Z', 'dates'),
    -- Campaign and pauses.
    ('draft', $$INSERT INTO campaigns (organization_id, id, name) VALUES (pg_temp.org(1), app.uuid7(), 'd'); UPDATE campaigns SET status = 'paused' WHERE id = pg_temp.id(1, 3)$$, '2026-11-17 15:00Z', 'campaign_paused'),
    ('archived campaign', $$UPDATE campaigns SET archived_at = now()$$, '2026-11-17 15:00Z', 'campaign_paused'),
    ('closing campaign', $$UPDATE campaigns SET closing_reason = 'budget'$$, '2026-11-17 15:00Z', 'campaign_paused'),
    ('archived lead', $$UPDATE leads SET archived_at = now()$$, '2026-11-17 15:00Z', 'lead_archived'),
    ('platform paused', $$INSERT INTO platform_pauses (reason, paused_by, paused_at) VALUES ('r', 'me', '2026-11-17 14:00Z')$$, '2026-11-17 15:00Z', 'dial_paused'),
    ('tenant paused', $$INSERT INTO dial_pauses (organization_id, scope, reason, paused_by, paused_at) VALUES (pg_temp.org(1), 'tenant', 'r', 'me', '2026-11-17 14:00Z')$$, '2026-11-17 15:00Z', 'dial_paused'),
    ('tenant resumed', $$INSERT INTO dial_pauses (organization_id, scope, reason, paused_by, paused_at, resumed_at, resumed_by) VALUES (pg_temp.org(1), 'tenant', 'r', 'me', '2026-11-17 14:00Z', '2026-11-17 15:00Z', 'me')$$, '2026-11-17 15:00Z', 'dial'),
    ('campaign paused', $$INSERT INTO dial_pauses (organization_id, scope, campaign_id, reason, paused_by, paused_at) VALUES (pg_temp.org(1), 'campaign', pg_temp.id(1, 3), 'r', 'me', '2026-11-17 14:00Z')$$, '2026-11-17 15:00Z', 'dial_paused'),
    ('caller id paused', $$INSERT INTO dial_pauses (organization_id, scope, phone_e164, reason, paused_by, paused_at) VALUES (pg_temp.org(1), 'number', '+16465550001', 'r', 'me', '2026-11-17 14:00Z')$$, '2026-11-17 15:00Z', 'dial_paused'),
    ('callee paused', $$INSERT INTO dial_pauses (organization_id, scope, phone_e164, reason, paused_by, paused_at) VALUES (pg_temp.org(1), 'number', pg_temp.phone(1, 1), 'r', 'me', '2026-11-17 14:00Z')$$, '2026-11-17 15:00Z', 'dial_paused'),
    ('somebody else paused', $$INSERT INTO dial_pauses (organization_id, scope, phone_e164, reason, paused_by, paused_at) VALUES (pg_temp.org(1), 'number', '+12125557777', 'r', 'me', '2026-11-17 14:00Z')$$, '2026-11-17 15:00Z', 'dial'),
    -- Refusals.
    ('refused everywhere', $$INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 1), 'dtmf', '2026-11-17 14:00Z')$$, '2026-11-17 15:00Z', 'dnc_internal'),
    ('refused here', $$INSERT INTO do_not_call (organization_id, phone_e164, campaign_id, source, added_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 1), pg_temp.id(1, 3), 'dtmf', '2026-11-17 14:00Z')$$, '2026-11-17 15:00Z', 'dnc_campaign'),
    ('refused in another campaign', $$INSERT INTO campaigns (organization_id, id, name) VALUES (pg_temp.org(1), pg_temp.id(1, 4), 'o'); INSERT INTO do_not_call (organization_id, phone_e164, campaign_id, source, added_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 1), pg_temp.id(1, 4), 'dtmf', '2026-11-17 14:00Z')$$, '2026-11-17 15:00Z', 'dial'),
    ('refusal lifted', $$INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 1), 'dtmf', '2026-11-17 14:00Z'); UPDATE do_not_call SET lifted_at = now(), lifted_by = 'me', lift_reason = 'r'$$, '2026-11-17 15:00Z', 'dial'),
    ('refused even when nothing else is known', $$INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 1), 'dtmf', '2026-11-17 14:00Z'); UPDATE leads SET region = NULL$$, '2026-11-17 15:00Z', 'dnc_internal'),
    -- Consent.
    ('none', 'SELECT pg_temp.drop_consents()', '2026-11-17 15:00Z', 'consent_missing'),
    ('express is not written', $$SELECT pg_temp.drop_consents(), pg_temp.consent_of('express', 'Tenant 1 Ltd.')$$, '2026-11-17 15:00Z', 'consent_missing'),
    ('express is enough to inform', $$SELECT pg_temp.drop_consents(), pg_temp.consent_of('express', 'Tenant 1 Ltd.'); UPDATE campaigns SET purpose = 'informational'$$, '2026-11-17 15:00Z', 'dial'),
    ('another seller', $$SELECT pg_temp.drop_consents(), pg_temp.consent_of('written', 'Somebody Inc.')$$, '2026-11-17 15:00Z', 'consent_missing'),
    ('the seller, written otherwise', $$SELECT pg_temp.drop_consents(), pg_temp.consent_of('written', 'TENANT 1, ltd')$$, '2026-11-17 15:00Z', 'dial'),
    ('of tomorrow', $$SELECT pg_temp.drop_consents(), pg_temp.consent_of('written', 'Tenant 1 Ltd.', '2026-11-18')$$, '2026-11-17 15:00Z', 'consent_missing'),
    ('revoked', $$UPDATE consents SET revoked_at = '2026-11-17 15:00Z'$$, '2026-11-17 15:00Z', 'consent_missing'),
    ('revoked a second later', $$UPDATE consents SET revoked_at = '2026-11-17 15:00:01Z'$$, '2026-11-17 15:00Z', 'dial'),
    ('expired', $$SELECT pg_temp.drop_consents(); INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at, expires_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 1), 'written', 'Tenant 1 Ltd.', 's', '{"a": 1}', '2026-01-01', '2026-11-17 15:00Z')$$, '2026-11-17 15:00Z', 'consent_missing'),
    ('for text messages only', $$SELECT pg_temp.drop_consents(); INSERT INTO consents (organization_id, phone_e164, scope, level, seller, source, evidence, granted_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 1), 'sms', 'written', 'Tenant 1 Ltd.', 's', '{"a": 1}', '2026-01-01')$$, '2026-11-17 15:00Z', 'consent_missing'),
    ('not asked where no rule asks', $$SELECT pg_temp.drop_consents(); UPDATE leads SET region = 'ZZ'$$, '2026-11-17 15:00Z', 'dial'),
    ('asked by the residence', $$SELECT pg_temp.drop_consents(); UPDATE leads SET region = 'ZZ', residence_region = 'US-NY'$$, '2026-11-17 15:00Z', 'consent_missing'),
    -- Countries.
    ('a residence in a country of states, the state not known', $$UPDATE leads SET region = 'ZZ', residence_region = 'US'$$, '2026-11-17 15:00Z', 'region_unknown'),
    ('uncovered', $$UPDATE leads SET region = 'BR', timezone = 'America/Sao_Paulo'$$, '2026-11-17 15:00Z', 'rule_missing'),
    ('enabled', $$UPDATE leads SET region = 'BR', timezone = 'America/Sao_Paulo'; INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at) VALUES (pg_temp.org(1), 'BR', 'me', '2026-01-01')$$, '2026-11-17 12:00Z', 'dial'),
    ('enabled, on a Sunday', $$UPDATE leads SET region = 'BR', timezone = 'America/Sao_Paulo'; INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at) VALUES (pg_temp.org(1), 'BR', 'me', '2026-01-01')$$, '2026-11-22 12:00Z', 'dial'),
    ('enabled, at night', $$UPDATE leads SET region = 'BR', timezone = 'America/Sao_Paulo'; INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at) VALUES (pg_temp.org(1), 'BR', 'me', '2026-01-01')$$, '2026-11-17 23:00Z', 'outside_window until 2026-11-18 12:00:00'),
    ('enabled, without consent', $$UPDATE leads SET region = 'BR', timezone = 'America/Sao_Paulo'; SELECT pg_temp.drop_consents(); INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at) VALUES (pg_temp.org(1), 'BR', 'me', '2026-01-01')$$, '2026-11-17 12:00Z', 'consent_missing'),
    ('enabled, then no more', $$UPDATE leads SET region = 'BR', timezone = 'America/Sao_Paulo'; INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at, disabled_at) VALUES (pg_temp.org(1), 'BR', 'me', '2026-01-01', '2026-11-17')$$, '2026-11-17 12:00Z', 'rule_missing'),
    ('the residence is uncovered', $$UPDATE leads SET residence_region = 'BR'$$, '2026-11-17 15:00Z', 'rule_missing'),
    ('India asks for the operator''s notice', $$UPDATE leads SET region = 'IN', timezone = 'Asia/Kolkata'$$, '2026-11-17 06:00Z', 'rule_missing'),
    ('India, noticed, from a number that is not of its series', $$UPDATE leads SET region = 'IN', timezone = 'Asia/Kolkata'; INSERT INTO region_enablements (organization_id, region, enabled_by, enabled_at) VALUES (pg_temp.org(1), 'IN', 'me', '2026-01-01')$$, '2026-11-17 06:00Z', 'caller_series'),
    ('India, for charity', $$UPDATE leads SET region = 'IN', timezone = 'Asia/Kolkata'; UPDATE campaigns SET purpose = 'charity'$$, '2026-11-17 06:00Z', 'dial'),
    ('India, Sunday', $$UPDATE leads SET region = 'IN', timezone = 'Asia/Kolkata'; UPDATE campaigns SET purpose = 'charity'$$, '2026-11-22 06:00Z', 'outside_window until 2026-11-23 04:30:00'),
    ('France, lunch', $$UPDATE leads SET region = 'FR', timezone = 'Europe/Paris'$$, '2026-11-17 12:00:00Z', 'outside_window until 2026-11-17 13:00:00'),
    ('France, before lunch', $$UPDATE leads SET region = 'FR', timezone = 'Europe/Paris'$$, '2026-11-17 11:59:59Z', 'dial'),
    ('France, Saturday', $$UPDATE leads SET region = 'FR', timezone = 'Europe/Paris'$$, '2026-11-21 10:00:00Z', 'outside_window until 2026-11-23 09:00:00'),
    ('France, Armistice', $$UPDATE leads SET region = 'FR', timezone = 'Europe/Paris'$$, '2026-11-11 10:00:00Z', 'holiday until 2026-11-12 09:00:00'),
    ('France, Easter Monday', $$UPDATE leads SET region = 'FR', timezone = 'Europe/Paris'$$, '2027-03-29 10:00:00Z', 'holiday until 2027-03-30 08:00:00'),
    ('Germany, Sunday', $$UPDATE leads SET region = 'DE', timezone = 'Europe/Berlin'$$, '2026-11-22 10:00:00Z', 'outside_window until 2026-11-23 08:00:00'),
    ('Canada, Saturday evening', $$UPDATE leads SET region = 'CA', timezone = 'America/Toronto'$$, '2026-11-21 23:00:00Z', 'outside_window until 2026-11-22 15:00:00'),
    ('Britain, no list', $$UPDATE leads SET region = 'GB', timezone = 'Europe/London'$$, '2026-07-01 08:00:00Z', 'dnc_list_stale'),
    ('Britain, summer', $$UPDATE leads SET region = 'GB', timezone = 'Europe/London'; UPDATE campaigns SET purpose = 'informational'$$, '2026-07-01 08:00:00Z', 'dial'),
    ('Britain, winter', $$UPDATE leads SET region = 'GB', timezone = 'Europe/London'; UPDATE campaigns SET purpose = 'informational'$$, '2026-12-01 08:59:59Z', 'outside_window until 2026-12-01 09:00:00'),
    ('Reunion is in France''s hours, its own clock', $$UPDATE leads SET region = 'FR', timezone = 'Indian/Reunion'$$, '2026-11-17 06:00:00Z', 'dial'),
    ('a premium number', $$UPDATE leads SET phone_e164 = '+19005551234'; INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at) VALUES (pg_temp.org(1), '+19005551234', 'written', 'Tenant 1 Ltd.', 's', '{"a": 1}', '2026-01-01')$$, '2026-11-17 15:00Z', 'prohibited_prefix'),
    -- Attempts, caps, spacing.
    ('attempts left', 'UPDATE call_queue SET attempt_count = 2', '2026-11-17 15:00Z', 'dial'),
    ('attempts used up', 'UPDATE call_queue SET attempt_count = 3', '2026-11-17 15:00Z', 'attempt_limit'),
    ('attempts used up, callback asked for', $$UPDATE call_queue SET attempt_count = 3, callback_at = '2026-11-17 15:00Z'$$, '2026-11-17 15:00Z', 'dial'),
    ('the row''s own limit', 'UPDATE call_queue SET attempt_count = 3, max_attempts = 4', '2026-11-17 15:00Z', 'dial'),
    ('spacing', $$SELECT pg_temp.dialed(1, 1, 1, '2026-11-17 15:00Z')$$, '2026-11-17 15:29:59Z', 'spacing until 2026-11-17 15:30:00'),
    ('spacing over', $$SELECT pg_temp.dialed(1, 1, 1, '2026-11-17 15:00Z')$$, '2026-11-17 15:30:00Z', 'dial'),
    ('spacing ends in the night', $$SELECT pg_temp.dialed(1, 1, 1, '2026-11-18 00:45Z')$$, '2026-11-18 00:50:00Z', 'spacing until 2026-11-18 14:00:00'),
    ('spacing is a setting', $$UPDATE organizations SET number_spacing_s = 1; SELECT pg_temp.dialed(1, 1, 1, '2026-11-17 15:00Z')$$, '2026-11-17 15:00:01Z', 'dial'),
    ('spacing binds a callback too', $$UPDATE call_queue SET callback_at = '2026-11-17 15:10Z'; SELECT pg_temp.dialed(1, 1, 1, '2026-11-17 15:00Z')$$, '2026-11-17 15:10:00Z', 'spacing until 2026-11-17 15:30:00'),
    ('a number that does not exist never rang', $$SELECT pg_temp.dialed(1, 1, 1, '2026-11-17 15:00Z', 'invalid_number')$$, '2026-11-17 15:01:00Z', 'dial'),
    ('three in a day', $$SELECT pg_temp.dialed(1, 1, i, '2026-11-17 14:00Z'::timestamptz + i * interval '1 hour') FROM generate_series(1, 3) AS i; UPDATE call_queue SET max_attempts = 9$$, '2026-11-17 20:00Z', 'attempt_limit until 2026-11-18 15:00:00'),
    ('three in a day, a day later', $$SELECT pg_temp.dialed(1, 1, i, '2026-11-17 14:00Z'::timestamptz + i * interval '1 hour') FROM generate_series(1, 3) AS i; UPDATE call_queue SET max_attempts = 9$$, '2026-11-18 15:00Z', 'dial'),
    ('the law is stricter than the organization', $$UPDATE organizations SET number_cap_24h = 9, number_spacing_s = 0; SELECT pg_temp.dialed(1, 1, i, '2026-11-17 14:00Z'::timestamptz + i * interval '1 hour') FROM generate_series(1, 3) AS i; UPDATE call_queue SET max_attempts = 9$$, '2026-11-17 20:00Z', 'attempt_limit until 2026-11-18 15:00:00'),
    ('the organization is stricter than the law', $$UPDATE organizations SET number_cap_24h = 1; SELECT pg_temp.dialed(1, 1, 1, '2026-11-17 15:00Z')$$, '2026-11-17 16:00Z', 'attempt_limit until 2026-11-18 15:00:00'),
    ('seven in a week', $$SELECT pg_temp.dialed(1, 1, i, '2026-11-09 15:00Z'::timestamptz + i * interval '23 hours') FROM generate_series(1, 7) AS i; UPDATE call_queue SET max_attempts = 99$$, '2026-11-16 18:00Z', 'attempt_limit until 2026-11-17 14:00:00'),
    ('four in thirty days in France', $$UPDATE leads SET region = 'FR', timezone = 'Europe/Paris'; SELECT pg_temp.dialed(1, 1, i, '2026-11-01 12:00Z'::timestamptz + i * interval '2 days') FROM generate_series(1, 4) AS i; UPDATE call_queue SET max_attempts = 9$$, '2026-11-17 10:00Z', 'attempt_limit until 2026-12-03 13:00:00'),
    ('another campaign''s dials count', $$SELECT pg_temp.dialed(1, 1, 1, '2026-11-17 15:00Z'); INSERT INTO campaigns (organization_id, id, name) VALUES (pg_temp.org(1), pg_temp.id(1, 4), 'o'); ALTER TABLE call_logs DISABLE TRIGGER guard; UPDATE call_logs SET campaign_id = pg_temp.id(1, 4)$$, '2026-11-17 15:01Z', 'spacing until 2026-11-17 15:30:00'),
    ('one whose outcome is not known is live', $$INSERT INTO call_logs (organization_id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction, caller_number, callee_number, status, adopted_at, intent_at) VALUES (pg_temp.org(1), pg_temp.id(1, 11), pg_temp.id(1, 3), pg_temp.id(1, 201), 1, pg_temp.id(1, 1), 'outbound', '+16465550001', pg_temp.phone(1, 1), 'outcome_unknown', now(), '2026-11-16 15:00Z')$$, '2026-11-17 15:00Z', 'duplicate until 2026-11-17 15:01:00'),
    -- Lines, calls per second, budget, caller id.
    ('account lines full', $$UPDATE carrier_accounts SET lines = 1; SELECT pg_temp.another_call('ringing', '+12125550777', '2026-11-17 14:59Z')$$, '2026-11-17 15:00Z', 'no_line until 2026-11-17 15:00:01'),
    ('account lines free again', $$UPDATE carrier_accounts SET lines = 1; SELECT pg_temp.another_call('ended', '+12125550777', '2026-11-17 14:59Z')$$, '2026-11-17 15:00Z', 'dial'),
    ('campaign lines full', $$UPDATE campaigns SET lines = 1; SELECT pg_temp.another_call('in_progress', '+12125550777', '2026-11-17 14:59Z')$$, '2026-11-17 15:00Z', 'no_line until 2026-11-17 15:00:01'),
    ('number lines full', $$UPDATE phone_numbers SET lines = 1; SELECT pg_temp.another_call('dialing', '+12125550777', '2026-11-17 14:59Z')$$, '2026-11-17 15:00Z', 'no_line until 2026-11-17 15:00:01'),
    ('too many unknown', $$UPDATE carrier_accounts SET unknown_limit = 1; SELECT pg_temp.another_call('outcome_unknown', '+12125550777', '2026-11-17 14:59Z')$$, '2026-11-17 15:00Z', 'no_line until 2026-11-17 15:00:01'),
    ('calls per second of the account', $$UPDATE carrier_accounts SET calls_per_second = 1; SELECT pg_temp.another_call('ended', '+12125550777', '2026-11-17 14:59:59.5Z')$$, '2026-11-17 15:00Z', 'cps until 2026-11-17 15:00:00'),
    ('a second later', $$UPDATE carrier_accounts SET calls_per_second = 1; SELECT pg_temp.another_call('ended', '+12125550777', '2026-11-17 14:59:59Z')$$, '2026-11-17 15:00Z', 'dial'),
    ('calls per second of the campaign', $$UPDATE campaigns SET calls_per_second = 0.1; SELECT pg_temp.another_call('ended', '+12125550777', '2026-11-17 14:59:51Z')$$, '2026-11-17 15:00Z', 'cps until 2026-11-17 15:00:01'),
    ('a dial not placed takes its turn too', $$UPDATE campaigns SET calls_per_second = 0.1; SELECT pg_temp.another_call('not_placed', '+12125550777', '2026-11-17 14:59:51Z')$$, '2026-11-17 15:00Z', 'cps until 2026-11-17 15:00:01'),
    ('budget spent', $$UPDATE campaigns SET budget_minor = 100, budget_currency = 'USD', spent_micros = 1000000$$, '2026-11-17 15:00Z', 'budget'),
    ('budget not quite spent', $$UPDATE campaigns SET budget_minor = 100, budget_currency = 'USD', reserve_minor = 10, spent_micros = 900000$$, '2026-11-17 15:00Z', 'dial'),
    ('less left than one call may cost', $$UPDATE campaigns SET budget_minor = 100, budget_currency = 'USD', reserve_minor = 10, spent_micros = 900001$$, '2026-11-17 15:00Z', 'budget'),
    ('one call by its longest time and the account''s rate', $$UPDATE campaigns SET budget_minor = 60, budget_currency = 'USD', max_duration_s = 541$$, '2026-11-17 15:00Z', 'dial'),
    ('a minute more than the budget', $$UPDATE campaigns SET budget_minor = 60, budget_currency = 'USD', max_duration_s = 601$$, '2026-11-17 15:00Z', 'budget'),
    ('held back for a live call', $$UPDATE campaigns SET budget_minor = 100, budget_currency = 'USD', reserve_minor = 51; SELECT pg_temp.another_call('ringing', '+12125550777', '2026-11-17 14:59Z'); ALTER TABLE call_logs DISABLE TRIGGER guard; UPDATE call_logs SET reserved_micros = 510000$$, '2026-11-17 15:00Z', 'budget'),
    ('released by its end', $$UPDATE campaigns SET budget_minor = 100, budget_currency = 'USD', reserve_minor = 51; SELECT pg_temp.another_call('ended', '+12125550777', '2026-11-17 14:59Z'); ALTER TABLE call_logs DISABLE TRIGGER guard; UPDATE call_logs SET reserved_micros = 510000$$, '2026-11-17 15:00Z', 'dial'),
    ('released when it was not placed', $$UPDATE campaigns SET budget_minor = 100, budget_currency = 'USD', reserve_minor = 51; SELECT pg_temp.another_call('not_placed', '+12125550777', '2026-11-17 14:59Z'); ALTER TABLE call_logs DISABLE TRIGGER guard; UPDATE call_logs SET reserved_micros = 510000$$, '2026-11-17 15:00Z', 'dial'),
    ('budget spent in deltas', $$UPDATE campaigns SET budget_minor = 100, budget_currency = 'USD', spent_micros = 999999; INSERT INTO usage_ledger (organization_id, campaign_id, source, item_key, cost_micros) VALUES (pg_temp.org(1), pg_temp.id(1, 3), 'carrier', 'k', 1)$$, '2026-11-17 15:00Z', 'budget'),
    ('yen have no cents', $$UPDATE campaigns SET budget_minor = 2, budget_currency = 'JPY', reserve_minor = 1, spent_micros = 1000000$$, '2026-11-17 15:00Z', 'dial'),
    ('caller id paused by its owner', $$UPDATE phone_numbers SET status = 'paused'$$, '2026-11-17 15:00Z', 'no_line'),
    ('caller id not in the campaign', $$DELETE FROM campaign_numbers$$, '2026-11-17 15:00Z', 'no_line'),
    ('account paused', $$UPDATE carrier_accounts SET status = 'paused'$$, '2026-11-17 15:00Z', 'no_line');
-- A country whose law asks nothing and never closes, to see the campaign's own window alone.
INSERT INTO compliance_rules (jurisdiction, rule, value) VALUES ('ZZ', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "00:00", "to": "24:00"}]}');
SELECT is(pg_temp.world(prepare, at), want, name) FROM golden ORDER BY n;

-- What the gate is not told, it refuses.
SELECT is((app.gate(pg_temp.org(1), pg_temp.id(1, 3), pg_temp.id(1, 11), '+16465550001', NULL)).reason, 'campaign_paused', 'no moment');
SELECT is((app.gate(pg_temp.org(2), pg_temp.id(1, 3), pg_temp.id(1, 11), '+16465550001', '2026-11-17 15:00Z')).reason, 'campaign_paused', 'another organization');
SELECT is((app.gate(pg_temp.org(1), pg_temp.id(1, 3), app.uuid7(), '+16465550001', '2026-11-17 15:00Z')).reason, 'lead_archived', 'no such lead');
SELECT is((SELECT string_agg(DISTINCT split_part(want, ' ', 1), ', ') FROM golden
            WHERE split_part(want, ' ', 1) <> 'dial' AND split_part(want, ' ', 1) NOT IN (SELECT reason FROM skip_reasons)), NULL, 'every reason is in the vocabulary');

-- Every minute of two weeks around a change of clocks: next_change_at is open, and the minute before it is not.
SELECT is(count(*)::int, 0, 'the next opening is the first one') FROM (
    SELECT at, app.next_opening(pg_temp.org(1), pg_temp.id(1, 3), z, '{US}', at) AS opening, z
      FROM generate_series('2026-10-26'::timestamptz, '2026-11-06', interval '37 minutes') AS at,
           (VALUES ('{America/New_York}'::text[]), ('{America/New_York,America/Los_Angeles,America/Phoenix}')) AS zones (z)) AS o
 WHERE opening IS NULL OR opening < at
    OR NOT (SELECT bool_and((opening AT TIME ZONE t)::time >= '09:00' AND (opening AT TIME ZONE t)::time < '20:00') FROM unnest(z) AS t)
    OR (opening > at AND (SELECT bool_and(((opening - interval '1 second') AT TIME ZONE t)::time >= '09:00' AND ((opening - interval '1 second') AT TIME ZONE t)::time < '20:00') FROM unnest(z) AS t));

-- At the answer.
SELECT pg_temp.dialed(1, 1, 1, '2026-11-17 15:00Z') AS call \gset
SELECT set_config('app.ctx', pg_temp.ctx(pg_temp.org(1)), true) \gset fixture_
SELECT is((app.gate_at_answer(:'call', '2026-11-17 15:00:20Z')).reason, NULL, 'answered in the window');
SELECT is((app.gate_at_answer(:'call', '2026-11-18 01:00:00Z')).reason, 'outside_window', 'answered after it');
UPDATE consents SET revoked_at = '2026-11-17 15:00:10Z', revoked_reason = 'letter' WHERE organization_id = pg_temp.org(1) AND revoked_at IS NULL;
SELECT is((app.gate_at_answer(:'call', '2026-11-17 15:00:20Z')).reason, 'consent_missing', 'the consent was taken back while it rang');
INSERT INTO consents (organization_id, phone_e164, level, seller, source, evidence, granted_at)
SELECT organization_id, phone_e164, level, seller, source, evidence, '2026-11-01' FROM consents WHERE revoked_reason = 'letter';
INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 1), 'dtmf', now());
SELECT is((app.gate_at_answer(:'call', '2026-11-17 15:00:20Z')).reason, 'dnc_internal', 'refused while it rang');
UPDATE do_not_call SET lifted_at = now(), lifted_by = 'me', lift_reason = 'r';
INSERT INTO dial_pauses (organization_id, scope, reason, paused_by, paused_at) VALUES (pg_temp.org(1), 'tenant', 'r', 'me', '2026-11-17 15:00:10Z');
SELECT is((app.gate_at_answer(:'call', '2026-11-17 15:00:20Z')).reason, 'dial_paused', 'paused while it rang');

-- No other way in.
SELECT pg_temp.lead(1, 2) \gset fixture_
UPDATE dial_pauses SET resumed_at = paused_at, resumed_by = 'me';
CREATE FUNCTION pg_temp.direct(at timestamptz, callee text DEFAULT pg_temp.phone(1, 2), caller text DEFAULT '+16465550001') RETURNS text LANGUAGE sql AS $$
    SELECT format('INSERT INTO call_logs (organization_id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction, caller_number, callee_number, status, intent_at)
                   VALUES (%L, %L, %L, %L, 1, %L, ''outbound'', %L, %L, ''reserved'', %L)', pg_temp.org(1), pg_temp.id(1, 12), pg_temp.id(1, 3), pg_temp.id(1, 202), pg_temp.id(1, 1), caller, callee, at)
$$;
SELECT throws_ok(pg_temp.direct('2026-11-18 13:00Z'), 'DW001', 'may not dial: outside_window', 'an INSERT at night is refused, whoever makes it');
INSERT INTO do_not_call (organization_id, phone_e164, source, added_at) VALUES (pg_temp.org(1), pg_temp.phone(1, 2), 'dtmf', now());
SELECT throws_ok(pg_temp.direct('2026-11-18 15:00Z'), 'DW001', 'may not dial: dnc_internal', 'an INSERT for a refused number too');
UPDATE do_not_call SET lifted_at = now(), lifted_by = 'me', lift_reason = 'r' WHERE lifted_at IS NULL;
SELECT throws_ok(pg_temp.direct('2026-11-18 15:00Z', '+12125550123'), 'DW001', NULL, 'and one that dials another number than the lead''s');
SELECT throws_ok(pg_temp.direct('2026-11-18 15:00Z', pg_temp.phone(1, 2), '+12125550123'), 'DW001', NULL, 'or from a number that is not ours');
SELECT lives_ok(pg_temp.direct('2026-11-18 15:00Z'), 'what the gate allows may be written');
SELECT throws_ok(pg_temp.direct('2026-11-18 18:00Z'), 'DW001', 'may not dial: duplicate', 'once');
SELECT ok(NOT app.windows_open('[[{"days": [1, 2, 3, 4, 5, 6, 7]}]]', '{UTC}', '2026-11-17 15:00Z'), 'a span without hours is closed');
SELECT ok(NOT has_table_privilege(r, 'public.' || t, 'INSERT'), format('%s may not insert into %s', r, t))
  FROM unnest('{anon,authenticated,service_role,app_worker,app_login}'::text[]) AS r, unnest('{call_logs,call_attempts}'::text[]) AS t;
SELECT * FROM finish();
ROLLBACK;
