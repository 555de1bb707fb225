-- Consents arrive by the thousand when a list is read in: what they cure is looked up once per statement, and not
-- at all where nothing waits for a consent.
SET LOCAL ROLE app_owner;

CREATE OR REPLACE FUNCTION app.consent_cures() RETURNS trigger
LANGUAGE plpgsql SET search_path = ''
AS $$
BEGIN
    IF EXISTS (SELECT FROM public.call_queue q
                WHERE q.organization_id = (SELECT n.organization_id FROM came n LIMIT 1)
                  AND q.status = 'failed' AND q.last_error = 'consent_missing') THEN
        PERFORM app.requeue_cured(n.organization_id, n.phone_e164, NULL, '{consent_missing}', n.granted_at) FROM came n;
    END IF;
    RETURN NULL;
END
$$;
DROP TRIGGER cures ON public.consents;
CREATE TRIGGER cures AFTER INSERT ON public.consents REFERENCING NEW TABLE AS came
    FOR EACH STATEMENT EXECUTE FUNCTION app.consent_cures();

RESET ROLE;
