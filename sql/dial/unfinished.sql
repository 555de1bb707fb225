-- How many of these attempts the database does not know as over.
-- in   calls text
-- out  unfinished int4
-- rows 1
SELECT engine.dial_unfinished($1::text::uuid[]) AS unfinished;
