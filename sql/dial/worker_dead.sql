-- Proof that an incarnation can no longer POST ('lock', 'sign_off', 'operator'); how many attempts it frees.
-- in   worker_id uuid, proof text, at timestamptz
-- out  signed_off int4
-- rows 1
SELECT engine.worker_dead($1::uuid, $2::text, $3::timestamptz) AS signed_off;
