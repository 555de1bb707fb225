-- Imported lists and answers of registries: do-not-call lists by version, reassigned numbers, preferences, the internal
-- list; and the switches that stop dialing.
-- A version is loaded beside the one in force; its last row read, it takes the other's place in one commit.
SET LOCAL ROLE app_owner;

-- Deltas of the guards' figures: a call that ended, or whose end was learned better.
CREATE OR REPLACE FUNCTION app.call_quality() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    was record;
    is_now record;
BEGIN
    IF NEW.answered_at IS NULL OR NEW.campaign_id IS NULL OR NEW.direction <> 'outbound' THEN
        RETURN NULL;
    END IF;
    was := app.call_marks(OLD);
    is_now := app.call_marks(NEW);
    IF was IS DISTINCT FROM is_now THEN
        INSERT INTO public.campaign_deltas (organization_id, campaign_id, day, live_answers, abandoned, answers, short_calls)
        VALUES (NEW.organization_id, NEW.campaign_id, (NEW.answered_at AT TIME ZONE 'UTC')::date, is_now.live::int - was.live::int,
                is_now.abandoned::int - was.abandoned::int, is_now.answered::int - was.answered::int, is_now.short::int - was.short::int);
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER count_quality AFTER UPDATE ON public.call_logs
    FOR EACH ROW WHEN (NEW.status = 'ended') EXECUTE FUNCTION app.call_quality();

CREATE OR REPLACE TRIGGER cures_address AFTER UPDATE OF address_region ON public.leads
    FOR EACH ROW WHEN (OLD.address_region IS DISTINCT FROM NEW.address_region) EXECUTE FUNCTION app.lead_cures();

-- Rows that were given up for the campaign's own hours, dates, zone, category or caller ids are asked again when these change.
CREATE OR REPLACE FUNCTION app.campaign_cures() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    campaign uuid := CASE TG_TABLE_NAME WHEN 'campaigns' THEN to_jsonb(NEW) ->> 'id' ELSE to_jsonb(NEW) ->> 'campaign_id' END;
    reasons text[] := CASE TG_TABLE_NAME WHEN 'campaigns' THEN '{outside_window,dates,holiday,timezone_unknown,preference}'::text[]
                                         ELSE '{caller_series}' END;
BEGIN
    UPDATE public.call_queue q
       SET status = 'queued', next_retry_at = now(), last_error = NULL
      FROM public.campaigns c
     WHERE q.organization_id = NEW.organization_id AND q.campaign_id = campaign AND q.status = 'failed' AND q.last_error = ANY (reasons)
       AND c.organization_id = q.organization_id AND c.id = q.campaign_id AND c.status <> 'completed' AND c.closing_reason IS NULL;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER cures AFTER UPDATE OF timezone, start_date, end_date, time_start, time_end, weekdays, category ON public.campaigns
    FOR EACH ROW WHEN ((OLD.timezone, OLD.start_date, OLD.end_date, OLD.time_start, OLD.time_end, OLD.weekdays, OLD.category)
                       IS DISTINCT FROM (NEW.timezone, NEW.start_date, NEW.end_date, NEW.time_start, NEW.time_end, NEW.weekdays, NEW.category))
    EXECUTE FUNCTION app.campaign_cures();
CREATE OR REPLACE TRIGGER cures AFTER INSERT ON public.campaign_numbers FOR EACH ROW EXECUTE FUNCTION app.campaign_cures();

-- doc: kind (do_not_call | prohibited | internal | reassigned | preferences), list, name, region, version, as_of, source,
-- purposes [..]. Only the first two make a list; the others write where the gate looks.
CREATE OR REPLACE FUNCTION app.list_begin(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    made uuid;
    current public.dnc_lists;
BEGIN
    IF (doc ->> 'as_of')::date > (at AT TIME ZONE 'UTC')::date + 1 THEN
        RETURN jsonb_build_object('refused', 'the list''s date lies in the future');
    END IF;
    SELECT d.* INTO current FROM public.dnc_lists d
     WHERE d.organization_id = org AND d.code = doc ->> 'list' AND d.status = 'active';
    IF doc ->> 'kind' IN ('do_not_call', 'prohibited') AND current.as_of > (doc ->> 'as_of')::date THEN
        RETURN jsonb_build_object('refused', format('list %s is in force with a newer date, %s', doc ->> 'list', current.as_of));
    END IF;
    INSERT INTO public.dnc_lists (organization_id, name, code, kind, region, version, as_of, purposes, source, imported_by)
    VALUES (org, coalesce(doc ->> 'name', doc ->> 'list'), doc ->> 'list',
            CASE WHEN doc ->> 'kind' IN ('do_not_call', 'prohibited') THEN doc ->> 'kind' ELSE 'do_not_call' END,
            doc ->> 'region', doc ->> 'version', (doc ->> 'as_of')::date,
            CASE WHEN doc ? 'purposes' THEN ARRAY(SELECT jsonb_array_elements_text(doc -> 'purposes')) END,
            coalesce(doc ->> 'source', 'import'), left(actor, 200)) RETURNING id INTO made;
    PERFORM app.audit_put(actor, 'list.begin', 'list', made, doc, at);
    RETURN jsonb_build_object('id', made);
END
$$;

-- Numbers of a batch: an entry of the list, a refusal of our own, or a registry's answer about a number. words: what the
-- row says beside the number ("no", "yes", "no_data"; or blocked categories and modes, "1 3;robo").
CREATE OR REPLACE FUNCTION app.list_batch(p_list uuid, p_kind text, phones text[], words text[], p_rejected int8, actor text, at timestamptz)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    list public.dnc_lists;
    added int8;
BEGIN
    SELECT d.* INTO list FROM public.dnc_lists d WHERE d.organization_id = org AND d.id = p_list AND d.status = 'loading' FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'list % is not being loaded', p_list USING ERRCODE = 'P0002';
    END IF;
    IF p_kind IN ('do_not_call', 'prohibited') THEN
        INSERT INTO public.dnc_list_numbers (organization_id, phone_e164, list_id)
        SELECT org, x.phone, p_list FROM unnest(phones) AS x (phone) ON CONFLICT DO NOTHING;
    ELSIF p_kind = 'internal' THEN
        INSERT INTO public.do_not_call (organization_id, phone_e164, reason, source, list_id, added_by, added_at)
        SELECT org, x.phone, 'list', 'import', p_list, left(actor, 200), at
          FROM (SELECT DISTINCT p AS phone FROM unnest(phones) AS p) AS x
         WHERE NOT EXISTS (SELECT FROM public.do_not_call d WHERE d.organization_id = org AND d.phone_e164 = x.phone
                              AND d.campaign_id IS NULL AND d.lifted_at IS NULL)
        ON CONFLICT DO NOTHING;
    ELSIF p_kind = 'reassigned' THEN
        INSERT INTO public.number_checks (organization_id, phone_e164, checked_at, result, source)
        SELECT DISTINCT ON (x.phone) org, x.phone, list.as_of::timestamp AT TIME ZONE 'UTC', x.word, list.source
          FROM unnest(phones, words) AS x (phone, word) ORDER BY x.phone, x.word DESC
        ON CONFLICT DO NOTHING;
    ELSIF p_kind = 'preferences' THEN
        INSERT INTO public.number_preferences (organization_id, phone_e164, checked_at, blocked_categories, blocked_modes, source)
        SELECT DISTINCT ON (x.phone) org, x.phone, list.as_of::timestamp AT TIME ZONE 'UTC',
               coalesce(string_to_array(nullif(btrim(split_part(x.word, ';', 1)), ''), ' '), '{}')::int2[],
               coalesce(string_to_array(nullif(btrim(split_part(x.word, ';', 2)), ''), ' '), '{}'), list.source
          FROM unnest(phones, words) AS x (phone, word) ORDER BY x.phone
        ON CONFLICT DO NOTHING;
    ELSE
        RAISE EXCEPTION 'no kind of list: %', p_kind USING ERRCODE = '22023';
    END IF;
    GET DIAGNOSTICS added = ROW_COUNT;
    UPDATE public.dnc_lists d
       SET entries = d.entries + added, rows_read = d.rows_read + cardinality(phones) + p_rejected,
           rows_rejected = d.rows_rejected + p_rejected
     WHERE d.organization_id = org AND d.id = p_list;
    RETURN jsonb_build_object('added', added);
END
$$;

-- Rows that a list had ended and the newer one lets through, and those it ends: the queue follows.
CREATE OR REPLACE FUNCTION app.list_follow(p_list public.dnc_lists, p_kind text, at timestamptz, OUT stopped int8, OUT requeued int8)
LANGUAGE plpgsql SET search_path = ''
AS $$
DECLARE
    row_counts int8;
BEGIN
    stopped := 0;
    IF p_kind = 'internal' THEN
        UPDATE public.call_queue q
           SET status = 'failed', last_error = 'dnc_internal', finished_at = at, callback_at = NULL
          FROM public.do_not_call d
          JOIN public.leads l ON l.organization_id = d.organization_id AND l.phone_e164 = d.phone_e164
         WHERE d.organization_id = p_list.organization_id AND d.list_id = p_list.id AND d.lifted_at IS NULL
           AND q.organization_id = l.organization_id AND q.lead_id = l.id AND q.status = 'queued';
        GET DIAGNOSTICS row_counts = ROW_COUNT;
        stopped := row_counts;
    END IF;
    requeued := app.requeue_cured(p_list.organization_id, NULL, NULL, CASE p_kind WHEN 'reassigned' THEN '{number_reassigned}'::text[]
        WHEN 'preferences' THEN '{preference,dnc_list_stale}' WHEN 'internal' THEN '{}' ELSE '{dnc_list,dnc_list_stale}' END, at);
END
$$;

-- The end of the file: a list comes into force and its predecessor goes, or, after a failure, nothing changes.
CREATE OR REPLACE FUNCTION app.list_end(p_list uuid, p_kind text, failure text, rows_seen int8, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    list public.dnc_lists;
    follow record;
BEGIN
    SELECT d.* INTO list FROM public.dnc_lists d WHERE d.organization_id = org AND d.id = p_list AND d.status = 'loading' FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'list % is not being loaded', p_list USING ERRCODE = 'P0002';
    END IF;
    IF failure IS NULL AND list.rows_read <> rows_seen THEN
        failure := format('%s rows were read, %s were stored or rejected', rows_seen, list.rows_read);
    END IF;
    IF failure IS NOT NULL THEN
        UPDATE public.dnc_lists d SET status = 'failed', error = failure WHERE d.organization_id = org AND d.id = p_list;
        PERFORM app.audit_put(actor, 'list.failed', 'list', p_list, jsonb_build_object('error', failure), at);
        RETURN jsonb_build_object('list', list.code, 'status', 'failed', 'rows', list.rows_read, 'entries', list.entries, 'rejected', list.rows_rejected);
    END IF;
    IF p_kind IN ('do_not_call', 'prohibited') THEN
        UPDATE public.dnc_lists d SET status = 'superseded', active_until = at
         WHERE d.organization_id = org AND d.code = list.code AND d.status = 'active';
    END IF;
    UPDATE public.dnc_lists d
       SET status = CASE WHEN p_kind IN ('do_not_call', 'prohibited') THEN 'active' ELSE 'superseded' END,
           active_from = CASE WHEN p_kind IN ('do_not_call', 'prohibited') THEN at END
     WHERE d.organization_id = org AND d.id = p_list RETURNING d.* INTO list;
    follow := app.list_follow(list, p_kind, at);
    PERFORM app.audit_put(actor, 'list.active', 'list', p_list, jsonb_build_object('list', list.code, 'kind', p_kind, 'as_of', list.as_of,
        'entries', list.entries, 'rejected', list.rows_rejected, 'source', list.source), at);
    RETURN jsonb_build_object('list', list.code, 'id', p_list, 'status', 'active', 'as_of', list.as_of, 'rows', list.rows_read,
        'entries', list.entries, 'rejected', list.rows_rejected, 'queue_rows_stopped', follow.stopped, 'requeued', follow.requeued);
END
$$;

-- Stops dialing for the tenant, a campaign or a number, or lets it go on (doc: scope, campaign, phone, reason, resume). In
-- force with the commit: the claim, the trigger, the last look before the POST and the answer all read these rows.
CREATE OR REPLACE FUNCTION app.pause_put(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    target uuid := CASE WHEN doc ->> 'scope' = 'campaign' THEN app.campaign_find(doc ->> 'campaign') END;
    phone text := CASE WHEN doc ->> 'scope' = 'number' THEN doc ->> 'phone' END;
    changed int4;
BEGIN
    IF (doc ->> 'resume')::boolean THEN
        UPDATE public.dial_pauses p SET resumed_at = greatest(at, p.paused_at), resumed_by = left(actor, 200)
         WHERE p.organization_id = org AND p.scope = doc ->> 'scope' AND p.resumed_at IS NULL
           AND p.campaign_id IS NOT DISTINCT FROM target AND p.phone_e164 IS NOT DISTINCT FROM phone;
    ELSE
        INSERT INTO public.dial_pauses (organization_id, scope, campaign_id, phone_e164, reason, paused_by, paused_at)
        SELECT org, doc ->> 'scope', target, phone, doc ->> 'reason', left(actor, 200), at
         WHERE NOT EXISTS (SELECT FROM public.dial_pauses p
                            WHERE p.organization_id = org AND p.scope = doc ->> 'scope' AND p.resumed_at IS NULL
                              AND p.campaign_id IS NOT DISTINCT FROM target AND p.phone_e164 IS NOT DISTINCT FROM phone);
    END IF;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN app.change_row('pause', coalesce(doc ->> 'campaign', phone, doc ->> 'scope'), NULL,
               CASE WHEN changed = 0 THEN 'unchanged' WHEN (doc ->> 'resume')::boolean THEN 'resumed' ELSE 'paused' END, actor,
               doc, at);
END
$$;

-- A tenant's own rule: added beside the law's, which it can only make stricter, or closed from a day on.
CREATE OR REPLACE FUNCTION app.rule_put(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    org uuid := app.org_required();
    today date := (at AT TIME ZONE 'UTC')::date;
    since date := coalesce((doc ->> 'from')::date, today);
    lacks text := CASE WHEN NOT coalesce((doc ->> 'close')::boolean, false) THEN app.rule_lacks(doc ->> 'rule', doc -> 'value') END;
    changed int4;
BEGIN
    IF lacks IS NOT NULL THEN
        RETURN jsonb_build_object('refused', format('rule %s: %s', doc ->> 'rule', lacks));
    END IF;
    -- What is in force that day makes room; what begins and ends on one day was never in force.
    UPDATE public.organization_rules r SET valid_to = greatest(since, r.valid_from + 1)
     WHERE r.organization_id = org AND r.jurisdiction = doc ->> 'jurisdiction' AND r.rule = doc ->> 'rule'
       AND r.valid_to > greatest(since, r.valid_from + 1);
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF NOT coalesce((doc ->> 'close')::boolean, false) THEN
        INSERT INTO public.organization_rules (organization_id, jurisdiction, rule, value, valid_from, note, set_by)
        VALUES (org, doc ->> 'jurisdiction', doc ->> 'rule', doc -> 'value', since, doc ->> 'note', left(actor, 200));
        changed := 1;
    END IF;
    RETURN app.change_row('rule', concat_ws(' ', doc ->> 'jurisdiction', doc ->> 'rule'), NULL,
               CASE WHEN changed = 0 THEN 'unchanged' WHEN (doc ->> 'close')::boolean THEN 'closed' ELSE 'created' END, actor, doc, at);
EXCEPTION WHEN unique_violation THEN
    RETURN jsonb_build_object('refused', format('rule %s of %s has a row from %s already', doc ->> 'rule', doc ->> 'jurisdiction', since));
END
$$;

-- All rules in force that day, the law's and the tenant's own.
CREATE OR REPLACE FUNCTION app.rule_listing(of_jurisdiction text, at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT jsonb_build_object('rules', coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.jurisdiction, r.rule, r.own), '[]'))
      FROM (SELECT x.jurisdiction, x.rule, x.value, x.valid_from, x.valid_to, x.source_url AS source, x.reviewed_by, false AS own
              FROM public.compliance_rules x
            UNION ALL
            SELECT x.jurisdiction, x.rule, x.value, x.valid_from, x.valid_to, x.note, x.set_by, true
              FROM public.organization_rules x WHERE x.organization_id = app.org_required()) AS r
     WHERE r.valid_from <= (at AT TIME ZONE 'UTC')::date AND (at AT TIME ZONE 'UTC')::date < r.valid_to
       AND (of_jurisdiction IS NULL OR r.jurisdiction = of_jurisdiction)
$$;

-- The lists in force with their age, those that a rule asks for and nobody has, and the age each may have.
CREATE OR REPLACE FUNCTION app.list_listing(at timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    WITH asked AS (
        SELECT e ->> 'list' AS code, min((e ->> 'max_age_days')::int4) AS max_age_days, string_agg(DISTINCT r.jurisdiction, ' ') AS asked_by
          FROM (SELECT x.jurisdiction, x.value FROM public.compliance_rules x
                 WHERE x.rule = 'lists' AND x.valid_from <= (at AT TIME ZONE 'UTC')::date AND (at AT TIME ZONE 'UTC')::date < x.valid_to
                UNION ALL
                SELECT x.jurisdiction, x.value FROM public.organization_rules x
                 WHERE x.organization_id = app.org_required() AND x.rule = 'lists'
                   AND x.valid_from <= (at AT TIME ZONE 'UTC')::date AND (at AT TIME ZONE 'UTC')::date < x.valid_to) AS r,
               jsonb_array_elements(r.value -> 'lists') AS e
         GROUP BY 1
    ), held AS (
        SELECT d.code, d.name, d.kind, d.region, d.version, d.as_of, d.entries, d.source, d.active_from,
               (at AT TIME ZONE 'UTC')::date - d.as_of AS age_days
          FROM public.dnc_lists d WHERE d.organization_id = app.org_required() AND d.status = 'active'
    )
    SELECT jsonb_build_object('lists', coalesce(jsonb_agg(jsonb_build_object('list', coalesce(h.code, a.code), 'name', h.name, 'kind', h.kind,
               'region', h.region, 'version', h.version, 'as_of', h.as_of, 'entries', h.entries, 'source', h.source, 'age_days', h.age_days,
               'max_age_days', a.max_age_days, 'asked_by', a.asked_by,
               'state', CASE WHEN h.code IS NULL THEN 'missing' WHEN h.age_days > a.max_age_days THEN 'stale' ELSE 'in force' END)
               ORDER BY coalesce(h.code, a.code)), '[]'),
           'internal', (SELECT count(*) FROM public.do_not_call x WHERE x.organization_id = app.org_required() AND x.lifted_at IS NULL),
           'reassigned', (SELECT jsonb_build_object('numbers', count(*), 'newest', max(x.checked_at)) FROM public.number_checks x
                           WHERE x.organization_id = app.org_required()),
           'preferences', (SELECT jsonb_build_object('numbers', count(*), 'newest', max(x.checked_at)) FROM public.number_preferences x
                            WHERE x.organization_id = app.org_required()))
      FROM held h FULL JOIN asked a ON a.code = h.code
$$;

RESET ROLE;
SET LOCAL ROLE app_engine;

-- The same for the whole platform.
CREATE OR REPLACE FUNCTION engine.pause_platform(doc jsonb, actor text, at timestamptz) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    changed int4;
BEGIN
    IF (doc ->> 'resume')::boolean THEN
        UPDATE public.platform_pauses p SET resumed_at = greatest(at, p.paused_at), resumed_by = left(actor, 200)
         WHERE p.resumed_at IS NULL;
    ELSE
        INSERT INTO public.platform_pauses (reason, paused_by, paused_at)
        SELECT doc ->> 'reason', left(actor, 200), at
         WHERE NOT EXISTS (SELECT FROM public.platform_pauses p WHERE p.resumed_at IS NULL);
    END IF;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN jsonb_build_object('what', 'pause', 'key', 'platform', 'change',
        CASE WHEN changed = 0 THEN 'unchanged' WHEN (doc ->> 'resume')::boolean THEN 'resumed' ELSE 'paused' END);
END
$$;

RESET ROLE;
SELECT app.functions_for('app',
    '{call_quality, campaign_cures, list_begin, list_batch, list_follow, list_end, list_listing, pause_put, rule_put,
      rule_listing}');
GRANT EXECUTE ON FUNCTION app.list_begin(jsonb, text, timestamptz), app.list_batch(uuid, text, text[], text[], int8, text, timestamptz),
    app.list_end(uuid, text, text, int8, text, timestamptz), app.list_listing(timestamptz) TO app_worker;
GRANT EXECUTE ON FUNCTION app.pause_put(jsonb, text, timestamptz), app.rule_put(jsonb, text, timestamptz), app.rule_listing(text, timestamptz) TO app_worker;
REVOKE ALL ON FUNCTION engine.pause_platform(jsonb, text, timestamptz) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION engine.pause_platform(jsonb, text, timestamptz) TO app_worker;
