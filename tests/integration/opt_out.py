#!/usr/bin/env python3
"""Somebody asks never to be called again: no campaign of that organization dials the number from that commit on."""
import report
import world

LEADS = 3
FATES = {"opts_out": 1}

with report.Report("opt-out") as t, world.World("opt_out", people=FATES) as w:
    daemon = w.daemon().ready()
    w.setup([w.campaign("first"), w.campaign("second"), w.campaign("third")])
    for name in ("first", "second"):
        w.import_leads(LEADS, campaign=name)
    # The second waits with a promised callback for one of them: that is worth nothing either.
    w.value("UPDATE call_queue q SET callback_at = now() + interval '1 hour' FROM campaigns c WHERE c.id = q.campaign_id AND"
            " c.name = 'second' AND q.lead_id = (SELECT id FROM leads ORDER BY phone_e164 LIMIT 1)")
    t.same(w.number("SELECT count(*) FROM call_queue WHERE status = 'queued'"), 2 * LEADS, "everybody waits in two campaigns")
    w.start("first")
    world.until(lambda: w.number("SELECT count(*) FROM call_logs WHERE opted_out_at IS NOT NULL") == LEADS, 60, w.progress)
    t.same(w.number("SELECT count(*) FROM do_not_call WHERE source IN ('model', 'phrase') AND reason = 'opt_out' AND lifted_at IS NULL"), LEADS, "each is on the list, with the source")
    t.none(w.rows("SELECT phone_e164, words FROM do_not_call WHERE words NOT ILIKE '%never call me again%'"), "with their own words")
    t.none(w.rows("SELECT q.id, q.status, q.last_error, q.callback_at FROM call_queue q JOIN campaigns c ON c.id = q.campaign_id WHERE c.name = 'second'"
                  " AND (q.status, q.last_error) IS DISTINCT FROM ('failed', 'dnc_internal')"), "the other campaign's rows are dead")
    # A row carries the transaction that wrote it: the refusal and the death of what waited are one commit.
    t.none(w.rows("SELECT q.id FROM call_queue q JOIN campaigns c ON c.id = q.campaign_id AND c.name = 'second' JOIN leads l ON l.id = q.lead_id"
                  " JOIN do_not_call d ON d.phone_e164 = l.phone_e164 WHERE q.xmin::text <> d.xmin::text"), "they died in the commit of the refusal")
    t.none(w.rows("SELECT id FROM consents WHERE revoked_at IS NULL"), "the consents are revoked")
    w.start("second")
    answer = w.import_leads(LEADS, campaign="third")
    t.same((answer["added"], answer["rejected"]), (0, LEADS), "a later import rejects the numbers")
    t.none(w.rows("SELECT reason FROM import_rejects WHERE reason <> 'dnc'"), "and says why")
    # The same number for another organization is another matter: its own list, its own consent.
    world.until(lambda: w.number("SELECT count(*) FROM call_logs WHERE status <> 'ended'") == 0, 30, w.progress)
    w.setup([w.campaign("theirs", transfer="off")], organization="others", agents=False)
    w.import_leads(1, campaign="theirs", organization="others")
    w.start("theirs", organization="others")
    w.wait_settled(60)
    world.until(lambda: w.number("SELECT count(*) FROM campaigns WHERE name = 'second' AND status = 'completed'") == 1, 10, w.progress)
    dials = [e["to"] for e in w.truth() if e["event"] == "accepted"]
    t.same(len(dials), LEADS + 1, "nobody was dialed again, but the one by the other organization")
    t.same(w.number("SELECT count(*) FROM call_logs l JOIN campaigns c ON c.id = l.campaign_id WHERE c.name IN ('second', 'third')"), 0, "no attempt was even made")
    t.same(w.number("SELECT count(*) FROM call_logs l JOIN campaigns c ON c.id = l.campaign_id WHERE c.name = 'theirs'"), 1, "the other organization is not bound by it")
    t.same(daemon.metric("opt_outs_total"), LEADS + 1, "counted")
    w.check_dials(t)
    w.check_ground_truth(t, but=["no dial to who asked not to be called"])  # it knows of one organization
    w.check_processes(t)
    w.stop_daemons(t)
