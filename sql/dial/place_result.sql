-- What the one POST came to; the call's status after it, or NULL.
-- in   call_id uuid, result text, resolved_by text, request_uuid text, call_uuid text, http_status int4, detail text, permanent bool, at timestamptz
-- out  status text
-- rows 1
SELECT app.place_result($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::int4, $7::text, $8::bool,
                        $9::timestamptz) AS status;
