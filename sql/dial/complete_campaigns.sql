-- Completes the campaigns that are over, each once.
-- in   at timestamptz
-- out  organization_id uuid, campaign_id uuid, reason text
-- rows 0..n
SELECT c.organization_id, c.campaign_id, c.reason FROM engine.complete_campaigns($1::timestamptz) AS c;
