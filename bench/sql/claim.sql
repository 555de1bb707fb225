-- Claims with all gates on one connection, commit included; prints one JSON object. Between the timed claims the calls
-- end, untimed, as a carrier would end them, so that the number of live calls stays what a real account has.
--   psql -qAt -v batches=200 -v batch=25 -f bench/sql/claim.sql URL      (after claim_setup.sql)
\set ON_ERROR_STOP on
\if :{?batches}
\else
\set batches 200
\endif
\if :{?batch}
\else
\set batch 25
\endif
SELECT set_config('bench.batches', :'batches', false), set_config('bench.batch', :'batch', false) \gset bench_
CREATE TEMP TABLE bench_claimed (organization_id uuid, call_id uuid);
DO $$
DECLARE
    began timestamptz;
    claimed int4;
    total int4 := 0;
    spent interval := '0';
    worst interval := '0';
    took interval;
    node uuid := gen_random_uuid();
BEGIN
    FOR i IN 1..current_setting('bench.batches')::int LOOP
        began := clock_timestamp();
        INSERT INTO bench_claimed
        SELECT c.organization_id, c.call_id
          FROM engine.claim(node, node, current_setting('bench.batch')::int, began, 30000) AS c;
        GET DIAGNOSTICS claimed = ROW_COUNT;
        COMMIT;
        took := clock_timestamp() - began;
        spent := spent + took;
        worst := greatest(worst, took);
        total := total + claimed;
        EXIT WHEN claimed = 0;
        UPDATE public.call_logs l SET status = 'ended', ended_at = began, disconnect_reason = 'no_answer'
          FROM bench_claimed b WHERE l.organization_id = b.organization_id AND l.id = b.call_id;
        UPDATE public.call_queue q SET status = 'completed'
          FROM public.call_logs l, bench_claimed b
         WHERE l.organization_id = b.organization_id AND l.id = b.call_id
           AND q.organization_id = l.organization_id AND q.id = l.queue_id;
        DELETE FROM bench_claimed;
        COMMIT;
    END LOOP;
    PERFORM set_config('bench.result', json_build_object('claims', total,
        'seconds', round(extract(epoch FROM spent)::numeric, 3),
        'claims_per_second', round((total / nullif(extract(epoch FROM spent), 0))::numeric, 1),
        'worst_batch_ms', round(extract(epoch FROM worst)::numeric * 1000, 1))::text, false);
END
$$;
SELECT current_setting('bench.result');
