-- A worker incarnation begins: its node is there, its lock is held.
-- in   node_id uuid, node_name text, version text, public_url text, worker_id uuid, lock_path text, at timestamptz
-- out  started text
-- rows 1
SELECT engine.worker_start($1::uuid, $2::text, $3::text, $4::text, $5::uuid, $6::text, $7::timestamptz)::text AS started;
