/* settings.h -- one table of settings: name, type, unit, range, default, one line of help.
 *
 * Parser, `dialwright serve --help`, docs/configuration.md and packaging/dialwright.env.sample are
 * generated from settings_table[] (settings.c). Values come from the environment; an empty value
 * counts as unset.
 *
 * Owner   struct settings owns its strings; settings_fini() wipes secrets.
 * Thread  read-only after settings_load(), then any.
 * Errors  settings_load: -EINVAL; every problem found is one line in `problems`, saying what to set. */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/buf.h"

struct settings {
    /* database */
    char *database_url;
    char *migrate_url;
    /* daemon */
    char *listen;     /* host:port */
    char *public_url; /* https://host[/base], no trailing slash */
    char *secret;     /* DIALWRIGHT_SECRET */
    char *kek;        /* DIALWRIGHT_KEK */
    char *data_dir;
    char *log_level;
    int64_t media_loops; /* threads */
    int64_t io_uring;    /* 0: media sockets are polled */
    int64_t calls_max;   /* per node */
    char *node_name;
    /* carrier */
    char *plivo_api_url;
    char *plivo_auth_id;
    char *plivo_auth_token;
    char *carrier_hosts_allowed; /* comma list host:port of loopback carrier hosts (demo) */
    /* model */
    char *openai_api_key;
    char *openai_api_url;
    char *openai_realtime_url;
    char *openai_auth_header; /* "Authorization" (Bearer is added) or "api-key" */
    char *realtime_model;
    char *transcribe_model;
    char *analysis_model;
    /* dial protocol, milliseconds unless said */
    int64_t claim_interval_ms;
    int64_t claim_batch;
    int64_t claim_deadline_ms; /* T_claim */
    int64_t place_timeout_ms;  /* T_post */
    int64_t ring_timeout_s;
    int64_t lease_ms;
    int64_t carrier_queue_ms;    /* longest time a call may wait in the carrier's queue */
    int64_t cdr_lag_ms;          /* longest delay until an ended call is in the CDR list */
    int64_t absence_scan_gap_ms; /* between two complete scans that show nothing */
    int64_t reconcile_interval_ms;
    int64_t journal_keep_h; /* 0: no dial journal */
    int64_t failover_loss_s;
    int64_t failover_wait_ms;
    int64_t orphan_sweep_s;
    int64_t analysis_workers;
    int64_t analysis_delay_ms; /* wait for transcript stragglers */
};

int settings_load(struct settings *s, char **environ_list, struct buf *problems) MUST_USE;
void settings_fini(struct settings *s);
/* What `serve` needs beyond what parses: -EINVAL with one line per missing or weak setting. */
int settings_check_serve(const struct settings *s, struct buf *problems) MUST_USE;
int settings_help(struct buf *out);     /* for --help */
int settings_markdown(struct buf *out); /* docs/configuration.md */
int settings_sample(struct buf *out);   /* packaging/dialwright.env.sample */

#endif
