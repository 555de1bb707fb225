-- The CHECKs of the tables that every dial writes, a few calls instead of one constraint per column (why: 0121).
SET LOCAL ROLE app_owner;
DO $$
DECLARE
    k record;
BEGIN
    FOR k IN SELECT c.conrelid::regclass AS target, c.conname FROM pg_catalog.pg_constraint c
              WHERE c.contype = 'c'
                AND (c.conrelid, c.conname::text) IN (
                    SELECT n.target::regclass, n.target || '_' || n.rest FROM (VALUES
                        ('call_logs', '{absent_scans_check,ai_analysis_check,attempt_number_check,billed_seconds_check,call_sid_check,'
                                      'check,check1,check2,check3,check4,cost_currency_check,cost_micros_check,direction_check,'
                                      'disconnect_reason_check,disposition_check,duration_check,interest_level_check,'
                                      'request_uuid_check,resolved_by_check,sentiment_score_check,status_check}'::text[]),
                        ('call_attempts', '{attempt_number_check,channel_check,check,check1,duration_check,gate_check,outcome_check}'),
                        ('call_queue', '{attempt_count_check,attempt_number_check,check,max_attempts_check,priority_check,status_check}'),
                        ('call_events', '{event_key_check,kind_check,source_check}'),
                        ('outbox', '{dedup_key_check,status_check,topic_check}')) AS old (target, names),
                        LATERAL (SELECT old.target, unnest(old.names) AS rest) AS n) LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', k.target, k.conname);
    END LOOP;
END
$$;
ALTER TABLE public.call_logs
    ADD CONSTRAINT call_logs_words CHECK (app.call_log_words(direction, status, resolved_by, interest_level, disposition, disconnect_reason)),
    ADD CONSTRAINT call_logs_shape CHECK (app.call_log_shape(direction, lead_id, campaign_id, queue_id, attempt_number, intent_at,
        caller_number, callee_number, status, answered_at, ended_at, transferred, transferred_at)),
    ADD CONSTRAINT call_logs_sizes CHECK (app.call_log_sizes(attempt_number, call_sid, request_uuid, absent_scans, duration,
        billed_seconds, cost_micros, cost_currency, sentiment_score, ai_analysis));
ALTER TABLE public.call_attempts
    ADD CONSTRAINT call_attempts_shape CHECK (app.call_attempt_shape(channel, outcome, attempt_number, settled_at, will_retry, duration, gate));
ALTER TABLE public.call_queue
    ADD CONSTRAINT call_queue_shape CHECK (app.queue_shape(status, ready, priority, attempt_count, attempt_number, max_attempts));
ALTER TABLE public.call_events
    ADD CONSTRAINT call_events_shape CHECK (app.call_event_shape(source, kind, event_key));
ALTER TABLE public.outbox
    ADD CONSTRAINT outbox_shape CHECK (app.outbox_shape(status, topic, dedup_key));
RESET ROLE;
