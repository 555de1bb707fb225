-- The first rules of the gate, and the reasons it gives. Engineering defaults, not legal advice; each row names
-- its source, and an operator changes rows, not code.
SET LOCAL ROLE app_owner;
ALTER TABLE public.skip_reasons NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.compliance_rules NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.holidays NO FORCE ROW LEVEL SECURITY;

INSERT INTO public.skip_reasons (reason, scope, curable, words) VALUES
    ('outside_window', 'row', false, 'outside the calling window of the campaign or of the law'),
    ('attempt_limit', 'row', false, 'attempts used up, or this number dialed as often as allowed'),
    ('spacing', 'row', false, 'this number was dialed too recently'),
    ('dnc_internal', 'row', true, 'this number asked not to be called'),
    ('dnc_campaign', 'row', true, 'this number asked not to be called by this campaign'),
    ('consent_missing', 'row', true, 'the rule of this country asks for a consent that is not on file'),
    ('no_line', 'account', false, 'all lines are in use'),
    ('cps', 'account', false, 'calls per second reached'),
    ('budget', 'campaign', false, 'the budget is spent'),
    ('campaign_paused', 'campaign', false, 'the campaign is not active'),
    ('dial_paused', 'campaign', false, 'dialing is paused'),
    ('dates', 'row', false, 'outside the dates of the campaign'),
    ('holiday', 'row', false, 'public holiday'),
    ('timezone_unknown', 'row', true, 'the zone of this number is not known'),
    ('region_unknown', 'row', true, 'the country of this number is not known'),
    ('rule_missing', 'row', true, 'no rule covers this country, or it was not enabled'),
    ('dnc_list_stale', 'row', true, 'the do-not-call list is too old'),
    ('prohibited_prefix', 'row', false, 'this kind of number is never dialed'),
    ('abandon_guard', 'campaign', false, 'too many answered calls were abandoned'),
    ('short_call_guard', 'campaign', false, 'too many calls end at once'),
    ('duplicate', 'row', false, 'another attempt to this number is live'),
    ('invalid_number', 'row', true, 'not a number that can be dialed'),
    ('lead_archived', 'row', true, 'the lead is archived'),
    ('cancelled', 'campaign', false, 'the campaign was cancelled'),
    ('expired', 'campaign', false, 'the campaign has ended');

INSERT INTO public.compliance_rules (jurisdiction, rule, value, valid_from, source_url, reviewed_by) VALUES
    ('US', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "09:00", "to": "20:00"}]}', '2024-01-01', '47 CFR 64.1200(c)(1), tightened', 'default'),
    ('US', 'consent', '{"scope": "ai_voice", "per_seller": true, "levels": {"marketing": "written", "informational": "express", "debt": "express", "political": "express", "charity": "express"}}', '2024-02-08', 'FCC 24-17', 'default'),
    ('US', 'frequency', '{"24h": 3, "7d": 7}', '2024-01-01', 'Fla. Stat. 501.616(6); OTSA 775C.4; 12 CFR 1006.14', 'default'),
    ('US', 'prefixes', '["+1900", "+1211", "+1311", "+1411", "+1511", "+1611", "+1711", "+1811", "+1911", "+1988"]', '2024-01-01', '47 CFR 64.1200(a)(1)(i)', 'default'),
    ('CA', 'hours', '{"spans": [{"days": [1,2,3,4,5], "from": "09:00", "to": "20:00"}, {"days": [6,7], "from": "10:00", "to": "18:00"}]}', '2024-01-01', 'CRTC Unsolicited Telecommunications Rules, tightened', 'default'),
    ('CA', 'consent', '{"scope": "ai_voice", "levels": {"marketing": "express", "informational": "express", "debt": "express", "political": "express", "charity": "express"}}', '2024-01-01', 'CRTC ADAD rules', 'default'),
    ('CA', 'prefixes', '["+1900", "+1211", "+1311", "+1411", "+1511", "+1611", "+1711", "+1811", "+1911", "+1988"]', '2024-01-01', 'numbering plan', 'default'),
    ('GB', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "09:00", "to": "20:00"}]}', '2024-01-01', 'product default', 'default'),
    ('GB', 'consent', '{"scope": "ai_voice", "levels": {"marketing": "express", "informational": "express", "debt": "express", "political": "express", "charity": "express"}}', '2024-01-01', 'PECR reg. 19', 'default'),
    ('GB', 'prefixes', '["+449", "+44871", "+44872", "+44873", "+44118"]', '2024-01-01', 'numbering plan', 'default'),
    ('IN', 'hours', '{"spans": [{"days": [1,2,3,4,5,6], "from": "10:00", "to": "19:00"}]}', '2024-01-01', 'TCCCPR, tightened', 'default'),
    ('IN', 'consent', '{"scope": "ai_voice", "levels": {"marketing": "express", "informational": "express", "debt": "express", "political": "express", "charity": "express"}}', '2024-01-01', 'TCCCPR 2018; TRAI preference registration', 'default'),
    ('IN', 'notice', '["marketing"]', '2024-01-01', 'TCCCPR 2018 reg. 2: automated marketing needs the operator''s written notice', 'default'),
    ('FR', 'hours', '{"spans": [{"days": [1,2,3,4,5], "from": "10:00", "to": "13:00"}, {"days": [1,2,3,4,5], "from": "14:00", "to": "20:00"}], "holidays": true}', '2024-01-01', 'décret 2022-1313', 'default'),
    ('FR', 'consent', '{"scope": "ai_voice", "levels": {"marketing": "express", "informational": "express", "debt": "express", "political": "express", "charity": "express"}}', '2024-01-01', 'loi 2025-594, opt-in since 2026-08-11', 'default'),
    ('FR', 'frequency', '{"30d": 4}', '2024-01-01', 'décret 2022-1313', 'default'),
    ('FR', 'prefixes', '["+3389", "+33118"]', '2024-01-01', 'numbering plan', 'default'),
    ('DE', 'hours', '{"spans": [{"days": [1,2,3,4,5,6], "from": "09:00", "to": "20:00"}]}', '2024-01-01', 'product default', 'default'),
    ('DE', 'consent', '{"scope": "ai_voice", "levels": {"marketing": "express", "informational": "express", "debt": "express", "political": "express", "charity": "express"}}', '2024-01-01', 'UWG section 7', 'default'),
    ('DE', 'prefixes', '["+49900", "+49137", "+49118"]', '2024-01-01', 'numbering plan', 'default'),
    ('*', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "09:00", "to": "20:00"}]}', '2024-01-01', NULL, NULL),
    ('*', 'consent', '{"scope": "ai_voice", "levels": {"marketing": "express", "informational": "express", "debt": "express", "political": "express", "charity": "express"}}', '2024-01-01', NULL, NULL);

-- French public holidays: eight fixed ones, and Easter Monday, Ascension and Whit Monday.
INSERT INTO public.holidays (region, day, name)
SELECT 'FR', make_date(y, m, d), n
  FROM generate_series(2026, 2030) AS y,
       (VALUES (1, 1, 'Jour de l''an'), (5, 1, 'Fête du Travail'), (5, 8, 'Victoire 1945'), (7, 14, 'Fête nationale'),
               (8, 15, 'Assomption'), (11, 1, 'Toussaint'), (11, 11, 'Armistice 1918'), (12, 25, 'Noël')) AS f (m, d, n)
UNION ALL
SELECT 'FR', easter + days, n
  FROM unnest(ARRAY['2026-04-05', '2027-03-28', '2028-04-16', '2029-04-01', '2030-04-21']::date[]) AS easter,
       (VALUES (1, 'Lundi de Pâques'), (39, 'Ascension'), (50, 'Lundi de Pentecôte')) AS m (days, n)
-- Ascension may fall on the first or the eighth of May.
ON CONFLICT DO NOTHING;

ALTER TABLE public.skip_reasons FORCE ROW LEVEL SECURITY;
ALTER TABLE public.compliance_rules FORCE ROW LEVEL SECURITY;
ALTER TABLE public.holidays FORCE ROW LEVEL SECURITY;
RESET ROLE;
