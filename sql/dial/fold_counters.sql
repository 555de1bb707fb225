-- Folds the deltas of the campaign counters in.
-- in   at timestamptz
-- out  campaigns int4
-- rows 1
SELECT engine.fold_counters($1::timestamptz) AS campaigns;
