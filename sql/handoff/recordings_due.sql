-- Recordings at the carrier that are due to be fetched, held for the lease. Across tenants.
-- in   want int4, at timestamptz, lease_s int4
-- out  organization_id uuid, recording_id uuid, call_log_id uuid, carrier_url text, ended_at timestamptz
-- rows 0..want
SELECT d.organization_id, d.recording_id, d.call_log_id, d.carrier_url, d.started_at AS ended_at
  FROM engine.recordings_due($1::int4, $2::timestamptz, $3::int4) d;
