-- A carrier account by name, with its sealed token.
-- in   name text
-- out  id uuid, auth_id text, token_sealed bytea
-- rows 0..1
SELECT f.id, f.auth_id, f.token_sealed FROM app.carrier_find($1::text) f;
