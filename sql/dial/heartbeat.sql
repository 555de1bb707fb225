-- The node is alive, or says good-bye; the database's clock, to compare with.
-- in   node_id uuid, stopping bool, at timestamptz
-- out  db_now timestamptz
-- rows 1
SELECT engine.heartbeat($1::uuid, $2::bool, $3::timestamptz) AS db_now;
