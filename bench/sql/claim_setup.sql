-- Fills an empty, migrated database for bench_claims: tenants with some campaigns each, leads with consent, each of them
-- queued in one campaign and inside the window; every second lead was phoned once before. As a superuser: history is
-- written past the triggers that guard a dial.
--   psql -v leads=100000 -v tenants=50 -v campaigns=1 -f bench/sql/claim_setup.sql URL
\set ON_ERROR_STOP on
\if :{?leads}
\else
\set leads 100000
\endif
\if :{?tenants}
\else
\set tenants 50
\endif
\if :{?campaigns}
\else
\set campaigns 1
\endif
BEGIN;
INSERT INTO public.organizations (id, slug, name, legal_name)
SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'bench-' || n, 'Bench ' || n, 'Bench ' || n
  FROM generate_series(1, :tenants) AS n;
INSERT INTO public.carrier_accounts (organization_id, name, auth_id, lines, calls_per_second)
SELECT id, 'bench', 'BENCH', 100000, 100000 FROM public.organizations;
INSERT INTO public.phone_numbers (organization_id, carrier_account_id, phone_e164)
SELECT a.organization_id, a.id, '+12125550' || lpad(n::text, 3, '0')
  FROM public.carrier_accounts a, generate_series(100, 109) AS n;
INSERT INTO public.campaigns (organization_id, name, status, time_start, time_end, weekdays, lines, calls_per_second,
    legal_name, callback_number, disclosure, greeting)
SELECT id, 'bench ' || n, 'active', '00:00', '24:00', '{1,2,3,4,5,6,7}', 100000, 100000, name, '+12125550100', 'AI', 'Hello'
  FROM public.organizations, generate_series(1, :campaigns) AS n;
INSERT INTO public.campaign_numbers (organization_id, campaign_id, phone_number_id)
SELECT c.organization_id, c.id, p.id FROM public.campaigns c JOIN public.phone_numbers p USING (organization_id);
-- A country whose hours never end, so that the bench runs at any hour.
INSERT INTO public.compliance_rules (jurisdiction, rule, value) VALUES
    ('ZZ', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "00:00", "to": "24:00"}]}'),
    ('ZZ', 'consent', '{"scope": "ai_voice", "per_seller": true, "levels": {"marketing": "written"}}'),
    ('ZZ', 'frequency', '{"24h": 3, "7d": 7}');
INSERT INTO public.leads (organization_id, name, phone_e164, timezone, region, score)
SELECT o.id, 'Lead ' || n, '+1213' || lpad(n::text, 7, '0'), 'America/Los_Angeles', 'ZZ', (n * 7919) % 101
  FROM public.organizations o, generate_series(1, :leads / :tenants) AS n;
INSERT INTO public.consents (organization_id, phone_e164, level, seller, source, evidence, granted_at)
SELECT l.organization_id, l.phone_e164, 'written', o.name, 'bench', '{"form": "bench"}', now() - interval '30 days'
  FROM public.leads l JOIN public.organizations o ON o.id = l.organization_id;
INSERT INTO public.do_not_call (organization_id, phone_e164, source, added_at)
SELECT o.id, '+1213' || lpad(n::text, 7, '0'), 'import', now()
  FROM public.organizations o, generate_series(1, :leads / :tenants, 50) AS n;
INSERT INTO public.call_queue (organization_id, campaign_id, lead_id, score, next_retry_at, ready)
SELECT l.organization_id, c.ids[1 + n % :campaigns], l.id, l.score, now(), true
  FROM (SELECT x.*, row_number() OVER (PARTITION BY x.organization_id ORDER BY x.id) AS n FROM public.leads x) AS l
  JOIN (SELECT organization_id, array_agg(id ORDER BY id) AS ids FROM public.campaigns GROUP BY 1) AS c USING (organization_id);
SET LOCAL session_replication_role = replica;
INSERT INTO public.call_logs (organization_id, lead_id, campaign_id, queue_id, attempt_number, carrier_account_id, direction,
    caller_number, callee_number, status, intent_at, ringing_at, ended_at, disconnect_reason)
SELECT q.organization_id, q.lead_id, q.campaign_id, q.id, 1, a.id, 'outbound', '+12125550100', l.phone_e164, 'ended',
       d.at, d.at, d.at, 'no_answer'
  FROM public.call_queue q
  JOIN public.leads l ON l.organization_id = q.organization_id AND l.id = q.lead_id
  JOIN public.carrier_accounts a ON a.organization_id = q.organization_id
 CROSS JOIN (SELECT now() - interval '10 days' AS at) d
 WHERE l.score % 2 = 0;
INSERT INTO public.call_attempts (organization_id, lead_id, campaign_id, call_log_id, attempt_number, outcome, settled_at,
    will_retry, gate)
SELECT organization_id, lead_id, campaign_id, id, 1, 'no_answer', ended_at, true, '{}' FROM public.call_logs;
UPDATE public.call_queue q SET attempt_number = 1, attempt_count = 1
  FROM public.call_logs l WHERE l.organization_id = q.organization_id AND l.queue_id = q.id;
COMMIT;
VACUUM ANALYZE;
CHECKPOINT;
