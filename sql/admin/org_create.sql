-- The organization with this slug, made when there is none.
-- in   slug text, name text
-- out  id uuid, created bool
-- rows 1
SELECT f.id, f.created FROM engine.organization_create($1::text, $2::text) f;
