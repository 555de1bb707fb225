-- One batch of a list: each row becomes a lead or a named reject. Arrays run in parallel, one element per row.
-- in   import uuid, lines int8[], reasons text[], details text[], raws text[], phones text[], regions text[], zones text[], names text[], emails text[], timezones text[], attributes text[], consent_ats text[], consent_levels text[], consent_words text[], sources text[], at timestamptz
-- out  answer jsonb
-- rows 1
SELECT app.import_batch($1::uuid, $2::int8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                        $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
                        $16::text[], $17::timestamptz) AS answer;
