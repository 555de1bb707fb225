-- Attempts to ask the carrier about now, taken for retry_ms.
-- in   want int4, retry_ms int8, at timestamptz
-- out  call_id uuid, organization_id uuid, status text, carrier_account_id uuid, caller_number text, callee_number text, intent_at timestamptz, signed_off bool, worker_id uuid, call_sid text, request_uuid text
-- rows 0..want
SELECT d.call_id, d.organization_id, d.status, d.carrier_account_id, d.caller_number, d.callee_number, d.intent_at,
       d.signed_off, d.worker_id, d.call_sid, d.request_uuid
  FROM engine.unknown_due($1::int4, $2::int8, $3::timestamptz) d;
