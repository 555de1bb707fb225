-- The newest migration applied; NULL when the schema came by other means. Answers at all: the database is up.
-- in   none
-- out  level int4
-- rows 1
SELECT engine.schema_level() AS level;
