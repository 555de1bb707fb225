-- A node is there; on which history of the database, and whether it may be dialed on.
-- in   node uuid, node_name text, version text, public_url text, newest uuid, from_system text, from_timeline int8, last_at timestamptz, loss_ms int8, wait_ms int8, at timestamptz
-- out  installation_id uuid, system_id text, timeline int8, state text, kind text, why text, waits_for int4, replay_since timestamptz
-- rows 1
SELECT c.installation_id, c.system_id, c.timeline, c.state, c.kind, c.why, c.waits_for, c.replay_since
  FROM engine.dial_check_in($1::uuid, $2::text, $3::text, $4::text, $5::uuid, $6::text, $7::int8, $8::timestamptz, $9::int8, $10::int8,
                            $11::timestamptz) AS c;
