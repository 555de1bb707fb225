/* metrics_table.h -- the rows of metrics.c's table: name without "dialwright_", kind, label, its values, help.
 *
 * Included by metrics.c alone. Each room keeps its own rows; histograms end in _seconds (observed in
 * milliseconds), counters in _total. tools/check_metrics.py fails on a name that is used but not here.
 *
 * Owner   the table.
 * Thread  any. */

// clang-format off

/* net */
{"http_requests_total", COUNTER, "status", "2xx 3xx 4xx 5xx", "HTTP requests answered."},
{"webhooks_total", COUNTER, "result", "applied duplicate anomaly forged expired too_large broken unavailable fallback", "Carrier webhooks by what came of them."},
{"webhook_refusals_total", COUNTER, "reason", "path expired body signature form", "Carrier webhooks refused, by what was wrong."},
{"webhook_seconds", HISTOGRAM, NULL, NULL, "From a webhook's arrival to its commit."},

/* store */
{"db_up", GAUGE, NULL, NULL, "1 while the database answers."},
{"db_connects_total", COUNTER, NULL, NULL, "Connections to the database made, the first ones included."},
{"db_units_total", COUNTER, "result", "ok refused unsure busy not_sent broken", "Transactions by result."},
{"db_unit_seconds", HISTOGRAM, NULL, NULL, "Time of one transaction, waiting included."},
{"db_waiting", GAUGE, NULL, NULL, "Transactions waiting for a place in the pipeline."},

/* dial */
{"claims_total", COUNTER, NULL, NULL, "Attempts claimed."},
{"claim_seconds", HISTOGRAM, NULL, NULL, "Time of one claim."},
{"places_total", COUNTER, "result", "placed not_placed unknown signed_off", "Calls asked of the carrier."},
{"place_seconds", HISTOGRAM, NULL, NULL, "Time of one request to place a call."},
{"unknown_attempts", GAUGE, NULL, NULL, "Attempts whose outcome is not known."},
{"carrier_list_faults_total", COUNTER, "reason", "unavailable page foreign repeated moved endless date", "Searches in the carrier's lists that proved nothing: not readable, or not to be believed."},
{"reconciled_total", COUNTER, "by", "hook live queued cdr absent operator", "Unknown attempts resolved."},
{"dialer_claiming", GAUGE, NULL, NULL, "1 while the dialer would claim at its next tick."},
{"dialer_placing", GAUGE, NULL, NULL, "Attempts between claim and result."},
{"unknown_oldest_s", GAUGE, NULL, NULL, "Age of the oldest attempt whose outcome is not known."},
{"journal_lines_total", COUNTER, NULL, NULL, "Dials written to the journal."},
{"journal_seconds", HISTOGRAM, NULL, NULL, "From a dial's line to its being on disk, waiting included."},
{"journal_writable", GAUGE, NULL, NULL, "0 while the journal cannot be written, and so nothing is dialed."},
{"history_open", GAUGE, NULL, NULL, "0 while this history of the database is not dialed on: after a failover or a restore."},
{"history_changes_total", COUNTER, NULL, NULL, "Failovers and restores seen."},
{"journal_replayed_total", COUNTER, "result", "known rebuilt unplaceable", "Dials of the journal that were put back into the database."},
{"orphan_calls_total", COUNTER, NULL, NULL, "Calls in the carrier's list that belong to no attempt; must stay 0."},
{"orphan_sweeps_total", COUNTER, "result", "done failed", "Comparisons of an account's whole list with ours."},
{"adoptions_total", COUNTER, "result", "rebuilt no_job conflict", "Webhooks of dials that had lost their row."},
{"anomalies_total", COUNTER, NULL, NULL, "Webhooks for calls that were settled as not placed; must stay 0."},

/* call and media */
{"calls_live", GAUGE, NULL, NULL, "Calls in progress on this node."},
{"media_sockets", GAUGE, NULL, NULL, "Carrier media sockets open."},
{"media_tokens_total", COUNTER, "result", "taken refused", "Media tokens presented."},
{"media_unsigned_total", COUNTER, NULL, NULL, "Media sockets whose upgrade carried no signature: the token alone decided."},
{"media_frames_total", COUNTER, "direction", "in out", "Audio frames carried."},
{"media_bad_frames_total", COUNTER, NULL, NULL, "Frames of the carrier's socket that made no sense."},
{"media_audio_dropped_total", COUNTER, NULL, NULL, "Audio frames dropped, the oldest first."},
{"media_barge_ins_total", COUNTER, NULL, NULL, "Times a person interrupted."},
{"opt_outs_total", COUNTER, "source", "model phrase dtmf", "People who asked not to be called again."},
{"opt_outs_waiting", GAUGE, NULL, NULL, "Opt-outs that the database does not have yet: on disk, or in memory when the disk refuses."},
{"opt_out_spool_total", COUNTER, "result", "kept failed replayed refused torn", "Opt-outs on disk: written, not written, played after a kill, refused then, lines that are no records."},
{"call_failures_total", COUNTER, NULL, NULL, "Talks that ended because the model failed."},
{"call_messages_dropped_total", COUNTER, NULL, NULL, "Turns and usage reports dropped because a queue was full."},
{"call_opening_mismatch_total", COUNTER, NULL, NULL, "Openings that the model did not speak as written."},
{"call_phase_refused_total", COUNTER, NULL, NULL, "Moves of a talk that do not exist; must stay 0."},
{"call_writes_failed_total", COUNTER, NULL, NULL, "Facts of a talk that the database refused."},
{"call_writes_retried_total", COUNTER, NULL, NULL, "Facts of a talk written again after a failure."},
{"recordings_failed_total", COUNTER, NULL, NULL, "Recordings that could not be written."},
{"tool_calls_total", COUNTER, "tool", "transfer_to_human schedule_callback mark_do_not_call end_call note_interest look_up", "Tools the model used."},

/* handoff */
{"handoff_requests_total", COUNTER, "result", "granted refused", "Handoffs asked for."},
{"handoff_results_total", COUNTER, "result", "bridged not_taken", "Handoffs by how they ended."},
{"recording_fetches_total", COUNTER, "result", "ready missed", "Recordings fetched from the carrier."},

/* insight */
{"analysis_jobs_total", COUNTER, "result", "done retried failed", "Analyses of calls."},
{"analysis_seconds", HISTOGRAM, NULL, NULL, "Time of one analysis."},
