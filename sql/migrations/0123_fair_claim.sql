-- Indexes by which the claim and the gate find what they count, and nothing else.
SET LOCAL ROLE app_owner;
-- Campaigns that may claim, without those that are over; callbacks that wait; what the guards look at of deltas that are
-- not folded in yet.
CREATE INDEX campaigns_active ON public.campaigns (organization_id, id) WHERE status = 'active';
CREATE INDEX call_queue_callback ON public.call_queue (organization_id, campaign_id, lead_id) WHERE callback_at IS NOT NULL;
CREATE INDEX campaign_deltas_day ON public.campaign_deltas (organization_id, campaign_id, day) WHERE day IS NOT NULL;
-- The sweeps name the statuses they look for. Said so, this index no longer serves "not ended": the planner took it, the
-- smallest, to count the live calls of one account, and so read those of all tenants.
DROP INDEX public.call_logs_live_sweep;
CREATE INDEX call_logs_live_sweep ON public.call_logs (status, organization_id, intent_at)
    WHERE status IN ('reserved', 'dialing', 'ringing', 'in_progress', 'transferring', 'outcome_unknown');
RESET ROLE;
