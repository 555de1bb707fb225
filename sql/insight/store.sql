-- The result of an analysis: insight, score, summary, tasks, bill, job, all or nothing.
-- in   job_id uuid, worker uuid, insight jsonb, analysis jsonb, tasks jsonb, usage jsonb, model text, at timestamptz
-- out  stored bool, tasks_made int4
-- rows 1
SELECT s.stored, s.tasks_made
  FROM app.insight_store($1::uuid, $2::uuid, $3::jsonb, $4::jsonb, $5::jsonb, $6::jsonb, $7::text, $8::timestamptz) s;
