/* store_admin.h -- what the command line asks of the database: set-up, import, campaigns, people,
 * checks.
 *
 * Most acts have one shape: a JSON object in, a JSON object out (sql/admin/<act>.sql say what is
 * read from it). An answer with a member "refused" means that a rule said no and nothing changed.
 *
 * Owner   the answer is borrowed for the duration of on_done; json_incref() to keep it.
 * Thread  the pool's loop.
 * Time    at_us, wall: the moment the act happens.
 * Errors  as store.h. Every act may be repeated. */
#ifndef STORE_STORE_ADMIN_H
#define STORE_STORE_ADMIN_H

#include "base/json.h"
#include "base/uuid.h"
#include "store/store.h"

enum admin_act {
    ADMIN_SETUP,
    ADMIN_CAMPAIGN_PUT,
    ADMIN_CAMPAIGN_ACT,
    ADMIN_CAMPAIGN_STATUS,
    ADMIN_CAMPAIGN_REPORT,
    ADMIN_CAMPAIGN_LIST,
    ADMIN_IMPORT_BEGIN,
    ADMIN_IMPORT_END,
    ADMIN_DNC_PUT,
    ADMIN_DNC_LIST,
    ADMIN_DNC_LIFT,
    ADMIN_CONSENT_PUT,
    ADMIN_CONSENT_LIST,
    ADMIN_CONSENT_REVOKE,
    ADMIN_LIST_BEGIN,
    ADMIN_LIST_BATCH,
    ADMIN_LIST_END,
    ADMIN_LIST_LIST,
    ADMIN_PAUSE_PUT,
    ADMIN_RULE_PUT,
    ADMIN_RULE_LIST,
    ADMIN_AGENT_PUT,
    ADMIN_AGENT_LIST,
    ADMIN_AGENT_STATE,
    ADMIN_TENANT_CHECK,
    ADMIN_LIVE_ENROL,
    ADMIN_LIVE_FOLLOW,
    ADMIN_LIVE_WITHDRAW,
    ADMIN_WHY,
    ADMIN_FORECAST_BRIEF,
    ADMIN_FORECAST_OPENING,
    ADMIN_FORECAST_PAGE,
    ADMIN_CALL_UNKNOWN,
    ADMIN_CALL_SETTLE,
    ADMIN_NODE_LIST,
    ADMIN_NODE_DEAD,
    ADMIN_RECOVERY_STATUS,
    ADMIN_RECOVERY_ACCEPT,
    ADMIN_ACT_COUNT
};

typedef void store_admin_fn(const struct fault *fault, json_t *answer, void *arg);

int store_admin(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                enum admin_act act, const json_t *doc, int64_t at_us, store_admin_fn *on_done,
                void *arg) MUST_USE;
int store_admin_platform_check(struct pg_tx **op, struct pg_pool *db, int64_t at_us,
                               store_admin_fn *on_done, void *arg) MUST_USE;

struct admin_org {
    bool found;
    bool created;
    struct uuid id;
    char slug[64];
    char name[204];
    int64_t organizations; /* how many there are, when no slug was asked for */
};
typedef void store_admin_org_fn(const struct fault *fault, const struct admin_org *org, void *arg);

/* slug NULL: the only organization there is. */
int store_admin_org_find(struct pg_tx **op, struct pg_pool *db, const char *slug,
                         store_admin_org_fn *on_done, void *arg) MUST_USE;
int store_admin_org_create(struct pg_tx **op, struct pg_pool *db, const char *slug,
                           const char *name, store_admin_org_fn *on_done, void *arg) MUST_USE;

#define ADMIN_SEALED_MAX 1024
struct admin_carrier {
    bool found;
    struct uuid id;
    char auth_id[104];
    uint8_t sealed[ADMIN_SEALED_MAX];
    size_t sealed_bytes; /* 0: no token stored */
};
typedef void store_admin_carrier_fn(const struct fault *fault, const struct admin_carrier *carrier,
                                    void *arg);

int store_admin_carrier_find(struct pg_tx **op, struct pg_pool *db,
                             const struct uuid *organization_id, const char *name,
                             store_admin_carrier_fn *on_done, void *arg) MUST_USE;

/* One batch of an import: a Postgres array literal for each column, all of the same length. The
 * texts must live until on_done. The answer: added, updated, enrolled, consents, rejects [[line,
 * reason, detail]]. */
struct admin_batch {
    struct uuid import_id;
    struct str lines;
    struct str reasons;
    struct str details;
    struct str raws;
    struct str phones;
    struct str regions;
    struct str zones;
    struct str names;
    struct str emails;
    struct str timezones;
    struct str attributes;
    struct str consent_ats;
    struct str consent_levels;
    struct str consent_words;
    struct str sources;
};
int store_admin_import_batch(struct pg_tx **op, struct pg_pool *db,
                             const struct uuid *organization_id, const struct admin_batch *batch,
                             int64_t at_us, store_admin_fn *on_done, void *arg) MUST_USE;

#endif
