-- The law as data, complete: states below countries, what every dial obeys, what a tenant adds, imported lists with their
-- age, and the figures that the guards look at. Engineering defaults, not legal advice.
SET LOCAL ROLE app_owner;

-- Jurisdictions: a country, a part of one (ISO 3166-2), '*' for countries without rules of their own that a tenant
-- enabled, ALL for every dial. Values, beside those of 0006; each may say "purposes" and "voices" that it is for:
-- lists          [{"list": "us-national", "max_age_days": 31, "exempt": ["written", "purchase", "inquiry"]}]
-- reassigned     {"max_age_days": 30}: age of the consent, or of the last look into the reassigned numbers database
-- caller_series  {"marketing": ["+91140"], …}: what the caller id must begin with
-- preferences    {"max_age_days": 7}: a snapshot of the person's registered preferences must be on file
-- holds          {"abandon_h": 72, "refusal_d": 60, "conversation_d": 7}: pauses after what happened to the number
-- abandon        {"share": 0.025, "min_answers": 100, "days": 30}, per campaign; short_calls the same
-- areas          {"required": true}: the part of the country must be known
ALTER TABLE public.compliance_rules
    DROP CONSTRAINT compliance_rules_jurisdiction_check,
    DROP CONSTRAINT compliance_rules_rule_check,
    ADD CONSTRAINT compliance_rules_jurisdiction_check CHECK (jurisdiction ~ '^([A-Z]{2}(-[A-Z0-9]{1,3})?|\*|ALL)$'),
    ADD CONSTRAINT compliance_rules_rule_check CHECK (rule IN ('hours', 'consent', 'frequency', 'prefixes', 'notice', 'lists',
        'reassigned', 'caller_series', 'preferences', 'holds', 'abandon', 'short_calls', 'areas'));

-- The rules that apply to one dial, merged: of two that speak of the same thing the stricter one.
CREATE TYPE app.law AS (
    places text[],              -- jurisdictions that were asked
    missing text,               -- a country without rules, which the organization did not enable
    version int8,               -- of the rows that were found
    hours jsonb,                -- windows: each an array of spans, one of which must be open
    consent int4,               -- 0 not asked, 1 express, 2 written
    per_seller boolean,
    cap_24h int4, cap_7d int4, cap_30d int4,
    prefixes text,              -- parted by spaces
    areas text[],               -- countries whose part must be known
    notice text[],              -- countries that must be enabled for this purpose
    lists jsonb,
    reassigned_days int4,
    series jsonb,               -- each an array of prefixes, one of which the caller id must have
    preference_days int4,
    abandon_hold interval, refusal_hold interval, conversation_hold interval,
    abandon_share float8, abandon_min int4, abandon_days int4,
    short_share float8, short_min int4, short_days int4);
-- One check of the gate: state is pass, fail or unjudged (something before it is not known).
CREATE TYPE app.gate_step AS (ordinal int4, check_name text, state text, reason text, next_change_at timestamptz, evidence jsonb);
-- What of a number's consents counts for a dial.
CREATE TYPE app.held AS (id uuid, granted_at timestamptz, written boolean);
REVOKE ALL ON TYPE app.law, app.gate_step, app.held FROM PUBLIC;
GRANT USAGE ON TYPE app.law, app.gate_step, app.held TO app_owner, app_engine;

-- A tenant's own rules stand beside the law's and all of them must hold, so they can only make it stricter.
CREATE TABLE public.organization_rules (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    id uuid NOT NULL DEFAULT app.uuid7(),
    jurisdiction text NOT NULL CHECK (jurisdiction ~ '^([A-Z]{2}(-[A-Z0-9]{1,3})?|ALL)$'),
    rule text NOT NULL CHECK (rule IN ('hours', 'consent', 'frequency', 'prefixes', 'lists', 'reassigned', 'caller_series',
        'preferences', 'holds', 'abandon', 'short_calls')),
    value jsonb NOT NULL,
    valid_from date NOT NULL DEFAULT '-infinity',
    valid_to date NOT NULL DEFAULT 'infinity',
    note text CHECK (length(note) <= 500),
    set_by text NOT NULL CHECK (length(set_by) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id),
    UNIQUE (organization_id, jurisdiction, rule, valid_from),
    CHECK (valid_from < valid_to)
);

-- Which part of a country a number belongs to, by its area code; and where the clocks of a stated address stand.
CREATE TABLE public.area_jurisdictions (
    prefix text PRIMARY KEY CHECK (prefix ~ '^\+[1-9][0-9]{3}$'),
    jurisdiction text NOT NULL CHECK (jurisdiction ~ '^[A-Z]{2}-[A-Z0-9]{1,3}$'),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE public.jurisdiction_zones (
    jurisdiction text PRIMARY KEY CHECK (jurisdiction ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),
    zones text[] NOT NULL CHECK (cardinality(zones) > 0),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The stated address and the recorded residence, as a country or a part of one; the strictest of all applies.
ALTER TABLE public.leads
    DROP CONSTRAINT leads_residence_region_check,
    ADD CONSTRAINT leads_residence_region_check CHECK (residence_region ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$'),
    ADD COLUMN address_region text CHECK (address_region ~ '^[A-Z]{2}(-[A-Z0-9]{1,3})?$');
-- What a purchase or an inquiry allows is a consent with evidence as well.
ALTER TABLE public.consents
    DROP CONSTRAINT consents_scope_check,
    ADD CONSTRAINT consents_scope_check CHECK (scope IN ('ai_voice', 'human_voice', 'sms', 'email', 'purchase', 'inquiry'));
ALTER TABLE public.organizations
    -- Decides from when India's number series bind it.
    ADD COLUMN sector text NOT NULL DEFAULT 'other' CHECK (sector IN ('bank', 'other'));
ALTER TABLE public.campaigns
    -- India's preference category, 1 to 8.
    ADD COLUMN category int2 CHECK (category BETWEEN 1 AND 8),
    -- What one call may cost at most, in minor units of the budget; NULL: longest call times the account's rate.
    ADD COLUMN reserve_minor int8 CHECK (reserve_minor > 0);
ALTER TABLE public.carrier_accounts
    -- Carrier and model together, in millionths of the currency; a guess on the high side until the operator says better.
    ADD COLUMN minute_micros int8 NOT NULL DEFAULT 60000 CHECK (minute_micros >= 0);
ALTER TABLE public.call_logs
    -- Held back from the campaign's budget while the call lives; released by its end, which books the real cost. Written by
    -- the trigger of the gate alone. No CHECK: each is parsed again by every INSERT.
    ADD COLUMN reserved_micros int8 NOT NULL DEFAULT 0;

-- Imported lists. A version is loaded beside the one in force and then takes its place in one commit.
ALTER TABLE public.dnc_lists
    ADD COLUMN code text NOT NULL DEFAULT 'list' CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    -- prohibited: emergency lines and the like; no consent opens them.
    ADD COLUMN kind text NOT NULL DEFAULT 'do_not_call' CHECK (kind IN ('do_not_call', 'prohibited')),
    ADD COLUMN status text NOT NULL DEFAULT 'loading' CHECK (status IN ('loading', 'active', 'superseded', 'failed')),
    -- Campaigns it is for; NULL: all.
    ADD COLUMN purposes text[] CHECK (purposes <@ '{marketing,informational,debt,political,charity}'),
    ADD COLUMN source text NOT NULL DEFAULT 'import' CHECK (length(source) BETWEEN 1 AND 200),
    ADD COLUMN imported_by text,
    ADD COLUMN rows_read int8 NOT NULL DEFAULT 0,
    ADD COLUMN rows_rejected int8 NOT NULL DEFAULT 0,
    ADD COLUMN active_from timestamptz,
    ADD COLUMN active_until timestamptz,
    ADD COLUMN error text,
    ADD CHECK (status <> 'active' OR (active_from IS NOT NULL AND active_until IS NULL));
CREATE UNIQUE INDEX dnc_lists_active ON public.dnc_lists (organization_id, code) WHERE status = 'active';
CREATE TABLE public.dnc_list_numbers (
    organization_id uuid NOT NULL,
    phone_e164 text NOT NULL CHECK (phone_e164 ~ '^\+[1-9][0-9]{5,14}$'),
    list_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, phone_e164, list_id),
    FOREIGN KEY (organization_id, list_id) REFERENCES public.dnc_lists (organization_id, id)
);
CREATE INDEX dnc_list_numbers_list ON public.dnc_list_numbers (organization_id, list_id);

-- Answers of the reassigned numbers database, each asked with the date of a consent.
CREATE TABLE public.number_checks (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    phone_e164 text NOT NULL CHECK (phone_e164 ~ '^\+[1-9][0-9]{5,14}$'),
    checked_at timestamptz NOT NULL,
    result text NOT NULL CHECK (result IN ('no', 'yes', 'no_data')),
    source text NOT NULL DEFAULT 'import' CHECK (length(source) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, phone_e164, checked_at)
);
-- Snapshots of what a person registered with the regulator (India): 0 in blocked_categories means everything.
CREATE TABLE public.number_preferences (
    organization_id uuid NOT NULL REFERENCES public.organizations (id),
    phone_e164 text NOT NULL CHECK (phone_e164 ~ '^\+[1-9][0-9]{5,14}$'),
    checked_at timestamptz NOT NULL,
    blocked_categories int2[] NOT NULL DEFAULT '{}' CHECK (blocked_categories <@ '{0,1,2,3,4,5,6,7,8}'),
    blocked_modes text[] NOT NULL DEFAULT '{}' CHECK (blocked_modes <@ '{voice,auto_dialer,robo}'),
    -- Spans in which the person may be called, as in a rule of hours; NULL: no band was chosen.
    spans jsonb CHECK (jsonb_typeof(spans) = 'array'),
    source text NOT NULL DEFAULT 'import' CHECK (length(source) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, phone_e164, checked_at)
);

-- Live answers, abandoned and short calls by campaign and day (UTC) of the answer: appended as deltas, folded by one.
CREATE TABLE public.campaign_days (
    organization_id uuid NOT NULL,
    campaign_id uuid NOT NULL,
    day date NOT NULL,
    live_answers int4 NOT NULL DEFAULT 0,
    abandoned int4 NOT NULL DEFAULT 0,
    answers int4 NOT NULL DEFAULT 0,
    short_calls int4 NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, campaign_id, day),
    FOREIGN KEY (organization_id, campaign_id) REFERENCES public.campaigns (organization_id, id)
);
ALTER TABLE public.campaign_deltas
    ADD COLUMN day date,
    ADD COLUMN live_answers int4 NOT NULL DEFAULT 0,
    ADD COLUMN abandoned int4 NOT NULL DEFAULT 0,
    ADD COLUMN answers int4 NOT NULL DEFAULT 0,
    ADD COLUMN short_calls int4 NOT NULL DEFAULT 0;

-- What a number's holds look at.
CREATE INDEX call_logs_held ON public.call_logs (organization_id, callee_number, ended_at DESC)
    WHERE direction = 'outbound' AND answered_at IS NOT NULL;

ALTER TABLE public.skip_reasons ADD COLUMN remedy text NOT NULL DEFAULT '';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['organization_rules', 'dnc_list_numbers', 'number_checks', 'number_preferences', 'campaign_days'] LOOP
        PERFORM app.protect(format('public.%I', name)::regclass);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['area_jurisdictions', 'jurisdiction_zones'] LOOP
        PERFORM app.protect_platform(format('public.%I', name)::regclass, true);
    END LOOP;
END
$$;
REVOKE INSERT, UPDATE, DELETE ON TABLE public.area_jurisdictions, public.jurisdiction_zones FROM app_engine;

ALTER TABLE public.skip_reasons NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.area_jurisdictions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE public.jurisdiction_zones NO FORCE ROW LEVEL SECURITY;

INSERT INTO public.skip_reasons (reason, scope, curable, words) VALUES
    ('dnc_list', 'row', true, 'this number is on an imported do-not-call list'),
    ('number_reassigned', 'row', true, 'nobody knows that the number still belongs to the person who consented'),
    ('caller_series', 'row', true, 'this country asks for another series of caller ids'),
    ('preference', 'row', true, 'the person registered against such calls'),
    ('abandon_hold', 'row', false, 'a call to this number was abandoned not long ago'),
    ('refusal_hold', 'row', false, 'this person refused not long ago'),
    ('conversation_hold', 'row', false, 'this person was spoken with not long ago');
UPDATE public.skip_reasons s SET remedy = r.remedy
  FROM (VALUES
    ('outside_window', 'wait for the opening, or widen the campaign''s hours within the law'),
    ('attempt_limit', 'wait until an earlier dial leaves the span; more attempts need a higher max_attempts'),
    ('spacing', 'wait'),
    ('dnc_internal', 'only the person can take it back: `dialwright dnc lift`, with a reason, audited'),
    ('dnc_campaign', 'only the person can take it back: `dialwright dnc lift`, with a reason, audited'),
    ('consent_missing', 'record a consent with evidence: `dialwright consent add`'),
    ('no_line', 'wait for a line, or activate a caller id of this campaign'),
    ('cps', 'wait'),
    ('budget', 'raise the campaign''s budget'),
    ('campaign_paused', 'start or resume the campaign'),
    ('dial_paused', 'lift the pause'),
    ('dates', 'wait for the first date, or move the last one'),
    ('holiday', 'wait for the next working day'),
    ('timezone_unknown', 'give the lead a timezone, or the campaign one for such leads'),
    ('region_unknown', 'give the number a country, or its area code a state (area_jurisdictions)'),
    ('rule_missing', 'enable the country for this organization, or have counsel add its rules'),
    ('dnc_list_stale', 'import the current list: `dialwright dnc import`'),
    ('prohibited_prefix', 'nothing: such numbers are never dialed'),
    ('abandon_guard', 'find out why answered calls had nobody there; the figure falls as days pass'),
    ('short_call_guard', 'find out why calls end at once; the figure falls as days pass'),
    ('duplicate', 'wait until the other attempt has ended'),
    ('invalid_number', 'correct the number'),
    ('lead_archived', 'restore the lead'),
    ('cancelled', 'nothing: completed is final'),
    ('expired', 'nothing: completed is final'),
    ('dnc_list', 'written consent or a newer list without the number'),
    ('number_reassigned', 'ask the reassigned numbers database (`dialwright dnc import --kind reassigned`), or renew the consent'),
    ('caller_series', 'dial from a number of the series that the country asks for'),
    ('preference', 'a newer snapshot of the person''s preferences (`dialwright dnc import --kind preferences`)'),
    ('abandon_hold', 'wait'),
    ('refusal_hold', 'wait'),
    ('conversation_hold', 'wait')) AS r (reason, remedy)
 WHERE s.reason = r.reason;

INSERT INTO public.area_jurisdictions (prefix, jurisdiction)
SELECT '+1' || code, a.jurisdiction
  FROM (VALUES
    ('CA-AB', '368 403 587 780 825'),
    ('CA-BC', '236 250 257 604 672 778'),
    ('CA-MB', '204 431 584'),
    ('CA-NB', '428 506'),
    ('CA-NL', '709 879'),
    ('CA-NS', '537 782 902'),
    ('CA-ON', '226 249 289 343 365 382 387 416 437 519 548 613 647 683 705 742 753 807 942'),
    ('CA-QC', '263 273 354 367 418 438 450 468 514 579 581 819 873'),
    ('CA-SK', '306 474 639'),
    ('CA-YT', '867'),
    ('US-AK', '907'),
    ('US-AL', '205 251 256 334 659 938'),
    ('US-AR', '327 479 501 870'),
    ('US-AZ', '480 520 602 623 928'),
    ('US-CA', '209 213 279 323 341 350 357 369 408 415 424 442 510 530 559 562 619 626 628 650'),
    ('US-CA', '657 661 669 707 714 738 747 760 805 818 820 831 837 840 858 909 916 925 949 951'),
    ('US-CO', '303 719 720 970 983'),
    ('US-CT', '203 475 860 959'),
    ('US-DC', '202 771'),
    ('US-DE', '302'),
    ('US-FL', '239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863'),
    ('US-FL', '904 941 954'),
    ('US-GA', '229 404 470 478 678 706 762 770 912 943'),
    ('US-HI', '808'),
    ('US-IA', '319 515 563 641 712'),
    ('US-ID', '208 986'),
    ('US-IL', '217 224 309 312 331 447 464 618 630 708 730 773 779 815 847 861 872'),
    ('US-IN', '219 260 317 463 574 765 812 930'),
    ('US-KS', '316 620 785 913'),
    ('US-KY', '270 364 502 606 859'),
    ('US-LA', '225 318 337 457 504 985'),
    ('US-MA', '339 351 413 508 617 774 781 857 978'),
    ('US-MD', '227 240 301 410 443 667'),
    ('US-ME', '207'),
    ('US-MI', '231 248 269 313 517 586 616 679 734 810 906 947 989'),
    ('US-MN', '218 320 507 612 651 763 952'),
    ('US-MO', '235 314 417 557 573 636 660 816 975'),
    ('US-MS', '228 471 601 662 769'),
    ('US-MT', '406'),
    ('US-NC', '252 336 472 704 743 828 910 919 980 984'),
    ('US-ND', '701'),
    ('US-NE', '308 402 531'),
    ('US-NH', '603'),
    ('US-NJ', '201 551 609 640 732 848 856 862 908 973'),
    ('US-NM', '505 575'),
    ('US-NV', '702 725 775'),
    ('US-NY', '212 315 329 332 347 363 516 518 585 607 624 631 646 680 716 838 845 914 917 929'),
    ('US-NY', '934'),
    ('US-OH', '216 220 234 283 326 330 380 419 436 440 513 567 614 740 937'),
    ('US-OK', '405 539 572 580 918'),
    ('US-OR', '458 503 541 971'),
    ('US-PA', '215 223 267 272 412 445 484 570 582 610 717 724 814 835 878'),
    ('US-RI', '401'),
    ('US-SC', '803 821 839 843 854 864'),
    ('US-SD', '605'),
    ('US-TN', '423 615 629 729 731 865 901 931'),
    ('US-TX', '210 214 254 281 325 346 361 409 430 432 469 512 682 726 737 806 817 830 832 903'),
    ('US-TX', '915 936 940 945 956 972 979'),
    ('US-UT', '385 435 801'),
    ('US-VA', '276 434 540 571 686 703 757 804 826 948'),
    ('US-VT', '802'),
    ('US-WA', '206 253 360 425 509 564'),
    ('US-WI', '262 274 353 414 534 608 715 920'),
    ('US-WV', '304 681'),
    ('US-WY', '307')) AS a (jurisdiction, codes),
       regexp_split_to_table(a.codes, ' ') AS code;

-- Countries from the tz database's zone.tab; parts of the United States and Canada beside them.
INSERT INTO public.jurisdiction_zones (jurisdiction, zones) VALUES
    ('AD', '{Europe/Andorra}'),
    ('AE', '{Asia/Dubai}'),
    ('AF', '{Asia/Kabul}'),
    ('AG', '{America/Antigua}'),
    ('AI', '{America/Anguilla}'),
    ('AL', '{Europe/Tirane}'),
    ('AM', '{Asia/Yerevan}'),
    ('AO', '{Africa/Luanda}'),
    ('AQ', '{Antarctica/McMurdo,Antarctica/Casey,Antarctica/Davis,Antarctica/DumontDUrville,Antarctica/Mawson,Antarctica/Palmer,Antarctica/Rothera,Antarctica/Syowa,Antarctica/Troll,Antarctica/Vostok}'),
    ('AR', '{America/Argentina/Buenos_Aires,America/Argentina/Cordoba,America/Argentina/Salta,America/Argentina/Jujuy,America/Argentina/Tucuman,America/Argentina/Catamarca,America/Argentina/La_Rioja,America/Argentina/San_Juan,America/Argentina/Mendoza,America/Argentina/San_Luis,America/Argentina/Rio_Gallegos,America/Argentina/Ushuaia}'),
    ('AS', '{Pacific/Pago_Pago}'),
    ('AT', '{Europe/Vienna}'),
    ('AU', '{Australia/Lord_Howe,Antarctica/Macquarie,Australia/Hobart,Australia/Melbourne,Australia/Sydney,Australia/Broken_Hill,Australia/Brisbane,Australia/Lindeman,Australia/Adelaide,Australia/Darwin,Australia/Perth,Australia/Eucla}'),
    ('AW', '{America/Aruba}'),
    ('AX', '{Europe/Mariehamn}'),
    ('AZ', '{Asia/Baku}'),
    ('BA', '{Europe/Sarajevo}'),
    ('BB', '{America/Barbados}'),
    ('BD', '{Asia/Dhaka}'),
    ('BE', '{Europe/Brussels}'),
    ('BF', '{Africa/Ouagadougou}'),
    ('BG', '{Europe/Sofia}'),
    ('BH', '{Asia/Bahrain}'),
    ('BI', '{Africa/Bujumbura}'),
    ('BJ', '{Africa/Porto-Novo}'),
    ('BL', '{America/St_Barthelemy}'),
    ('BM', '{Atlantic/Bermuda}'),
    ('BN', '{Asia/Brunei}'),
    ('BO', '{America/La_Paz}'),
    ('BQ', '{America/Kralendijk}'),
    ('BR', '{America/Noronha,America/Belem,America/Fortaleza,America/Recife,America/Araguaina,America/Maceio,America/Bahia,America/Sao_Paulo,America/Campo_Grande,America/Cuiaba,America/Santarem,America/Porto_Velho,America/Boa_Vista,America/Manaus,America/Eirunepe,America/Rio_Branco}'),
    ('BS', '{America/Nassau}'),
    ('BT', '{Asia/Thimphu}'),
    ('BW', '{Africa/Gaborone}'),
    ('BY', '{Europe/Minsk}'),
    ('BZ', '{America/Belize}'),
    ('CA', '{America/St_Johns,America/Halifax,America/Glace_Bay,America/Moncton,America/Goose_Bay,America/Blanc-Sablon,America/Toronto,America/Iqaluit,America/Atikokan,America/Winnipeg,America/Resolute,America/Rankin_Inlet,America/Regina,America/Swift_Current,America/Edmonton,America/Cambridge_Bay,America/Inuvik,America/Creston,America/Dawson_Creek,America/Fort_Nelson,America/Whitehorse,America/Dawson,America/Vancouver}'),
    ('CC', '{Indian/Cocos}'),
    ('CD', '{Africa/Kinshasa,Africa/Lubumbashi}'),
    ('CF', '{Africa/Bangui}'),
    ('CG', '{Africa/Brazzaville}'),
    ('CH', '{Europe/Zurich}'),
    ('CI', '{Africa/Abidjan}'),
    ('CK', '{Pacific/Rarotonga}'),
    ('CL', '{America/Santiago,America/Coyhaique,America/Punta_Arenas,Pacific/Easter}'),
    ('CM', '{Africa/Douala}'),
    ('CN', '{Asia/Shanghai,Asia/Urumqi}'),
    ('CO', '{America/Bogota}'),
    ('CR', '{America/Costa_Rica}'),
    ('CU', '{America/Havana}'),
    ('CV', '{Atlantic/Cape_Verde}'),
    ('CW', '{America/Curacao}'),
    ('CX', '{Indian/Christmas}'),
    ('CY', '{Asia/Nicosia,Asia/Famagusta}'),
    ('CZ', '{Europe/Prague}'),
    ('DE', '{Europe/Berlin,Europe/Busingen}'),
    ('DJ', '{Africa/Djibouti}'),
    ('DK', '{Europe/Copenhagen}'),
    ('DM', '{America/Dominica}'),
    ('DO', '{America/Santo_Domingo}'),
    ('DZ', '{Africa/Algiers}'),
    ('EC', '{America/Guayaquil,Pacific/Galapagos}'),
    ('EE', '{Europe/Tallinn}'),
    ('EG', '{Africa/Cairo}'),
    ('EH', '{Africa/El_Aaiun}'),
    ('ER', '{Africa/Asmara}'),
    ('ES', '{Europe/Madrid,Africa/Ceuta,Atlantic/Canary}'),
    ('ET', '{Africa/Addis_Ababa}'),
    ('FI', '{Europe/Helsinki}'),
    ('FJ', '{Pacific/Fiji}'),
    ('FK', '{Atlantic/Stanley}'),
    ('FM', '{Pacific/Chuuk,Pacific/Pohnpei,Pacific/Kosrae}'),
    ('FO', '{Atlantic/Faroe}'),
    ('FR', '{Europe/Paris}'),
    ('GA', '{Africa/Libreville}'),
    ('GB', '{Europe/London}'),
    ('GD', '{America/Grenada}'),
    ('GE', '{Asia/Tbilisi}'),
    ('GF', '{America/Cayenne}'),
    ('GG', '{Europe/Guernsey}'),
    ('GH', '{Africa/Accra}'),
    ('GI', '{Europe/Gibraltar}'),
    ('GL', '{America/Nuuk,America/Danmarkshavn,America/Scoresbysund,America/Thule}'),
    ('GM', '{Africa/Banjul}'),
    ('GN', '{Africa/Conakry}'),
    ('GP', '{America/Guadeloupe}'),
    ('GQ', '{Africa/Malabo}'),
    ('GR', '{Europe/Athens}'),
    ('GS', '{Atlantic/South_Georgia}'),
    ('GT', '{America/Guatemala}'),
    ('GU', '{Pacific/Guam}'),
    ('GW', '{Africa/Bissau}'),
    ('GY', '{America/Guyana}'),
    ('HK', '{Asia/Hong_Kong}'),
    ('HN', '{America/Tegucigalpa}'),
    ('HR', '{Europe/Zagreb}'),
    ('HT', '{America/Port-au-Prince}'),
    ('HU', '{Europe/Budapest}'),
    ('ID', '{Asia/Jakarta,Asia/Pontianak,Asia/Makassar,Asia/Jayapura}'),
    ('IE', '{Europe/Dublin}'),
    ('IL', '{Asia/Jerusalem}'),
    ('IM', '{Europe/Isle_of_Man}'),
    ('IN', '{Asia/Kolkata}'),
    ('IO', '{Indian/Chagos}'),
    ('IQ', '{Asia/Baghdad}'),
    ('IR', '{Asia/Tehran}'),
    ('IS', '{Atlantic/Reykjavik}'),
    ('IT', '{Europe/Rome}'),
    ('JE', '{Europe/Jersey}'),
    ('JM', '{America/Jamaica}'),
    ('JO', '{Asia/Amman}'),
    ('JP', '{Asia/Tokyo}'),
    ('KE', '{Africa/Nairobi}'),
    ('KG', '{Asia/Bishkek}'),
    ('KH', '{Asia/Phnom_Penh}'),
    ('KI', '{Pacific/Tarawa,Pacific/Kanton,Pacific/Kiritimati}'),
    ('KM', '{Indian/Comoro}'),
    ('KN', '{America/St_Kitts}'),
    ('KP', '{Asia/Pyongyang}'),
    ('KR', '{Asia/Seoul}'),
    ('KW', '{Asia/Kuwait}'),
    ('KY', '{America/Cayman}'),
    ('KZ', '{Asia/Almaty,Asia/Qyzylorda,Asia/Qostanay,Asia/Aqtobe,Asia/Aqtau,Asia/Atyrau,Asia/Oral}'),
    ('LA', '{Asia/Vientiane}'),
    ('LB', '{Asia/Beirut}'),
    ('LC', '{America/St_Lucia}'),
    ('LI', '{Europe/Vaduz}'),
    ('LK', '{Asia/Colombo}'),
    ('LR', '{Africa/Monrovia}'),
    ('LS', '{Africa/Maseru}'),
    ('LT', '{Europe/Vilnius}'),
    ('LU', '{Europe/Luxembourg}'),
    ('LV', '{Europe/Riga}'),
    ('LY', '{Africa/Tripoli}'),
    ('MA', '{Africa/Casablanca}'),
    ('MC', '{Europe/Monaco}'),
    ('MD', '{Europe/Chisinau}'),
    ('ME', '{Europe/Podgorica}'),
    ('MF', '{America/Marigot}'),
    ('MG', '{Indian/Antananarivo}'),
    ('MH', '{Pacific/Majuro,Pacific/Kwajalein}'),
    ('MK', '{Europe/Skopje}'),
    ('ML', '{Africa/Bamako}'),
    ('MM', '{Asia/Yangon}'),
    ('MN', '{Asia/Ulaanbaatar,Asia/Hovd}'),
    ('MO', '{Asia/Macau}'),
    ('MP', '{Pacific/Saipan}'),
    ('MQ', '{America/Martinique}'),
    ('MR', '{Africa/Nouakchott}'),
    ('MS', '{America/Montserrat}'),
    ('MT', '{Europe/Malta}'),
    ('MU', '{Indian/Mauritius}'),
    ('MV', '{Indian/Maldives}'),
    ('MW', '{Africa/Blantyre}'),
    ('MX', '{America/Mexico_City,America/Cancun,America/Merida,America/Monterrey,America/Matamoros,America/Chihuahua,America/Ciudad_Juarez,America/Ojinaga,America/Mazatlan,America/Bahia_Banderas,America/Hermosillo,America/Tijuana}'),
    ('MY', '{Asia/Kuala_Lumpur,Asia/Kuching}'),
    ('MZ', '{Africa/Maputo}'),
    ('NA', '{Africa/Windhoek}'),
    ('NC', '{Pacific/Noumea}'),
    ('NE', '{Africa/Niamey}'),
    ('NF', '{Pacific/Norfolk}'),
    ('NG', '{Africa/Lagos}'),
    ('NI', '{America/Managua}'),
    ('NL', '{Europe/Amsterdam}'),
    ('NO', '{Europe/Oslo}'),
    ('NP', '{Asia/Kathmandu}'),
    ('NR', '{Pacific/Nauru}'),
    ('NU', '{Pacific/Niue}'),
    ('NZ', '{Pacific/Auckland,Pacific/Chatham}'),
    ('OM', '{Asia/Muscat}'),
    ('PA', '{America/Panama}'),
    ('PE', '{America/Lima}'),
    ('PF', '{Pacific/Tahiti,Pacific/Marquesas,Pacific/Gambier}'),
    ('PG', '{Pacific/Port_Moresby,Pacific/Bougainville}'),
    ('PH', '{Asia/Manila}'),
    ('PK', '{Asia/Karachi}'),
    ('PL', '{Europe/Warsaw}'),
    ('PM', '{America/Miquelon}'),
    ('PN', '{Pacific/Pitcairn}'),
    ('PR', '{America/Puerto_Rico}'),
    ('PS', '{Asia/Gaza,Asia/Hebron}'),
    ('PT', '{Europe/Lisbon,Atlantic/Madeira,Atlantic/Azores}'),
    ('PW', '{Pacific/Palau}'),
    ('PY', '{America/Asuncion}'),
    ('QA', '{Asia/Qatar}'),
    ('RE', '{Indian/Reunion}'),
    ('RO', '{Europe/Bucharest}'),
    ('RS', '{Europe/Belgrade}'),
    ('RU', '{Europe/Kaliningrad,Europe/Moscow,Europe/Kirov,Europe/Volgograd,Europe/Astrakhan,Europe/Saratov,Europe/Ulyanovsk,Europe/Samara,Asia/Yekaterinburg,Asia/Omsk,Asia/Novosibirsk,Asia/Barnaul,Asia/Tomsk,Asia/Novokuznetsk,Asia/Krasnoyarsk,Asia/Irkutsk,Asia/Chita,Asia/Yakutsk,Asia/Khandyga,Asia/Vladivostok,Asia/Ust-Nera,Asia/Magadan,Asia/Sakhalin,Asia/Srednekolymsk,Asia/Kamchatka,Asia/Anadyr}'),
    ('RW', '{Africa/Kigali}'),
    ('SA', '{Asia/Riyadh}'),
    ('SB', '{Pacific/Guadalcanal}'),
    ('SC', '{Indian/Mahe}'),
    ('SD', '{Africa/Khartoum}'),
    ('SE', '{Europe/Stockholm}'),
    ('SG', '{Asia/Singapore}'),
    ('SH', '{Atlantic/St_Helena}'),
    ('SI', '{Europe/Ljubljana}'),
    ('SJ', '{Arctic/Longyearbyen}'),
    ('SK', '{Europe/Bratislava}'),
    ('SL', '{Africa/Freetown}'),
    ('SM', '{Europe/San_Marino}'),
    ('SN', '{Africa/Dakar}'),
    ('SO', '{Africa/Mogadishu}'),
    ('SR', '{America/Paramaribo}'),
    ('SS', '{Africa/Juba}'),
    ('ST', '{Africa/Sao_Tome}'),
    ('SV', '{America/El_Salvador}'),
    ('SX', '{America/Lower_Princes}'),
    ('SY', '{Asia/Damascus}'),
    ('SZ', '{Africa/Mbabane}'),
    ('TC', '{America/Grand_Turk}'),
    ('TD', '{Africa/Ndjamena}'),
    ('TF', '{Indian/Kerguelen}'),
    ('TG', '{Africa/Lome}'),
    ('TH', '{Asia/Bangkok}'),
    ('TJ', '{Asia/Dushanbe}'),
    ('TK', '{Pacific/Fakaofo}'),
    ('TL', '{Asia/Dili}'),
    ('TM', '{Asia/Ashgabat}'),
    ('TN', '{Africa/Tunis}'),
    ('TO', '{Pacific/Tongatapu}'),
    ('TR', '{Europe/Istanbul}'),
    ('TT', '{America/Port_of_Spain}'),
    ('TV', '{Pacific/Funafuti}'),
    ('TW', '{Asia/Taipei}'),
    ('TZ', '{Africa/Dar_es_Salaam}'),
    ('UA', '{Europe/Simferopol,Europe/Kyiv}'),
    ('UG', '{Africa/Kampala}'),
    ('UM', '{Pacific/Midway,Pacific/Wake}'),
    ('US', '{America/New_York,America/Detroit,America/Kentucky/Louisville,America/Kentucky/Monticello,America/Indiana/Indianapolis,America/Indiana/Vincennes,America/Indiana/Winamac,America/Indiana/Marengo,America/Indiana/Petersburg,America/Indiana/Vevay,America/Chicago,America/Indiana/Tell_City,America/Indiana/Knox,America/Menominee,America/North_Dakota/Center,America/North_Dakota/New_Salem,America/North_Dakota/Beulah,America/Denver,America/Boise,America/Phoenix,America/Los_Angeles,America/Anchorage,America/Juneau,America/Sitka,America/Metlakatla,America/Yakutat,America/Nome,America/Adak,Pacific/Honolulu}'),
    ('UY', '{America/Montevideo}'),
    ('UZ', '{Asia/Samarkand,Asia/Tashkent}'),
    ('VA', '{Europe/Vatican}'),
    ('VC', '{America/St_Vincent}'),
    ('VE', '{America/Caracas}'),
    ('VG', '{America/Tortola}'),
    ('VI', '{America/St_Thomas}'),
    ('VN', '{Asia/Ho_Chi_Minh}'),
    ('VU', '{Pacific/Efate}'),
    ('WF', '{Pacific/Wallis}'),
    ('WS', '{Pacific/Apia}'),
    ('YE', '{Asia/Aden}'),
    ('YT', '{Indian/Mayotte}'),
    ('ZA', '{Africa/Johannesburg}'),
    ('ZM', '{Africa/Lusaka}'),
    ('ZW', '{Africa/Harare}'),
    ('US-AK', '{America/Anchorage,America/Adak}'),
    ('US-AL', '{America/Chicago}'),
    ('US-AR', '{America/Chicago}'),
    ('US-AZ', '{America/Phoenix,America/Denver}'),
    ('US-CA', '{America/Los_Angeles}'),
    ('US-CO', '{America/Denver}'),
    ('US-CT', '{America/New_York}'),
    ('US-DC', '{America/New_York}'),
    ('US-DE', '{America/New_York}'),
    ('US-FL', '{America/New_York,America/Chicago}'),
    ('US-GA', '{America/New_York}'),
    ('US-HI', '{Pacific/Honolulu}'),
    ('US-IA', '{America/Chicago}'),
    ('US-ID', '{America/Boise,America/Los_Angeles}'),
    ('US-IL', '{America/Chicago}'),
    ('US-IN', '{America/Indiana/Indianapolis,America/Indiana/Knox}'),
    ('US-KS', '{America/Chicago,America/Denver}'),
    ('US-KY', '{America/New_York,America/Chicago}'),
    ('US-LA', '{America/Chicago}'),
    ('US-MA', '{America/New_York}'),
    ('US-MD', '{America/New_York}'),
    ('US-ME', '{America/New_York}'),
    ('US-MI', '{America/Detroit,America/Menominee}'),
    ('US-MN', '{America/Chicago}'),
    ('US-MO', '{America/Chicago}'),
    ('US-MS', '{America/Chicago}'),
    ('US-MT', '{America/Denver}'),
    ('US-NC', '{America/New_York}'),
    ('US-ND', '{America/Chicago,America/Denver}'),
    ('US-NE', '{America/Chicago,America/Denver}'),
    ('US-NH', '{America/New_York}'),
    ('US-NJ', '{America/New_York}'),
    ('US-NM', '{America/Denver}'),
    ('US-NV', '{America/Los_Angeles,America/Denver}'),
    ('US-NY', '{America/New_York}'),
    ('US-OH', '{America/New_York}'),
    ('US-OK', '{America/Chicago}'),
    ('US-OR', '{America/Los_Angeles,America/Boise}'),
    ('US-PA', '{America/New_York}'),
    ('US-RI', '{America/New_York}'),
    ('US-SC', '{America/New_York}'),
    ('US-SD', '{America/Chicago,America/Denver}'),
    ('US-TN', '{America/New_York,America/Chicago}'),
    ('US-TX', '{America/Chicago,America/Denver}'),
    ('US-UT', '{America/Denver}'),
    ('US-VA', '{America/New_York}'),
    ('US-VT', '{America/New_York}'),
    ('US-WA', '{America/Los_Angeles}'),
    ('US-WI', '{America/Chicago}'),
    ('US-WV', '{America/New_York}'),
    ('US-WY', '{America/Denver}'),
    ('CA-AB', '{America/Edmonton}'),
    ('CA-BC', '{America/Vancouver,America/Edmonton,America/Dawson_Creek}'),
    ('CA-MB', '{America/Winnipeg}'),
    ('CA-NB', '{America/Moncton}'),
    ('CA-NL', '{America/St_Johns,America/Goose_Bay}'),
    ('CA-NS', '{America/Halifax}'),
    ('CA-NT', '{America/Yellowknife}'),
    ('CA-NU', '{America/Iqaluit,America/Rankin_Inlet,America/Cambridge_Bay}'),
    ('CA-ON', '{America/Toronto,America/Winnipeg}'),
    ('CA-PE', '{America/Halifax}'),
    ('CA-QC', '{America/Toronto,America/Halifax}'),
    ('CA-SK', '{America/Regina,America/Edmonton}'),
    ('CA-YT', '{America/Whitehorse}');

ALTER TABLE public.skip_reasons FORCE ROW LEVEL SECURITY;
ALTER TABLE public.area_jurisdictions FORCE ROW LEVEL SECURITY;
ALTER TABLE public.jurisdiction_zones FORCE ROW LEVEL SECURITY;
RESET ROLE;
