-- One turn of the talk, by its place; a later version replaces it. False: no such call.
-- in   call_id uuid, ordinal int4, item_id text, speaker text, start_ms int8, end_ms int8, body text, heard text, heard_ms int8, at timestamptz
-- out  kept bool
-- rows 1
SELECT app.turn_put($1::uuid, $2::int4, $3::text, $4::text, $5::int8, $6::int8, $7::text, $8::text, $9::int8,
                    $10::timestamptz) AS kept;
