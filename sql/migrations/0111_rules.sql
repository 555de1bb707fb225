-- What the gate holds every dial against, in force at the first start. Engineering defaults, not legal advice: counsel
-- closes a row (valid_to) and adds the next one. Sources in words where there is no stable address.
SET LOCAL ROLE app_owner;
ALTER TABLE public.compliance_rules NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.holidays NO FORCE ROW LEVEL SECURITY;

-- What 0008 said of a whole country and belongs to a state, a purpose or a voice.
UPDATE public.compliance_rules SET value = value || '{"voices": ["ai"]}' WHERE jurisdiction = 'US' AND rule = 'consent';
UPDATE public.compliance_rules SET value = '{"7d": 7, "purposes": ["debt"]}', source_url = '12 CFR 1006.14 (Regulation F)'
 WHERE jurisdiction = 'US' AND rule = 'frequency';
INSERT INTO public.compliance_rules (jurisdiction, rule, value, valid_from, source_url, reviewed_by) VALUES
    -- Every dial.
    ('ALL', 'frequency', '{"24h": 3, "7d": 7}', '2024-01-01', 'product default, the strictest of the states', 'default'),
    ('ALL', 'prefixes', '["+808", "+870", "+878", "+881", "+882", "+883", "+888", "+979"]', '2024-01-01',
     'ITU E.164 assignments: shared cost, satellite, networks, disaster relief, premium', 'default'),
    ('ALL', 'abandon', '{"share": 0.025, "min_answers": 100, "days": 30}', '2024-01-01',
     '47 CFR 64.1200(a)(7), 16 CFR 310.4(b)(4): 3 % of live answers; stops before', 'default'),
    ('ALL', 'short_calls', '{"share": 0.20, "min_answers": 100, "days": 30}', '2024-01-01',
     'Plivo: calls answered for six seconds or less are surcharged above a share of the month''s volume', 'default'),
    -- United States.
    ('US', 'areas', '{"required": true}', '2024-01-01', 'states have rules of their own', 'default'),
    ('US', 'lists', '{"lists": [{"list": "us-national", "max_age_days": 31, "exempt": ["written", "purchase", "inquiry"],
                      "purchase_months": 18, "inquiry_months": 3}], "purposes": ["marketing"]}', '2024-01-01',
     '16 CFR 310.4(b)(1)(iii)(B); 69 FR 16368', 'default'),
    ('US', 'reassigned', '{"max_age_days": 30, "voices": ["ai"]}', '2024-01-01', '84 FR 11226 (reassigned numbers database)', 'default'),
    ('US', 'holds', '{"conversation_d": 7, "purposes": ["debt"]}', '2024-01-01', '12 CFR 1006.14(b)(2)(i)(B)', 'default'),
    ('US-CA', 'consent', '{"scope": "ai_voice", "per_seller": true, "voices": ["ai"], "levels": {"marketing": "written",
                      "political": "written", "charity": "written"}}', '2025-01-01', 'California AB 2905: no artificial voice in cold calls', 'default'),
    ('US-AL', 'hours', '{"spans": [{"days": [1,2,3,4,5,6], "from": "08:00", "to": "20:00"}], "holidays": true}', '2024-01-01', 'Ala. Code 8-19C-2', 'default'),
    ('US-CT', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "09:00", "to": "20:00"}]}', '2024-01-01', 'Conn. Gen. Stat. 42-288a', 'default'),
    ('US-FL', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "08:00", "to": "20:00"}]}', '2024-01-01', 'Fla. Stat. 501.616(6)(a)', 'default'),
    ('US-FL', 'frequency', '{"24h": 3}', '2024-01-01', 'Fla. Stat. 501.616(6)(b)', 'default'),
    ('US-GA', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "08:00", "to": "20:00"}]}', '2024-01-01', 'O.C.G.A. 46-5-27', 'default'),
    ('US-KY', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "10:00", "to": "21:00"}]}', '2024-01-01', 'KRS 367.46955', 'default'),
    ('US-LA', 'hours', '{"spans": [{"days": [1,2,3,4,5,6], "from": "08:00", "to": "20:00"}], "holidays": true}', '2024-01-01', 'La. R.S. 45:844.31', 'default'),
    ('US-ME', 'hours', '{"spans": [{"days": [1,2,3,4,5], "from": "09:00", "to": "17:00"}]}', '2024-01-01', '10 M.R.S. 1498', 'default'),
    ('US-MD', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "08:00", "to": "20:00"}]}', '2024-01-01', 'Md. Code, Com. Law 14-4502', 'default'),
    ('US-MD', 'frequency', '{"24h": 3}', '2024-01-01', 'Md. Code, Com. Law 14-4502', 'default'),
    ('US-MA', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "08:00", "to": "20:00"}]}', '2024-01-01', 'M.G.L. c. 159C', 'default'),
    ('US-MI', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "09:00", "to": "21:00"}]}', '2024-01-01', 'MCL 445.111', 'default'),
    ('US-MN', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "09:00", "to": "21:00"}]}', '2024-01-01', 'Minn. Stat. 325E.30', 'default'),
    ('US-MS', 'hours', '{"spans": [{"days": [1,2,3,4,5,6], "from": "08:00", "to": "20:00"}], "holidays": true}', '2024-01-01', 'Miss. Code 77-3-723', 'default'),
    ('US-NE', 'hours', '{"spans": [{"days": [1,2,3,4,5,6], "from": "08:00", "to": "21:00"}, {"days": [7], "from": "13:00", "to": "21:00"}]}', '2024-01-01', 'Neb. Rev. Stat. 86-247', 'default'),
    ('US-NV', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "09:00", "to": "20:00"}]}', '2024-01-01', 'NRS 599B.190', 'default'),
    ('US-NJ', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "08:00", "to": "21:00"}]}', '2024-01-01', 'N.J.A.C. 13:45D-4.2', 'default'),
    ('US-NM', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "09:00", "to": "21:00"}]}', '2024-01-01', 'N.M. Stat. 57-12-22', 'default'),
    ('US-OK', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "08:00", "to": "20:00"}]}', '2024-01-01', 'OTSA, 15 O.S. 775C.4', 'default'),
    ('US-OK', 'frequency', '{"24h": 3}', '2024-01-01', 'OTSA, 15 O.S. 775C.4', 'default'),
    ('US-PA', 'hours', '{"spans": [{"days": [1,2,3,4,5,6], "from": "09:00", "to": "21:00"}, {"days": [7], "from": "13:30", "to": "21:00"}]}', '2024-01-01', '73 P.S. 2245.2', 'default'),
    ('US-RI', 'hours', '{"spans": [{"days": [1,2,3,4,5], "from": "09:00", "to": "18:00"}, {"days": [6], "from": "10:00", "to": "17:00"}], "holidays": true}', '2024-01-01', 'R.I. Gen. Laws 5-61-3.6', 'default'),
    ('US-SD', 'hours', '{"spans": [{"days": [1,2,3,4,5,6], "from": "09:00", "to": "21:00"}]}', '2024-01-01', 'SDCL 37-30A-3', 'default'),
    ('US-TX', 'hours', '{"spans": [{"days": [1,2,3,4,5,6], "from": "09:00", "to": "21:00"}, {"days": [7], "from": "12:00", "to": "21:00"}]}', '2024-01-01', 'Tex. Bus. & Com. Code 301.051', 'default'),
    ('US-UT', 'hours', '{"spans": [{"days": [1,2,3,4,5,6], "from": "08:00", "to": "21:00"}], "holidays": true}', '2024-01-01', 'Utah Code 13-25a-103', 'default'),
    ('US-WA', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "08:00", "to": "20:00"}]}', '2024-01-01', 'RCW 80.36.390, fundraising included', 'default'),
    ('US-WY', 'hours', '{"spans": [{"days": [1,2,3,4,5,6,7], "from": "08:00", "to": "20:00"}]}', '2024-01-01', 'Wyo. Stat. 40-12-302', 'default'),
    -- Elsewhere.
    ('GB', 'lists', '{"lists": [{"list": "gb-tps", "max_age_days": 28}], "purposes": ["marketing", "political", "charity"]}', '2024-01-01',
     'PECR reg. 21 (Telephone Preference Service)', 'default'),
    ('GB', 'holds', '{"abandon_h": 72}', '2024-01-01', 'Ofcom, persistent misuse policy', 'default'),
    ('IN', 'caller_series', '{"marketing": ["+91140"], "informational": ["+911600"], "debt": ["+911600"], "sectors": ["bank"]}', '2026-01-01',
     'TRAI direction on the 1600 series: banks', 'default'),
    ('IN', 'caller_series', '{"marketing": ["+91140"], "informational": ["+911600"], "debt": ["+911600"]}', '2026-03-15',
     'TRAI direction on the 1600 series: all sectors', 'default'),
    ('IN', 'preferences', '{"max_age_days": 7, "purposes": ["marketing"]}', '2024-01-01', 'TCCCPR 2018: scrubbing against registered preferences', 'default'),
    ('FR', 'holds', '{"refusal_d": 60}', '2024-01-01', 'décret 2022-1313', 'default');
UPDATE public.compliance_rules SET valid_to = '2026-03-15' WHERE jurisdiction = 'IN' AND rule = 'caller_series' AND valid_from = '2026-01-01';

-- Federal holidays of the United States on their own days, and on the weekday on which they are observed.
INSERT INTO public.holidays (region, day, name)
SELECT 'US', d.day, d.name
  FROM generate_series(2026, 2030) AS y,
       LATERAL (VALUES (make_date(y, 1, 1), 'New Year''s Day'), (make_date(y, 6, 19), 'Juneteenth'),
                       (make_date(y, 7, 4), 'Independence Day'), (make_date(y, 11, 11), 'Veterans Day'),
                       (make_date(y, 12, 25), 'Christmas Day')) AS f (day, name),
       LATERAL (VALUES (f.day, f.name),
                       (f.day + CASE extract(isodow FROM f.day) WHEN 6 THEN -1 WHEN 7 THEN 1 ELSE 0 END, f.name)) AS d (day, name)
UNION
-- The n-th Monday (n > 0) or the last one (n = 0) of a month; Thanksgiving is the fourth Thursday.
SELECT 'US', CASE WHEN m.nth = 0 THEN make_date(y, m.month + 1, 1) - 1
                       - ((extract(isodow FROM make_date(y, m.month + 1, 1) - 1)::int - m.weekday + 7) % 7)
                  ELSE make_date(y, m.month, 1) + (m.weekday - extract(isodow FROM make_date(y, m.month, 1))::int + 7) % 7
                       + 7 * (m.nth - 1) END, m.name
  FROM generate_series(2026, 2030) AS y,
       (VALUES (1, 3, 1, 'Martin Luther King Day'), (2, 3, 1, 'Washington''s Birthday'), (5, 0, 1, 'Memorial Day'),
               (9, 1, 1, 'Labor Day'), (10, 2, 1, 'Columbus Day'), (11, 4, 4, 'Thanksgiving')) AS m (month, nth, weekday, name)
ON CONFLICT DO NOTHING;

ALTER TABLE public.compliance_rules FORCE ROW LEVEL SECURITY;
ALTER TABLE public.holidays FORCE ROW LEVEL SECURITY;
RESET ROLE;
