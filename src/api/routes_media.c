#include "api/api_priv.h"
#include "base/alloc.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MEDIA_TOKEN_CHARS 43

/*  api_on_media -> on_looked -> on_accounts (the signature) -> on_taken (the one UPDATE) -> on_socket
 * A token that is not good opens nothing, touches no model socket and writes nothing; a signature that
 * is not good burns no token. */
struct media_op {
    struct api_op op;
    struct api_media media;
    uint8_t hash[SHA256_BYTES];
};

static void on_looked(const struct fault *fault, const struct uuid *call_id,
                      const struct uuid *organization_id, struct str call_uuid, void *arg);
static void on_accounts(const struct fault *fault, const struct carrier_account *accounts,
                        size_t count, void *arg);
static void on_taken(const struct fault *fault, const struct uuid *call_id,
                     const struct uuid *organization_id, struct str call_uuid, void *arg);
static void on_socket(int fd, struct str already_read, struct http_socket *handle, void *arg);

static void media_drop(struct api_op *op)
{
    xfree(CONTAINER_OF(op, struct media_op, op));
}

static bool token_ok(struct str token)
{
    for (size_t i = 0; i < token.len; i++) {
        char c = token.p[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z')) {
            return false;
        }
    }
    return token.len == MEDIA_TOKEN_CHARS;
}

static void note_refusal(const struct http_request *req, const char *reason)
{
    metric_add("media_tokens_total", "refused", 1);
    log_warn("media.refused", LOG_STR("reason", reason), LOG_TEXT("peer", http_peer(req)));
}

static void refused_start(struct media_op *m, int err)
{
    const struct fault fault = fault_make(err == -EBUSY ? FAULT_NOT_SENT : FAULT_BROKEN, 0,
                                          "not_started", "%s", strerror(-err));
    api_op_fault(&m->op, "media", &fault);
}

void api_on_media(struct http_request *req, void *arg)
{
    struct api *api = arg;
    struct str token = http_param(req, "token");
    if (!http_is_websocket(req)) {
        http_answer_error(req, 400, "not_websocket", "This address takes WebSocket upgrades.");
        return;
    }
    if (!token_ok(token)) {
        note_refusal(req, "form");
        http_answer_error(req, 403, "forbidden", "The token is not valid.");
        return;
    }
    struct media_op *m = xzalloc(sizeof *m);
    sha256(token, m->hash);
    api_op_begin(&m->op, api, req, media_drop);
    int err = api->store->media_look(&m->op.tx, api->env.db, m->hash, loop_wall_us(api->env.loop),
                                     on_looked, m);
    if (err < 0) {
        refused_start(m, err);
    }
}

static void on_looked(const struct fault *fault, const struct uuid *call_id,
                      const struct uuid *organization_id, struct str call_uuid, void *arg)
{
    struct media_op *m = arg;
    m->op.tx = NULL;
    if (fault->class != FAULT_NONE) {
        api_op_fault(&m->op, "media", fault);
        return;
    }
    if (uuid_is_nil(call_id) ||
        str_copy(call_uuid, m->media.call_uuid, sizeof m->media.call_uuid) < 0) {
        note_refusal(m->op.req, "unknown_or_used");
        api_op_error(&m->op, 403, "forbidden", "The token is not valid.");
        return;
    }
    m->media.call_id = *call_id;
    m->media.organization_id = *organization_id;
    int err = accounts_ask(m->op.api->env.accounts, organization_id, on_accounts, m);
    if (err < 0) {
        refused_start(m, err);
    }
}

/* Whether the carrier signs the upgrade is not certain: with a signature it must match, without one
 * the token that only our answer held has decided. */
static bool upgrade_ok(const struct media_op *m, const struct carrier_account *accounts,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (carrier_plivo.verify_upgrade(m->op.req, m->op.api->env.urls, &accounts[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void on_accounts(const struct fault *fault, const struct carrier_account *accounts,
                        size_t count, void *arg)
{
    struct media_op *m = arg;
    struct api *api = m->op.api;
    if (m->op.gone || fault->class != FAULT_NONE) {
        const struct fault gone = fault_make(FAULT_NOT_SENT, 0, "client_gone", "the client left");
        api_op_fault(&m->op, "media", m->op.gone ? &gone : fault);
        return;
    }
    if (!upgrade_ok(m, accounts, count)) {
        note_refusal(m->op.req, "signature");
        api_op_error(&m->op, 403, "forbidden", "The signature does not match.");
        return;
    }
    int err = api->store->media_token(&m->op.tx, api->env.db, m->hash, loop_wall_us(api->env.loop),
                                      on_taken, m);
    if (err < 0) {
        refused_start(m, err);
    }
}

/* The token is spent, and the carrier has no other: whoever waits for this stream must know. */
static void tell_no_socket(const struct api *api, const struct api_media *media)
{
    if (api != NULL && api->env.hooks.on_media_socket != NULL) {
        api->env.hooks.on_media_socket(media, -1, STR_NONE, NULL, api->env.hooks.arg);
    }
}

static void on_taken(const struct fault *fault, const struct uuid *call_id,
                     const struct uuid *organization_id, struct str call_uuid, void *arg)
{
    struct media_op *m = arg;
    (void)organization_id;
    (void)call_uuid;
    m->op.tx = NULL;
    if (fault->class != FAULT_NONE) {
        api_op_fault(&m->op, "media", fault);
        return;
    }
    if (uuid_is_nil(call_id)) { /* somebody else took it between the look and this */
        note_refusal(m->op.req, "unknown_or_used");
        api_op_error(&m->op, 403, "forbidden", "The token is not valid.");
        return;
    }
    metric_add("media_tokens_total", "taken", 1);
    if (m->op.gone) {
        tell_no_socket(m->op.api, &m->media);
        const struct fault gone = fault_make(FAULT_NOT_SENT, 0, "client_gone", "the client left");
        api_op_fault(&m->op, "media", &gone);
        return;
    }
    if (http_header(m->op.req, "X-Plivo-Signature-V3").len == 0) {
        metric_add("media_unsigned_total", NULL, 1);
    }
    struct http_request *req = m->op.req;
    m->op.req = NULL;
    http_upgrade(req, on_socket, m);
}

static void on_socket(int fd, struct str already_read, struct http_socket *handle, void *arg)
{
    struct media_op *m = arg;
    struct api *api = m->op.api;
    struct api_media media = m->media;
    api_op_end(&m->op);
    if (fd < 0) { /* the client left between its request and our 101, or there was no room */
        tell_no_socket(api, &media);
        return;
    }
    if (api == NULL || api->env.hooks.on_media_socket == NULL) {
        close(fd);
        http_socket_done(handle);
        return;
    }
    api->env.hooks.on_media_socket(&media, fd, already_read, handle, api->env.hooks.arg);
}
