-- Whose media token this is, while it could be taken. Spends nothing.
-- in   token_hash bytea, at timestamptz
-- out  call_id uuid, organization_id uuid, call_uuid text
-- rows 0..1
SELECT t.call_id, t.organization_id, t.call_uuid FROM engine.media_token_look($1::bytea, $2::timestamptz) t;
