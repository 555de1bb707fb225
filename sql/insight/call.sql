-- What the analysis knows of a call beside its words.
-- in   call_id uuid
-- out  duration_s int4, ended_at timestamptz, zone text, campaign_name text, description text, opted_out bool, disconnect_reason text, disposition text
-- rows 0..1
SELECT c.duration_s, c.ended_at, c.zone, c.campaign_name, c.description, c.opted_out, c.disconnect_reason, c.disposition
  FROM app.analysis_call($1::uuid) c;
