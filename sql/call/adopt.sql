-- The row of a dial that was made and lost it, rebuilt from a webhook's address: present, rebuilt, no_job or conflict.
-- in   call_id uuid, queue_id uuid, attempt_number int4, account_id uuid, from_number text, to_number text, at timestamptz
-- out  result text
-- rows 1
SELECT engine.adopt_call($1::uuid, $2::uuid, $3::int4, $4::uuid, $5::text, $6::text, $7::timestamptz) AS result;
