-- The yardstick of the queue bench, for pgbench: what one commit of two inserts costs on the same server.
BEGIN;
INSERT INTO bench_first (a, b) VALUES (gen_random_uuid(), now());
INSERT INTO bench_second (a, b) VALUES (gen_random_uuid(), now());
COMMIT;
