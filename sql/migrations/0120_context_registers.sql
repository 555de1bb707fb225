-- Three registers of a session, in which app.active_org() keeps the tenant that it has verified for this transaction: the
-- two halves of the id, and a mark of the context and the transaction they belong to. What a sequence gave last
-- (currval) is known to its session alone, and only app_engine may set these, so nothing that runs as another role
-- can forge them; a setting could be forged. UNLOGGED: a register is never written to the log, and asks for no
-- transaction id in a transaction that only reads.
SET LOCAL ROLE app_engine;
CREATE UNLOGGED SEQUENCE app.context_mark MINVALUE -9223372036854775808 START 1;
CREATE UNLOGGED SEQUENCE app.context_high MINVALUE -9223372036854775808 START 1;
CREATE UNLOGGED SEQUENCE app.context_low MINVALUE -9223372036854775808 START 1;
RESET ROLE;
REVOKE ALL ON SEQUENCE app.context_mark, app.context_high, app.context_low FROM PUBLIC, anon, authenticated, service_role;
