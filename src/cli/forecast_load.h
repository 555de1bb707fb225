/* forecast_load.h -- what the database says of a campaign, as a plan that can be run forward.
 *
 * Owner   the caller, from forecast_load() to forecast_unload(); the plan points into the job.
 * Thread  main; asks page by page, holding nothing in the database between two pages.
 * Memory  about 50 bytes a lead here, and 90 in the simulator.
 * Errors  as cmd_ask(): what went wrong has been said. */
#ifndef CLI_FORECAST_LOAD_H
#define CLI_FORECAST_LOAD_H

#include "cli/cmd.h"
#include "dial/forecast_rates.h"

struct forecast_job {
    json_t *doc;        /* the campaign and the sliders, as asked */
    json_t *brief;      /* app.forecast_brief */
    json_t *blocked;    /* {reason: leads} that are not called by themselves, of all leads */
    int64_t leads_open; /* queued or being called */
    int64_t leads_seen; /* of which the gate was asked */
    int64_t sample_most;
    int64_t days; /* how far the openings are known */
    struct forecast_plan plan;
    struct forecast_history history;
    struct forecast_rates defaults;
    const char *carrier_rate; /* where it comes from */
    bool model_rate_known;
    struct forecast_account *accounts;
    struct forecast_line *numbers;
    struct forecast_place *places;
    struct forecast_lead *leads;
    size_t lead_room;
    int64_t *dials;
    size_t dial_count;
    size_t dial_room;
};

/* Takes doc. The openings are asked for the coming `days`. */
enum exit_code forecast_load(struct cmd *cmd, struct forecast_job *job);
/* The same campaign with more days. */
enum exit_code forecast_load_days(struct cmd *cmd, struct forecast_job *job, int64_t days);
void forecast_unload(struct forecast_job *job);

/* A bar on a terminal's stderr. */
void forecast_progress(const char *what, int64_t done, int64_t all);

#endif
