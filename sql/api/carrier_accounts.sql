-- The tenant's carrier accounts with their sealed tokens, to verify webhooks and to place calls.
-- in   none
-- out  id uuid, provider text, auth_id text, status text, token_sealed bytea, token_previous_sealed bytea
-- rows 0..n
SELECT a.id, a.provider, a.auth_id, a.status, a.token_sealed, a.token_previous_sealed
  FROM app.carrier_accounts_sealed() a;
