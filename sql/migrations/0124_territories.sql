-- Parts of a country that have a country code of their own, as ISO 3166-2 names them: their clocks are not those of the
-- country's list.
SET LOCAL ROLE app_owner;
ALTER TABLE public.jurisdiction_zones NO FORCE ROW LEVEL SECURITY;
INSERT INTO public.jurisdiction_zones (jurisdiction, zones)
SELECT t.part, j.zones
  FROM (VALUES ('US-AS', 'AS'), ('US-GU', 'GU'), ('US-MP', 'MP'), ('US-PR', 'PR'), ('US-UM', 'UM'), ('US-VI', 'VI'),
               ('FR-971', 'GP'), ('FR-972', 'MQ'), ('FR-973', 'GF'), ('FR-974', 'RE'), ('FR-976', 'YT'), ('FR-GP', 'GP'), ('FR-MQ', 'MQ'),
               ('FR-GF', 'GF'), ('FR-RE', 'RE'), ('FR-YT', 'YT'), ('FR-BL', 'BL'), ('FR-MF', 'MF'), ('FR-NC', 'NC'), ('FR-PF', 'PF'),
               ('FR-PM', 'PM'), ('FR-TF', 'TF'), ('FR-WF', 'WF'), ('NL-AW', 'AW'), ('NL-CW', 'CW'), ('NL-SX', 'SX'), ('NL-BQ1', 'BQ'),
               ('NL-BQ2', 'BQ'), ('NL-BQ3', 'BQ'), ('CN-HK', 'HK'), ('CN-MO', 'MO'), ('CN-TW', 'TW'), ('NO-21', 'SJ'), ('NO-22', 'SJ'),
               ('FI-01', 'AX')) AS t (part, country)
  JOIN public.jurisdiction_zones j ON j.jurisdiction = t.country
ON CONFLICT DO NOTHING;
ALTER TABLE public.jurisdiction_zones FORCE ROW LEVEL SECURITY;
RESET ROLE;
