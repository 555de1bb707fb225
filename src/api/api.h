/* api.h -- what the daemon answers over HTTP: health, metrics, the carrier's webhooks, the media
 * socket, recordings.
 *
 * A webhook is believed when its path's MAC holds (the identity in it is ours, of this kind, not
 * expired) and the carrier's signature matches a token of an account of that organization. Then one
 * transaction takes it; only its commit is acknowledged. Everything else is 403, 400, 413 or 503,
 * counted in webhooks_total. `fallback` needs no database: it apologises and ends the call.
 *
 * Owner   whoever called api_open(). On shutdown: api_drain(), then close what the hooks call
 *         (handoff_close), accounts_close(), api_close(), pg_pool_free(), and one more turn of the
 *         loop.
 * Thread  the control loop; hooks run there.
 * Errors  api_open: those of http_server_open(). */
#ifndef API_API_H
#define API_API_H

#include "carrier/accounts.h"
#include "carrier/carrier.h"
#include "dial/dial_clock.h"
#include "net/http_server.h"
#include "store/store_api.h"
#include "store/store_call.h"
#include "store/store_history.h"

struct api;

/* The answer to an event that asks what is next; both and their texts live during the call.
 * fault.class other than NONE: nothing is acknowledged (503). */
typedef void api_reply_fn(const struct fault *fault, const struct carrier_instruction *what,
                          void *arg);

struct api_media { /* a media socket whose token was good */
    struct uuid organization_id;
    struct uuid call_id;
    char call_uuid[CARRIER_ID_SIZE]; /* what the stream's `start` must name */
};

struct api_hooks {
    /* after, agent-whisper, agent-action, agent-event, recording (handoff_event() fits). Refused =>
     * silent; accepted => on_done exactly once, later. NULL: kept in the inbox, and the call ends.
     */
    int (*follow)(const struct carrier_identity *identity, const struct carrier_event *event,
                  api_reply_fn *on_done, void *on_done_arg, void *arg);
    /* Committed, about to be acknowledged; maybe not for the first time. Each may be NULL. */
    void (*on_event)(const struct carrier_identity *identity, const struct carrier_event *event,
                     void *arg); /* ring, machine, stream */
    void (*on_answer)(const struct carrier_identity *identity, const struct carrier_event *event,
                      void *arg); /* the stream will be opened */
    void (*on_hangup)(const struct carrier_identity *identity, const struct carrier_event *event,
                      void *arg);
    /* Takes fd over (ws_open), and calls http_socket_done(handle) when it is closed. NULL: closed.
     * fd -1, handle NULL: the token is spent and its socket was lost, no stream will come. */
    void (*on_media_socket)(const struct api_media *media, int fd, struct str already_read,
                            struct http_socket *handle, void *arg);
    /* Why nothing is dialed although we answer, "" when all is well; for /readyz. May be NULL. */
    const char *(*idle_why)(void *arg);
    void *arg;
};

/* The statements the routes use; the database's unless a test says otherwise. */
struct api_store {
    int (*event)(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                 store_event_fn *on_done, void *arg);
    int (*answer)(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                  const uint8_t token_hash[32], int64_t token_expires_us, store_answer_fn *on_done,
                  void *arg);
    int (*hangup)(struct pg_tx **op, struct pg_pool *db, const struct store_report *report,
                  const struct store_end *end, store_hangup_fn *on_done, void *arg);
    int (*adopt)(struct pg_tx **op, struct pg_pool *db, const struct store_adoption *what,
                 store_status_fn *on_done, void *arg); /* NULL: rows that are lost stay lost */
    int (*media_look)(struct pg_tx **op, struct pg_pool *db, const uint8_t token_hash[32],
                      int64_t at_us, store_media_token_fn *on_done, void *arg);
    int (*media_token)(struct pg_tx **op, struct pg_pool *db, const uint8_t token_hash[32],
                       int64_t at_us, store_media_token_fn *on_done, void *arg);
    int (*recording_file)(struct pg_tx **op, struct pg_pool *db, const struct uuid *organization_id,
                          const struct uuid *recording_id, store_path_fn *on_done, void *arg);
    int (*schema_level)(struct pg_tx **op, struct pg_pool *db, store_level_fn *on_done, void *arg);
};
extern const struct api_store api_store_database;

struct api_env {
    struct loop *loop;
    struct pg_pool *db;
    struct accounts *accounts;
    const struct dial_clock *clock; /* dates the reports; NULL: the host's clock */
    const struct carrier_urls *urls;
    const struct api_store *store; /* NULL: api_store_database */
    const char *listen;            /* host:port */
    const char *data_dir;
    uint8_t recording_key[32]; /* recording_url_key() */
    int32_t schema_level;      /* the newest migration in this binary; 0: any will do */
    struct api_hooks hooks;
};

int api_open(struct api **out, const struct api_env *env) MUST_USE;
void api_close(struct api **api);
uint16_t api_port(const struct api *api);
/* /readyz says no from now on; everything else goes on, live calls need it. */
void api_drain(struct api *api);

#endif
