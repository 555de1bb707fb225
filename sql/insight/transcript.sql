-- The words of a call, in order.
-- in   call_id uuid
-- out  turn_id uuid, speaker text, body text, cut bool
-- rows 0..n
SELECT t.turn_id, t.speaker, t.body, t.cut
  FROM app.analysis_turns($1::uuid) t;
