/* store_insight.h -- the statements of src/insight; shape, threads and errors as store.h says. */
#ifndef STORE_STORE_INSIGHT_H
#define STORE_STORE_INSIGHT_H

#include "base/json.h"
#include "base/uuid.h"
#include "store/store.h"

struct store_analysis_job {
    struct uuid job_id;
    struct uuid organization_id;
    struct uuid call_id;
    int32_t tries; /* this one included */
};
typedef void store_analysis_jobs_fn(const struct fault *fault,
                                    const struct store_analysis_job *jobs, size_t count, void *arg);
int store_analysis_take(struct pg_tx **op, struct pg_pool *db, const struct uuid *worker_id,
                        int32_t want, int32_t lease_s, int64_t delay_ms, int64_t at_us,
                        store_analysis_jobs_fn *on_done, void *arg) MUST_USE;

struct store_analysis_turn {
    struct uuid turn_id;
    struct str speaker; /* ai, lead, agent */
    struct str body;
    bool cut;
};
struct store_analysis_call {
    bool found;
    int32_t duration_s;
    int64_t ended_us;
    struct str zone;
    struct str campaign_name;
    struct str description;
    struct str disposition;
    bool opted_out;
    const struct store_analysis_turn *turns;
    size_t turn_count;
};
typedef void store_analysis_call_fn(const struct fault *fault,
                                    const struct store_analysis_call *call, void *arg);
int store_analysis_call(struct pg_tx **op, struct pg_pool *db, const struct store_analysis_job *job,
                        store_analysis_call_fn *on_done, void *arg) MUST_USE;

struct store_insight {
    const struct store_analysis_job *job;
    const struct uuid *worker_id;
    const json_t *insight;
    const json_t *analysis;
    const json_t *tasks;
    const json_t *usage; /* NULL: nothing was asked */
    const char *model;
    int64_t at_us;
};
/* stored false: the job is another worker's by now. */
typedef void store_insight_fn(const struct fault *fault, bool stored, int32_t tasks_made,
                              void *arg);
int store_insight_put(struct pg_tx **op, struct pg_pool *db, const struct store_insight *insight,
                      store_insight_fn *on_done, void *arg) MUST_USE;
/* retry_us 0: failed for good. */
int store_analysis_fail(struct pg_tx **op, struct pg_pool *db, const struct store_analysis_job *job,
                        const struct uuid *worker_id, const char *error, const json_t *usage,
                        int64_t retry_us, int64_t at_us, store_done_fn *on_done,
                        void *arg) MUST_USE;
typedef void store_again_fn(const struct fault *fault, bool queued, void *arg);
int store_analysis_again(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                         const struct uuid *call_id, int64_t at_us, store_again_fn *on_done,
                         void *arg) MUST_USE;

#endif
