-- Everything a node needs to hold one call: organization, campaign, lead, call, history.
-- in   call_id uuid, at timestamptz
-- out  brief jsonb
-- rows 0..1
SELECT b.brief FROM app.call_brief($1::uuid, $2::timestamptz) AS b (brief) WHERE b.brief IS NOT NULL;
