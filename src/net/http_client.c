#include "net/http_client.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/url.h"
#include "loop/timer.h"
#include "net/address.h"
#include "net/http_client_priv.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT_CONNECTIONS 64L

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct timer timer; /* libcurl's */
    struct timer soon;  /* finished transfers are reported from here */
    struct list transfers;
    size_t transfer_count;
    struct list finished;
    char *allowed_hosts;
    size_t holders; /* WebSockets over our handles, and the owner */
    bool freed;
};

struct socket_watch {
    uv_poll_t handle;
    struct http_client *client; /* NULL once libcurl let go of the socket */
    curl_socket_t fd;
};

struct http_op {
    struct http_transfer transfer;
    struct curl_slist *headers;
    char *body_text;
    struct buf body;
    size_t answer_max;
    int64_t body_bytes;
    bool too_large;
    bool write_failed;
    bool refused_address;
    bool any_address;
    int to_fd;
    int64_t retry_after_ms;
    int64_t server_date_us;
    http_done_fn *on_done;
    void *arg;
};

static void on_client_timer(void *arg);
static void on_finished(void *arg);
static void on_op_done(struct http_transfer *t);

/* --- the multi on our loop --- */

static void read_messages(struct http_client *c)
{
    int left = 0;
    for (CURLMsg *m = curl_multi_info_read(c->multi, &left); m != NULL;
         m = curl_multi_info_read(c->multi, &left)) {
        struct http_transfer *t = NULL;
        if (m->msg != CURLMSG_DONE ||
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t) != CURLE_OK) {
            continue;
        }
        t->done = true;
        t->result = m->data.result;
        list_remove(&t->link);
        list_push_back(&c->finished, &t->link);
    }
    if (!list_empty(&c->finished) && !timer_running(&c->soon)) {
        timer_start(&c->soon, c->loop, 0, on_finished, c);
    }
}

static void act(struct http_client *c, curl_socket_t fd, int events)
{
    int running = 0;
    (void)curl_multi_socket_action(c->multi, fd, events, &running);
    read_messages(c);
}

/* Out of libcurl, one at a time: a callback may start, cancel, or free the client. */
static void on_finished(void *arg)
{
    struct http_client *c = arg;
    c->holders++;
    for (struct list *l = list_pop_front(&c->finished); l != NULL;
         l = list_pop_front(&c->finished)) {
        struct http_transfer *t = LIST_ITEM(l, struct http_transfer, link);
        t->on_done(t);
    }
    http_client_release(c);
}

static void on_client_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct http_client *c = arg;
    if (timeout_ms < 0) {
        timer_stop(&c->timer);
    } else {
        timer_start(&c->timer, c->loop, timeout_ms, on_client_timer, c);
    }
    return 0;
}

static void on_watch_event(uv_poll_t *handle, int status, int events)
{
    struct socket_watch *w = CONTAINER_OF(handle, struct socket_watch, handle);
    if (w->client == NULL) {
        return;
    }
    int flags = (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    act(w->client, w->fd, status < 0 ? CURL_CSELECT_ERR : flags);
}

static void on_watch_closed(uv_handle_t *handle)
{
    xfree(CONTAINER_OF(handle, struct socket_watch, handle));
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    (void)easy;
    struct http_client *c = arg;
    struct socket_watch *w = socket_arg;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL) {
            w->client = NULL;
            uv_close((uv_handle_t *)&w->handle, on_watch_closed);
            (void)curl_multi_assign(c->multi, fd, NULL);
        }
        return 0;
    }
    if (w == NULL) {
        w = xzalloc(sizeof *w);
        w->client = c;
        w->fd = fd;
        if (uv_poll_init(loop_uv(c->loop), &w->handle, fd) < 0) {
            xfree(w);
            return -1;
        }
        (void)curl_multi_assign(c->multi, fd, w);
    }
    int events = what == CURL_POLL_IN ? UV_READABLE : UV_WRITABLE;
    uv_poll_start(&w->handle, what == CURL_POLL_INOUT ? UV_READABLE | UV_WRITABLE : events,
                  on_watch_event);
    return 0;
}

static void global_init(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)signal(SIGPIPE, SIG_IGN);
}

struct http_client *http_client_new(struct loop *loop, const char *allowed_hosts)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, global_init);
    struct http_client *c = xzalloc(sizeof *c);
    c->loop = loop;
    c->holders = 1;
    c->allowed_hosts = allowed_hosts == NULL ? NULL : xstrdup(allowed_hosts);
    list_init(&c->transfers);
    list_init(&c->finished);
    c->multi = curl_multi_init();
    assert(c->multi != NULL);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
    return c;
}

struct loop *http_client_loop(struct http_client *c)
{
    return c->loop;
}

size_t http_client_in_flight(const struct http_client *c)
{
    return c->transfer_count;
}

void http_client_hold(struct http_client *c)
{
    c->holders++;
}

void http_client_release(struct http_client *c)
{
    if (--c->holders > 0) {
        return;
    }
    timer_stop(&c->timer);
    timer_stop(&c->soon);
    (void)curl_multi_cleanup(c->multi); /* closes the kept connections: on_curl_socket runs */
    timer_stop(&c->timer);
    xfree(c->allowed_hosts);
    xfree(c);
}

static void cancel_all(struct list *transfers)
{
    LIST_EACH_SAFE(l, transfers)
    {
        struct http_transfer *t = LIST_ITEM(l, struct http_transfer, link);
        if (t->on_done == on_op_done) {
            struct http_op *op = CONTAINER_OF(t, struct http_op, transfer);
            http_cancel(&op);
        }
    }
}

void http_client_free(struct http_client **c_p)
{
    if (c_p == NULL || *c_p == NULL) {
        return;
    }
    struct http_client *c = *c_p;
    *c_p = NULL;
    c->freed = true;
    cancel_all(&c->transfers);
    cancel_all(&c->finished);
    http_client_release(c);
}

/* --- transfers --- */

int http_transfer_add(struct http_transfer *t, struct http_client *c)
{
    if (c->transfer_count >= LIMIT_REST_IN_FLIGHT || c->freed) {
        return -EBUSY;
    }
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    if (curl_multi_add_handle(c->multi, t->easy) != CURLM_OK) {
        return -EBUSY;
    }
    t->client = c;
    c->transfer_count++;
    list_push_back(&c->transfers, &t->link);
    return 0;
}

void http_transfer_remove(struct http_transfer *t)
{
    if (t->client != NULL) {
        list_remove(&t->link);
        t->client->transfer_count--;
        (void)curl_multi_remove_handle(t->client->multi, t->easy);
        t->client = NULL;
    }
    if (t->easy != NULL) {
        curl_easy_cleanup(t->easy);
        t->easy = NULL;
    }
}

CURL *http_easy_new(const char *url, uint32_t timeout_ms)
{
    CURL *easy = curl_easy_init();
    assert(easy != NULL);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A transfer that ends while its name is still looked up would wait for the resolver's thread, and
     * the loop with it (libcurl 7.88, Curl_resolver_kill): the thread is left to finish alone. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* With Debian's CApath the parsed store is not shared: 27 ms and 900 KB a connection
     * (measured). */
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    const char *own_roots =
        getenv("SSL_CERT_FILE"); /* OpenSSL's own name for it; libcurl reads none */
    if (own_roots != NULL && own_roots[0] != '\0') {
        curl_easy_setopt(easy, CURLOPT_CAINFO, own_roots);
    }
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    return easy;
}

static bool before_request(CURLcode result)
{
    static const CURLcode codes[] = {
        CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT,
        CURLE_SSL_CONNECT_ERROR,    CURLE_PEER_FAILED_VERIFICATION,
        CURLE_SSL_CACERT_BADFILE,   CURLE_OPERATION_TIMEDOUT,
        CURLE_URL_MALFORMAT,        CURLE_UNSUPPORTED_PROTOCOL,
        CURLE_SSL_CERTPROBLEM,      CURLE_SSL_CIPHER,
    };
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        if (codes[i] == result) {
            return true;
        }
    }
    return false;
}

struct fault http_curl_fault(CURL *easy, CURLcode result)
{
    long request_bytes = 0;
    char code[16];
    (void)snprintf(code, sizeof code, "curl_%d", (int)result);
    /* CURLINFO_REQUEST_SIZE counts what was handed to the kernel, over all of libcurl's own tries.
     */
    bool known = curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_bytes) == CURLE_OK;
    bool nothing_left = known && request_bytes == 0 && before_request(result);
    return fault_make(nothing_left ? FAULT_NOT_SENT : FAULT_UNSURE, 0, code, "%s",
                      curl_easy_strerror(result));
}

/* --- one request --- */

static size_t on_body(char *p, size_t unit, size_t count, void *arg)
{
    struct http_op *op = arg;
    size_t size = unit * count;
    op->body_bytes += (int64_t)size;
    if ((uint64_t)op->body_bytes > op->answer_max) {
        op->too_large = true;
        return 0;
    }
    if (op->to_fd <= 0) {
        return buf_add(&op->body, p, size) == 0 ? size : 0;
    }
    for (size_t done = 0; done < size;) {
        ssize_t n = write(op->to_fd, p + done, size - done);
        if (n < 0 && errno != EINTR) {
            op->write_failed = true;
            return 0;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return size;
}

static void take_retry_after(struct http_op *op, struct str value)
{
    double seconds;
    if (str_to_double(value, &seconds) == 0 && seconds >= 0 && seconds < 1e9) {
        op->retry_after_ms = (int64_t)(seconds * 1000);
        return;
    }
    char text[64];
    str_copy_cut(value, text, sizeof text);
    int64_t at_s = (int64_t)curl_getdate(text, NULL);
    if (at_s >= 0) {
        int64_t wall_us = loop_wall_us(http_client_loop(op->transfer.client));
        op->retry_after_ms = i64_max(0, at_s * 1000 - wall_us / 1000);
    }
}

static size_t on_header(char *p, size_t unit, size_t count, void *arg)
{
    struct http_op *op = arg;
    struct str value = str_make(p, unit * count);
    struct str name;
    double ms;
    if (!str_split(&value, ':', &name) || value.p == NULL) {
        return unit * count;
    }
    value = str_trim(value);
    if (str_eq_nocase(name, STR("Date"))) {
        char text[64];
        str_copy_cut(value, text, sizeof text);
        int64_t at_s = (int64_t)curl_getdate(text, NULL);
        op->server_date_us = at_s > 0 ? at_s * 1000000 : 0;
    } else if (str_eq_nocase(name, STR("Retry-After")) && op->retry_after_ms < 0) {
        take_retry_after(op, value);
    } else if (str_eq_nocase(name, STR("retry-after-ms")) && str_to_double(value, &ms) == 0 &&
               ms >= 0 && ms < 1e12) {
        op->retry_after_ms = (int64_t)ms; /* finer than Retry-After: wins in either order */
    }
    return unit * count;
}

/* Where HTTP_OUTSIDE is decided: the address that is about to be connected to, whatever the name
 * said a moment ago. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_op *op = arg;
    if (purpose != CURLSOCKTYPE_IPCXN || (!op->any_address && !address_is_public(&address->addr))) {
        op->refused_address = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool on_allow_list(const struct http_client *c, const struct url *url)
{
    struct str rest = str_of(c->allowed_hosts);
    struct str entry;
    char wanted[300];
    (void)snprintf(wanted, sizeof wanted, STR_FMT ":%u", STR_ARG(str_head(url->host, 256)),
                   url->port);
    while (str_split(&rest, ',', &entry)) {
        if (str_eq_nocase(str_trim(entry), str_of(wanted))) {
            return true;
        }
    }
    return false;
}

static int judge(const struct http_client *c, const struct http_ask *ask, bool *any_address)
{
    struct url url;
    *any_address = true;
    if (url_parse(str_of(ask->url), &url) < 0 || url.web_socket) {
        return -EINVAL;
    }
    if (ask->trust == HTTP_OPERATOR) {
        return url_operator_ok(ask->url) ? 0 : -EINVAL;
    }
    if (on_allow_list(c, &url)) {
        return 0;
    }
    *any_address = false;
    return url.secure && (url.port == 443 || url.port == 8443) ? 0 : -EINVAL;
}

static void add_header(struct http_op *op, const char *line)
{
    struct curl_slist *headers = curl_slist_append(op->headers, line);
    assert(headers != NULL);
    op->headers = headers;
}

static void set_method(struct http_op *op, const struct http_ask *ask)
{
    CURL *easy = op->transfer.easy;
    struct str method = str_of(ask->method);
    bool has_body = ask->body.len > 0 || str_eq(method, STR("POST"));
    if (has_body) {
        op->body_text = xstrndup(ask->body.p == NULL ? "" : ask->body.p, ask->body.len);
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, op->body_text);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.len);
    } else if (str_eq(method, STR("HEAD"))) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (!str_eq(method, STR("HEAD"))) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, ask->method);
    }
}

static void set_options(struct http_op *op, const struct http_ask *ask)
{
    CURL *easy = op->transfer.easy;
    set_method(op, ask);
    for (size_t i = 0; ask->headers != NULL && ask->headers[i] != NULL; i++) {
        add_header(op, ask->headers[i]);
    }
    add_header(op, "Expect:");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, op->headers);
    if (ask->user != NULL) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(easy, CURLOPT_USERNAME, ask->user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, ask->password == NULL ? "" : ask->password);
    }
    if (ask->once) {
        /* A kept connection that dies before the answer makes libcurl send the POST again
         * (measured: two dials, one 201). A connection of its own is never retried. */
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    }
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "dialwright/" DIALWRIGHT_VERSION);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, op);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, op);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, op);
}

int http_start(struct http_op **op_p, struct http_client *c, const struct http_ask *ask,
               http_done_fn *on_done, void *arg)
{
    bool any_address;
    if (judge(c, ask, &any_address) < 0 || ask->timeout_ms == 0) {
        return -EINVAL;
    }
    struct http_op *op = xzalloc(sizeof *op);
    op->any_address = any_address;
    op->answer_max = ask->answer_max == 0 ? LIMIT_REST_BODY_BYTES : ask->answer_max;
    op->to_fd = ask->to_fd;
    op->retry_after_ms = -1;
    op->on_done = on_done;
    op->arg = arg;
    buf_init(&op->body, op->answer_max + 1);
    op->transfer.on_done = on_op_done;
    op->transfer.easy = http_easy_new(ask->url, ask->timeout_ms);
    set_options(op, ask);
    int err = http_transfer_add(&op->transfer, c);
    if (err < 0) {
        http_cancel(&op);
        return err;
    }
    *op_p = op;
    return 0;
}

static struct fault fault_of(const struct http_op *op)
{
    CURLcode result = op->transfer.result;
    if (op->too_large) {
        return fault_make(FAULT_BROKEN, 0, "too_large", "the answer is larger than %zu bytes",
                          op->answer_max);
    }
    if (op->write_failed) {
        return fault_make(FAULT_BROKEN, 0, "write", "the answer could not be written to its file");
    }
    if (result == CURLE_OK) {
        return fault_none();
    }
    struct fault fault = http_curl_fault(op->transfer.easy, result);
    /* A name has several addresses: that one was refused does not mean that none was asked. */
    if (op->refused_address && fault.class == FAULT_NOT_SENT) {
        return fault_make(FAULT_NOT_SENT, 0, "address", "the host's address is not allowed");
    }
    return fault;
}

static void on_op_done(struct http_transfer *t)
{
    struct http_op *op = CONTAINER_OF(t, struct http_op, transfer);
    char *content_type = NULL;
    char type[128] = "";
    long status = 0;
    struct http_result result = {.fault = fault_of(op),
                                 .retry_after_ms = op->retry_after_ms,
                                 .server_date_us = op->server_date_us,
                                 .body_bytes = op->body_bytes};
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &content_type);
    str_copy_cut(str_of(content_type), type, sizeof type);
    result.status = (int)status;
    result.content_type = str_of(type);
    struct buf body = op->body;
    buf_init(&op->body, 0);
    result.body = buf_str(&body);

    http_done_fn *on_done = op->on_done;
    void *arg = op->arg;
    http_cancel(&op); /* nothing of ours is alive when the caller hears of it */
    on_done(&result, arg);
    buf_fini(&body);
}

void http_cancel(struct http_op **op_p)
{
    if (op_p == NULL || *op_p == NULL) {
        return;
    }
    struct http_op *op = *op_p;
    *op_p = NULL;
    http_transfer_remove(&op->transfer);
    curl_slist_free_all(op->headers);
    xfree(op->body_text);
    buf_fini(&op->body);
    xfree(op);
}

bool url_operator_ok(const char *url)
{
    return url_rule_operator(str_of(url));
}
