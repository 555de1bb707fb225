-- Takes due leads of all tenants, fairly, through the gate, and writes their intents. Each row is a dial to make once,
-- and only after the commit is acknowledged.
-- in   node uuid, worker uuid, want int4, at timestamptz, lease_ms int8
-- out  call_id uuid, organization_id uuid, campaign_id uuid, lead_id uuid, queue_id uuid, carrier_account_id uuid, caller_number text, callee_number text, attempt_number int4
-- rows 0..n
SELECT c.call_id, c.organization_id, c.campaign_id, c.lead_id, c.queue_id, c.carrier_account_id, c.caller_number,
       c.callee_number, c.attempt_number
  FROM engine.claim($1::uuid, $2::uuid, $3::int4, $4::timestamptz, $5::int8) AS c;
