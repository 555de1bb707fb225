#include "net/http_server.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "net/http_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SWEEP_MS       1000
#define RUNS_A_TURN    16
#define LISTEN_BACKLOG 1024
/* Head, parsed header list and a part of the body live in MHD's pool of one connection. */
#define POOL_BYTES (LIMIT_HTTP_HEAD_BYTES + 4096)

struct upgrade {
    struct list link;
    struct MHD_UpgradeResponseHandle *handle;
};

static void on_kick(void *arg);
static void on_sweep(void *arg);

/* The upgraded descriptor was duplicated, so MHD can forget the connection at once: its pool is
 * freed and stopping the daemon never depends on a live call. */
void http_upgraded(struct http_server *s, struct MHD_UpgradeResponseHandle *handle)
{
    struct upgrade *upgrade = xzalloc(sizeof *upgrade);
    upgrade->handle = handle;
    list_push_back(&s->upgrades, &upgrade->link);
}

static void finish_upgrades(struct http_server *s)
{
    for (struct list *l = list_pop_front(&s->upgrades); l != NULL;
         l = list_pop_front(&s->upgrades)) {
        struct upgrade *upgrade = LIST_ITEM(l, struct upgrade, link);
        (void)MHD_upgrade_action(upgrade->handle, MHD_UPGRADE_ACTION_CLOSE);
        xfree(upgrade);
        http_server_kick(s);
    }
}

/* MHD works; handlers run in here. True: it has more to do at once. */
static bool run(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    s->in_run = true;
    for (int i = 0; i < RUNS_A_TURN; i++) {
        (void)MHD_run(s->daemon);
        if (MHD_get_timeout(s->daemon, &wait_ms) != MHD_YES || wait_ms > 0) {
            wait_ms = 1;
            break;
        }
    }
    s->in_run = false;
    return wait_ms == 0;
}

static void turn(struct http_server *s)
{
    bool more = run(s);
    finish_upgrades(s);
    if (more) {
        http_server_kick(s);
    }
    if (!list_empty(&s->connections) && !timer_running(&s->sweep)) {
        timer_repeat(&s->sweep, s->loop, SWEEP_MS, on_sweep, s);
    }
}

void http_server_kick(struct http_server *s)
{
    if (!timer_running(&s->kick)) {
        timer_start(&s->kick, s->loop, 0, on_kick, s);
    }
}

static void on_kick(void *arg)
{
    turn(arg);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    if (poll->data != NULL) {
        turn(poll->data);
    }
}

void http_conn_phase(struct http_conn *conn, enum http_phase phase)
{
    if (phase == HTTP_HEAD && conn->phase != HTTP_HEAD) {
        conn->first = false;
    }
    conn->phase = phase;
    conn->since_us = loop_now_us(conn->server->loop);
    conn->body_bytes = 0;
}

/* MHD's own timeout is about silence; a client that drips a byte now and then never meets it. */
static bool too_slow(const struct http_conn *conn, int64_t now_us)
{
    int64_t age_s = (now_us - conn->since_us) / 1000000;
    switch (conn->phase) {
    case HTTP_HEAD: /* on a kept-alive connection the pause before the next request counts too */
        return age_s >= (conn->first ? LIMIT_HTTP_HEAD_S : LIMIT_HTTP_TIMEOUT_S);
    case HTTP_BODY:
        return age_s >= LIMIT_HTTP_TIMEOUT_S ||
               (age_s >= 5 && conn->body_bytes < (uint64_t)age_s * LIMIT_HTTP_BODY_RATE);
    case HTTP_WORK: /* see kept_check() */
    case HTTP_SEND:
        return false;
    }
    return false;
}

static void kept_check(struct http_server *s, int64_t now_us)
{
    LIST_EACH_SAFE(l, &s->kept)
    {
        struct http_request *req = LIST_ITEM(l, struct http_request, link);
        struct pollfd fd = {.fd = req->conn->fd, .events = POLLRDHUP};
        if (now_us - req->conn->since_us >= LIMIT_HTTP_TIMEOUT_S * 1000000LL) {
            http_request_expire(req);
        } else if (!req->gone && poll(&fd, 1, 0) > 0) {
            http_request_tell_gone(req); /* suspended sockets are not watched by MHD */
        }
    }
}

static void on_sweep(void *arg)
{
    struct http_server *s = arg;
    int64_t now_us = loop_now_us(s->loop);
    LIST_EACH_SAFE(l, &s->connections)
    {
        struct http_conn *conn = LIST_ITEM(l, struct http_conn, link);
        if (too_slow(conn, now_us)) {
            (void)shutdown(conn->fd, SHUT_RDWR); /* MHD sees the end and cleans up */
        }
    }
    kept_check(s, now_us);
    turn(s); /* MHD's silence timeouts need a run as well */
    if (list_empty(&s->connections)) {
        timer_stop(&s->sweep);
    }
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct http_conn *conn = xzalloc(sizeof *conn);
        conn->server = s;
        conn->first = true;
        conn->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        http_conn_phase(conn, HTTP_HEAD);
        list_push_back(&s->connections, &conn->link);
        *socket_context = conn;
        return;
    }
    struct http_conn *conn = *socket_context;
    if (conn != NULL) {
        list_remove(&conn->link);
        xfree(conn);
        *socket_context = NULL;
    }
}

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    (void)mhd;
    return http_request_new(cls, uri);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *mhd, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_size, void **con_cls)
{
    (void)cls;
    (void)url; /* decoded by MHD; routes match what was sent */
    struct http_request *req = *con_cls;
    if (req->mhd == NULL) {
        req->mhd = mhd;
        req->conn =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
        str_copy_cut(str_of(method), req->method_text, sizeof req->method_text);
        req->method = str_of(req->method_text);
    }
    return http_request_step(req, version, upload, upload_size);
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)mhd;
    (void)code;
    if (*con_cls != NULL) {
        http_request_completed(*con_cls);
        *con_cls = NULL;
    }
}

static void on_mhd_log(void *cls, const char *fmt, va_list ap)
{
    (void)cls; /* what clients do wrong is in the answers; the room stays quiet */
    (void)fmt;
    (void)ap;
}

/* "host:port", "[::]:port" or ":port". Names are looked up: this runs once, at start. */
static int resolve(const char *listen_at, struct addrinfo **out)
{
    struct str text = str_of(listen_at);
    size_t colon = text.len;
    while (colon > 0 && text.p[colon - 1] != ':') {
        colon--;
    }
    int64_t port;
    char host[256];
    char service[8];
    if (colon == 0 || str_to_i64(str_skip(text, colon), &port) < 0 || port < 0 ||
        port > UINT16_MAX || str_copy(str_skip(text, colon), service, sizeof service) < 0) {
        return -EINVAL;
    }
    struct str name = str_head(text, colon - 1);
    if (str_starts(name, STR("[")) && str_ends(name, STR("]"))) {
        name = str_make(name.p + 1, name.len - 2);
    }
    if (str_copy(name, host, sizeof host) < 0) {
        return -EINVAL;
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    return getaddrinfo(host[0] == '\0' ? NULL : host, service, &hints, out) == 0 ? 0 : -EINVAL;
}

static int bind_address(const struct addrinfo *address)
{
    int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    /* SO_REUSEPORT: the next release can start beside this one and take over without a gap. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

static int bind_listen(const char *listen_at, uint16_t *port)
{
    struct addrinfo *addresses = NULL;
    int err = resolve(listen_at, &addresses);
    if (err < 0) {
        return err;
    }
    int fd = bind_address(addresses);
    freeaddrinfo(addresses);
    if (fd < 0) {
        return fd;
    }
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound;
    memset(&bound, 0, sizeof bound);
    socklen_t size = sizeof bound;
    if (getsockname(fd, &bound.any, &size) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    *port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return fd;
}

static struct MHD_Daemon *start_daemon(struct http_server *s, int fd)
{
    unsigned int flags =
        MHD_USE_EPOLL | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_mhd_log, NULL},
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, LIMIT_HTTP_CONNECTIONS, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_BYTES, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, LIMIT_HTTP_TIMEOUT_S, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, s},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, s},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_uri, s},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(flags, 0, NULL, NULL, on_access, s, MHD_OPTION_ARRAY, options,
                            MHD_OPTION_END);
}

static void on_poll_closed(uv_handle_t *handle)
{
    xfree(handle);
}

static void watch(struct http_server *s)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    s->poll = xzalloc(sizeof *s->poll);
    int err = uv_poll_init(loop_uv(s->loop), s->poll, info->epoll_fd);
    assert(err == 0);
    s->poll->data = s;
    err = uv_poll_start(s->poll, UV_READABLE, on_readable);
    assert(err == 0);
}

int http_server_open(struct http_server **out, struct loop *loop, const char *listen_at,
                     const struct http_route *routes, size_t route_count, void *arg)
{
    uint16_t port = 0;
    int fd = bind_listen(listen_at, &port);
    if (fd < 0) {
        return fd;
    }
    struct http_server *s = xzalloc(sizeof *s);
    s->loop = loop;
    s->routes = routes;
    s->route_count = route_count;
    s->arg = arg;
    s->port = port;
    list_init(&s->connections);
    list_init(&s->kept);
    list_init(&s->upgrades);
    list_init(&s->sockets);
    s->daemon = start_daemon(s, fd);
    if (s->daemon == NULL) {
        close(fd);
        xfree(s);
        return -EINVAL;
    }
    watch(s);
    *out = s;
    return 0;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_close(struct http_server **s_p)
{
    if (s_p == NULL || *s_p == NULL) {
        return;
    }
    struct http_server *s = *s_p;
    assert(!s->in_run); /* not inside a handler */
    *s_p = NULL;
    s->poll->data = NULL;
    uv_close((uv_handle_t *)s->poll, on_poll_closed);

    /* MHD aborts the process when it is stopped with anything suspended: answer all, let it run,
     * then stop. It takes the resumed ones back one run later. */
    MHD_socket listening = MHD_quiesce_daemon(s->daemon);
    if (listening != MHD_INVALID_SOCKET) {
        close(listening);
    }
    LIST_EACH_SAFE(l, &s->kept)
    {
        http_request_expire(LIST_ITEM(l, struct http_request, link));
    }
    do {
        (void)run(s);
        finish_upgrades(s);
    } while (timer_running(&s->kick) && (timer_stop(&s->kick), true));
    assert(list_empty(&s->kept));
    MHD_stop_daemon(s->daemon);
    assert(list_empty(&s->connections));

    LIST_EACH_SAFE(l, &s->sockets)
    {
        LIST_ITEM(l, struct http_socket, link)->server = NULL;
        list_remove(l);
    }
    timer_stop(&s->sweep);
    timer_stop(&s->kick);
    xfree(s);
}

void http_socket_done(struct http_socket *handle)
{
    if (handle == NULL) {
        return;
    }
    list_remove(&handle->link);
    if (handle->server != NULL) {
        handle->server->socket_count--;
    }
    xfree(handle);
}
