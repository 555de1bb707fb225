/* store_api.h -- the statements of the HTTP routes; shape, threads and errors as store.h says. */
#ifndef STORE_STORE_API_H
#define STORE_STORE_API_H

#include "base/uuid.h"
#include "store/store.h"

#define STORE_ACCOUNTS_MAX 32 /* of one organization */
#define STORE_SEALED_SIZE  512

struct store_account {
    struct uuid id;
    char provider[16];
    char auth_id[64];
    bool active;
    uint8_t token[STORE_SEALED_SIZE]; /* as stored: seal_open() with SEAL_CARRIER_TOKEN */
    size_t token_bytes;               /* 0: none */
    uint8_t previous[STORE_SEALED_SIZE];
    size_t previous_bytes;
};
typedef void store_accounts_fn(const struct fault *fault, const struct store_account *accounts,
                               size_t count, void *arg);
int store_carrier_accounts(struct pg_tx **op, struct pg_pool *db,
                           const struct uuid *organization_id, store_accounts_fn *on_done,
                           void *arg) MUST_USE;

/* path: relative to the data directory; STR_NONE: no such recording, or it is not ready. */
typedef void store_path_fn(const struct fault *fault, struct str path, void *arg);
int store_recording_file(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                         const struct uuid *recording_id, store_path_fn *on_done,
                         void *arg) MUST_USE;

/* level: the newest migration; -1: the schema does not say. */
typedef void store_level_fn(const struct fault *fault, int32_t level, void *arg);
int store_schema_level(struct pg_tx **op, struct pg_pool *db, store_level_fn *on_done,
                       void *arg) MUST_USE;

#endif
