-- The organization with this slug; without a slug the only one there is (organizations says how many).
-- in   slug text
-- out  id uuid, slug text, name text, organizations int4
-- rows 0..1
SELECT f.id, f.slug, f.name, f.organizations FROM engine.organization_find($1::text) f;
