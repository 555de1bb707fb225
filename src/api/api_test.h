/* api_test.h -- the world of the routes' tests: an API on a free port, a raw client, and a database
 * that says what the test wants.
 *
 * Owner   TestSuite(…, .init = world_open, .fini = world_close).
 * Thread  the test's. */
#ifndef API_API_TEST_H
#define API_API_TEST_H

#include "api/api.h"
#include "net/net_test.h"

#define TOKEN "the account's auth token"
#define CALL  "64d3290a-87a6-46b4-a6e2-20f5f4e07a02"

#define ANSWER_BODY "Event=StartApp&CallUUID=" CALL "&RequestUUID=" CALL "&CallStatus=in-progress"
#define HANGUP_BODY                                                                                \
    "Event=Hangup&CallUUID=" CALL "&CallStatus=busy&HangupCauseCode=3010&HangupCause=USER_BUSY"

struct world {
    struct loop *loop;
    struct api *api;
    struct accounts *accounts;
    struct carrier_urls urls;
    struct api_env env;
    char data_dir[64];
    /* the database's side */
    struct fault fault;  /* of the next statement */
    int refuse;          /* what a statement's start returns */
    int refuse_accounts; /* what the start of reading accounts returns */
    bool silent;         /* the statement never answers */
    int account_reads;
    const char *account_token; /* what the account's row holds now */
    bool talk;
    const char *reason;
    bool duplicate;
    bool anomaly;
    int events, answers, hangups, looks, tokens, files, levels;
    char kind[32];
    char event_key[160];
    char call_uuid[64];
    struct uuid organization_id;
    struct store_end end;
    uint8_t token_hash[32];
    int64_t token_life_us;
    bool token_known;
    bool token_raced; /* known when it is looked at, taken by somebody else then */
    const char *path;
    int32_t level;
    /* what the hooks heard */
    int on_events, on_answers, on_hangups, follows;
    struct api_media media;
    int media_fd;
    int media_lost; /* told that a socket will not come */
    struct http_socket *media_handle;
    enum carrier_next follow_next;
    /* the client's side */
    struct peer peer;
};

extern struct world w;

struct post {
    const char *kind;
    const char *body;
    const char *token;      /* signs; NULL: unsigned */
    const char *path_kind;  /* the path's word, when not `kind` */
    const char *signed_url; /* NULL: as it is */
    int64_t expires_s;      /* 0: in an hour */
    char spoil;             /* changes the identity's last digit */
};

void world_open(void);
void world_close(void);
void world_open_api(void);
void world_open_accounts(int64_t reread_min_ms);
void world_send(const struct buf *text); /* on a connection of its own */
int world_status(void);                  /* of its answer */
int world_get(const char *target, const char *headers);
void world_path(const struct post *p, struct buf *path);
int world_post(struct post p);
int world_rows_changed(void); /* statements and hooks that would have changed something */

#endif
