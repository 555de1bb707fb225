-- A part of this node's journal, put back where rows are missing.
-- in   node uuid, entries jsonb, at timestamptz
-- out  known int4, rebuilt int4, unplaceable int4, conflicts int4
-- rows 1
SELECT r.known, r.rebuilt, r.unplaceable, r.conflicts FROM engine.dial_replay($1::uuid, $2::jsonb, $3::timestamptz) AS r;
