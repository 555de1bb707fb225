#include "hook.h"

#include "base/alloc.h"
#include "call.h"
#include "people/dice.h"

#include <stdio.h>
#include <string.h>

#define RETRY_WAIT_MS 300
#define ANSWER_MAX    (128 * 1024)
#define HEADER_MAX    200
#define HEADERS       8

enum hook_twist { TWIST_NONE, TWIST_UNSIGNED, TWIST_BAD_SIGNATURE, TWIST_ALTERED, TWIST_REPLAY };

struct hook {
    struct list link;
    struct call *call;
    enum hook_kind kind;
    enum hook_twist twist;
    char *url; /* without the fragment */
    char *method;
    struct form fields;
    struct hook_policy policy;
    hook_done_fn *on_done;
    struct timer wait;
    struct http_op *op;
    int tries;
    bool lose_first;   /* the first try never leaves */
    bool forget_first; /* the first answer is lost on its way back */
    bool replay_after;
    char nonce[FORM_NONCE_SIZE];
};

static const char *const kind_names[HOOK_COUNT] = {
    [HOOK_ANSWER] = "answer", [HOOK_FALLBACK] = "fallback", [HOOK_REDIRECT] = "redirect",
    [HOOK_ACTION] = "action", [HOOK_CONFIRM] = "confirm",   [HOOK_RING] = "ring",
    [HOOK_HANGUP] = "hangup", [HOOK_MACHINE] = "machine",   [HOOK_RECORDING] = "recording",
    [HOOK_STREAM] = "stream", [HOOK_DIAL] = "dial"};

static bool is_notice(enum hook_kind kind)
{
    return kind >= HOOK_RING;
}

static void policy_word(struct hook_policy *p, struct str word)
{
    bool all = str_eq_cstr(word, "all");

    p->on_4xx |= all || str_eq_cstr(word, "4xx");
    p->on_5xx |= all || str_eq_cstr(word, "5xx");
    p->on_connect |= all || str_eq_cstr(word, "ct");
    p->on_read |= all || str_eq_cstr(word, "rt");
}

void hook_policy_read(struct str url, struct hook_policy *out)
{
    ptrdiff_t hash = str_find_char(url, '#');
    struct str rest = hash >= 0 ? str_skip(url, (size_t)hash + 1) : STR_NONE;
    struct str pair;
    struct str name;
    struct str word;

    *out =
        (struct hook_policy){.retries = 1, .on_connect = true, .on_read = true, .read_ms = 40000};
    while (str_split(&rest, '&', &pair)) {
        int64_t n = 0;
        if (!str_split(&pair, '=', &name) || pair.p == NULL) {
            continue;
        }
        if (str_eq_cstr(name, "rc") && str_to_i64(pair, &n) == 0 && n >= 0 && n <= 5) {
            out->retries = n;
        } else if (str_eq_cstr(name, "rt") && str_to_i64(pair, &n) == 0 && n >= 100 && n <= 40000) {
            out->read_ms = n;
        } else if (str_eq_cstr(name, "rp")) {
            out->on_connect = false;
            out->on_read = false;
            while (str_split(&pair, ',', &word)) {
                policy_word(out, word);
            }
        }
    }
}

static void hook_free(struct hook *h)
{
    list_remove(&h->link);
    timer_stop(&h->wait);
    http_cancel(&h->op);
    form_fini(&h->fields);
    xfree(h->url);
    xfree(h->method);
    xfree(h);
}

static void on_wait_over(void *arg);
static void on_reply(const struct http_result *result, void *arg);

static struct hook *hook_new(struct call *call, enum hook_kind kind, const char *url,
                             const char *method)
{
    struct hook *h = xzalloc(sizeof *h);
    ptrdiff_t hash = str_find_char(str_of(url), '#');

    h->call = call;
    h->kind = kind;
    h->url = hash >= 0 ? xstrndup(url, (size_t)hash) : xstrdup(url);
    h->method = xstrdup(strcmp(method, "GET") == 0 ? "GET" : "POST");
    hook_policy_read(str_of(url), &h->policy);
    form_init(&h->fields);
    list_push_back(&call->carrier->hooks, &h->link);
    return h;
}

static void hook_copy(const struct hook *from, enum hook_twist twist, int64_t delay_ms)
{
    struct hook *h = hook_new(from->call, from->kind, from->url, from->method);

    form_copy(&h->fields, &from->fields);
    h->twist = twist;
    h->policy.retries = 0;
    memcpy(h->nonce, from->nonce, sizeof h->nonce);
    timer_start(&h->wait, from->call->carrier->conf.loop, delay_ms, on_wait_over, h);
}

/* Faults of a notice; true: it is lost. */
static bool spoil_notice(struct hook *h, int64_t *delay_ms)
{
    struct call *call = h->call;
    struct faults *f = call->carrier->conf.faults;
    struct str key = str_of(call->to);
    uint64_t nth = call->nth * HOOK_COUNT + h->kind;

    if (h->kind == HOOK_RING && fault_strikes(f, FAULT_HOOK_REORDERED, key, nth)) {
        *delay_ms += call->carrier->conf.limits->ring_ms_max + 1500;
    } else if (fault_strikes(f, FAULT_HOOK_LATE, key, nth)) {
        *delay_ms += dice_between(f->seed, "late", key, nth, 1000, 4000);
    }
    return fault_strikes(f, FAULT_HOOK_LOST, key, nth);
}

static void spoil(struct hook *h, int64_t *delay_ms)
{
    struct call *call = h->call;
    struct faults *f = call->carrier->conf.faults;
    struct str key = str_of(call->to);
    uint64_t nth = call->nth * HOOK_COUNT + h->kind;

    if (fault_strikes(f, FAULT_HOOK_FORGED, key, nth)) {
        hook_copy(h, TWIST_UNSIGNED, *delay_ms);
        hook_copy(h, TWIST_BAD_SIGNATURE, *delay_ms + 20);
        hook_copy(h, TWIST_ALTERED, *delay_ms + 40);
    }
    h->replay_after = fault_strikes(f, FAULT_HOOK_REPLAYED, key, nth);
    if (!fault_strikes(f, FAULT_HOOK_DOUBLED, key, nth)) {
        return;
    }
    if (is_notice(h->kind)) {
        hook_copy(h, TWIST_NONE, *delay_ms + 150);
    } else {
        h->forget_first = true;
    }
}

void hook_post(struct call *call, enum hook_kind kind, const char *url, const char *method,
               struct form *fields, hook_done_fn *on_done)
{
    int64_t delay_ms = 0;

    if (url == NULL || url[0] == '\0') {
        form_fini(fields);
        return;
    }
    struct hook *h = hook_new(call, kind, url, method);
    h->fields = *fields;
    form_init(fields);
    h->on_done = on_done;
    if (is_notice(kind)) {
        if (spoil_notice(h, &delay_ms)) {
            call_truth_hook(call, kind_names[kind], "lost", 0);
            hook_free(h);
            return;
        }
    } else {
        h->lose_first = fault_strikes(call->carrier->conf.faults, FAULT_HOOK_LOST, str_of(call->to),
                                      call->nth * HOOK_COUNT + kind);
    }
    spoil(h, &delay_ms);
    timer_start(&h->wait, call->carrier->conf.loop, delay_ms, on_wait_over, h);
}

struct hook_headers {
    char text[HEADERS][HEADER_MAX];
    const char *lines[HEADERS];
    size_t count;
};

static void add_header(struct hook_headers *hs, const char *name, const char *value)
{
    (void)snprintf(hs->text[hs->count], HEADER_MAX, "%s: %s", name, value);
    hs->lines[hs->count] = hs->text[hs->count];
    hs->count++;
}

static void sign_headers(const struct hook *h, const char *url, struct hook_headers *hs)
{
    const char *token = h->call->carrier->conf.auth_token;
    char mac[FORM_SIGNATURE_SIZE];

    if (h->twist == TWIST_UNSIGNED) {
        return;
    }
    struct str key = h->twist == TWIST_BAD_SIGNATURE ? STR("not-the-token") : str_of(token);
    form_sign_v3(h->method, str_of(url), &h->fields, key, h->nonce, mac);
    add_header(hs, "X-Plivo-Signature-V3", mac);
    add_header(hs, "X-Plivo-Signature-Ma-V3", mac);
    add_header(hs, "X-Plivo-Signature-V3-Nonce", h->nonce);
    form_sign_v2(str_of(url), key, h->nonce, mac);
    add_header(hs, "X-Plivo-Signature-V2", mac);
    add_header(hs, "X-Plivo-Signature-V2-Nonce", h->nonce);
}

static void send_now(struct hook *h)
{
    struct hook_headers hs = {.count = 0};
    struct buf body;
    struct buf url;
    bool post = strcmp(h->method, "POST") == 0;

    buf_init(&body, ANSWER_MAX);
    buf_init(&url, ANSWER_MAX);
    (void)buf_add_cstr(&url, h->url);
    if (!post && h->fields.count > 0) {
        (void)buf_add_char(&url, strchr(h->url, '?') != NULL ? '&' : '?');
        form_encode(&h->fields, &url);
    }
    if (h->twist != TWIST_REPLAY) {
        form_nonce(h->nonce);
    }
    add_header(&hs, "Content-Type", "application/x-www-form-urlencoded");
    sign_headers(h, buf_cstr(&url), &hs);
    if (post) {
        form_encode(&h->fields, &body);
        (void)buf_add_cstr(&body, h->twist == TWIST_ALTERED ? "&Duration=86400" : "");
    }
    struct http_ask ask = {.method = h->method,
                           .url = buf_cstr(&url),
                           .headers = hs.lines,
                           .body = buf_str(&body),
                           .timeout_ms = (uint32_t)h->policy.read_ms,
                           .answer_max = ANSWER_MAX,
                           .trust = HTTP_OPERATOR};
    if (http_start(&h->op, h->call->carrier->conf.http, &ask, on_reply, h) < 0) {
        timer_start(&h->wait, h->call->carrier->conf.loop, RETRY_WAIT_MS, on_wait_over, h);
    }
    buf_fini(&body);
    buf_fini(&url);
}

static bool may_retry(const struct hook *h, const struct http_result *r)
{
    if (h->tries > h->policy.retries) {
        return false;
    }
    if (r == NULL || r->fault.class == FAULT_NOT_SENT) {
        return h->policy.on_connect;
    }
    if (r->fault.class != FAULT_NONE) {
        return h->policy.on_read;
    }
    return r->status >= 500 ? h->policy.on_5xx : r->status >= 400 && h->policy.on_4xx;
}

static void finish(struct hook *h, int status, struct str body)
{
    static const char *const twists[] = {[TWIST_NONE] = "sent",
                                         [TWIST_UNSIGNED] = "forged_unsigned",
                                         [TWIST_BAD_SIGNATURE] = "forged_signature",
                                         [TWIST_ALTERED] = "forged_body",
                                         [TWIST_REPLAY] = "replayed"};
    struct call *call = h->call;
    hook_done_fn *on_done = h->on_done;

    call_truth_hook(call, kind_names[h->kind], twists[h->twist], status);
    call_count_hook(call, h->twist >= TWIST_UNSIGNED && h->twist <= TWIST_ALTERED, status);
    if (h->replay_after) {
        hook_copy(h, TWIST_REPLAY, 100);
    }
    OWNED(xfreep) char *text = str_dup(body);
    hook_free(h);
    if (on_done != NULL) {
        on_done(call, status, str_make(text, body.len));
    }
}

static void on_wait_over(void *arg)
{
    struct hook *h = arg;

    h->tries++;
    if (h->tries == 1 && h->lose_first) {
        if (may_retry(h, NULL)) {
            timer_start(&h->wait, h->call->carrier->conf.loop, RETRY_WAIT_MS, on_wait_over, h);
        } else {
            finish(h, 0, STR(""));
        }
        return;
    }
    send_now(h);
}

static void on_reply(const struct http_result *result, void *arg)
{
    struct hook *h = arg;
    bool bad = result->fault.class != FAULT_NONE || result->status >= 400;
    bool forget = h->forget_first && h->tries == 1 && h->policy.retries > 0;

    h->op = NULL;
    if (forget || (bad && may_retry(h, result))) {
        timer_start(&h->wait, h->call->carrier->conf.loop, RETRY_WAIT_MS * h->tries, on_wait_over,
                    h);
        return;
    }
    finish(h, result->fault.class == FAULT_NONE ? result->status : 0, result->body);
}

void hooks_cancel(struct carrier *c)
{
    LIST_EACH_SAFE(it, &c->hooks)
    {
        hook_free(LIST_ITEM(it, struct hook, link));
    }
}
