-- The journals of these processes are in.
-- in   nodes text, known int4, rebuilt int4, unplaceable int4, at timestamptz
-- out  done text
-- rows 1
SELECT engine.dial_replayed($1::text::uuid[], $2::int4, $3::int4, $4::int4, $5::timestamptz)::text AS done;
