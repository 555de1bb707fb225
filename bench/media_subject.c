#include "bench/media_subject.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "bench/media_generator.h"
#include "call/call_desk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- the bridge ------------------------------------------------------------------------------- */

struct subject {
    struct loop *loop;
    struct call_desk *desk;
    uv_poll_t stop;
};

struct later { /* a commit that takes no time */
    desk_stored_fn *on_stored;
    void *arg;
};

static void on_commit(void *arg)
{
    struct later *l = arg;
    struct fault none = fault_none();
    l->on_stored(&none, NULL, l->arg);
    xfree(l);
}

static int on_write(const struct desk_write *w, desk_stored_fn *on_stored, void *on_stored_arg,
                    void *arg)
{
    struct subject *s = arg;
    struct later *l = xzalloc(sizeof *l);
    (void)w;
    *l = (struct later){on_stored, on_stored_arg};
    loop_defer(s->loop, on_commit, l);
    return 0;
}

static const char brief_text[] =
    "{\"organization\":{\"id\":\"00000000-0000-7000-8000-000000000001\"},"
    "\"campaign\":{\"id\":\"00000000-0000-7000-8000-000000000002\",\"max_duration_s\":14400,"
    "\"silence_timeout_s\":600,\"recording\":\"on\",\"greeting\":\"{{none}}\","
    "\"disclosure\":\"" GENERATOR_DISCLOSURE "\"},"
    "\"lead\":{\"id\":\"00000000-0000-7000-8000-000000000003\"},"
    "\"call\":{\"id\":\"00000000-0000-7000-8000-%012u\"}}";

struct upgrade {
    struct subject *s;
    struct uuid id;
    char call_uuid[32];
};

static void on_socket(int fd, struct str already_read, struct http_socket *handle, void *arg)
{
    struct upgrade *u = arg;
    if (desk_socket(u->s->desk, &u->id, u->call_uuid, fd, already_read, handle) < 0) {
        (void)close(fd);
        http_socket_done(handle);
    }
    xfree(u);
}

static void on_media(struct http_request *req, void *arg)
{
    int64_t no = 0;
    char text[1024];
    char why[PLAN_WHY_SIZE] = "";
    struct upgrade *u = xzalloc(sizeof *u);
    OWNED(json_free) json_t *brief = NULL;
    OWNED(call_plan_free) struct call_plan *plan = NULL;
    u->s = arg;
    if (str_to_i64(http_param(req, "no"), &no) == 0) {
        (void)snprintf(text, sizeof text, brief_text, (unsigned)no + 1);
        (void)snprintf(u->call_uuid, sizeof u->call_uuid, "call-%u", (unsigned)no);
    }
    if (json_parse(str_of(text), &brief) < 0 ||
        call_plan_make(brief, STR("bench"), loop_wall_us(u->s->loop), &plan, why) < 0 ||
        desk_prepare(u->s->desk, &plan) < 0 ||
        uuid_parse(json_get_str(json_get(brief, "call"), "id"), &u->id) < 0) {
        http_answer_error(req, 503, "busy", why);
        xfree(u);
        return;
    }
    http_upgrade(req, on_socket, u);
}

static void on_stop(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events;
    _exit(0);
}

void subject_bridge(uint16_t model_port, size_t calls, bool poll_only, const char *data_dir,
                    int ready_fd, int stop_fd)
{
    static const struct http_route routes[] = {{"GET", "/media/{no}", 0, on_media}};
    static char url[64];
    static struct subject s;
    struct http_server *server = NULL;
    log_init(LOG_WARN, STR("bench"));
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u/v1/realtime", model_port);
    s.loop = loop_new(LOOP_REAL);
    struct call_env env = {.carrier = &carrier_plivo,
                           .voice = &voice_realtime,
                           .realtime_url = url,
                           .auth_header = "Authorization",
                           .api_key = "bench",
                           .model = "bench",
                           .transcribe_model = "bench",
                           .data_dir = data_dir,
                           .media_loops = 1,
                           .poll_only = poll_only,
                           .calls_max = calls};
    struct desk_store store = {on_write, &s};
    struct desk_hooks hooks = {.arg = &s};
    if (desk_open(&s.desk, s.loop, &env, &store, &hooks) < 0 ||
        http_server_open(&server, s.loop, "127.0.0.1:0", routes, COUNT_OF(routes), &s) < 0) {
        _exit(1);
    }
    uv_poll_init(loop_uv(s.loop), &s.stop, stop_fd);
    uv_poll_start(&s.stop, UV_READABLE | UV_DISCONNECT, on_stop);
    uint16_t port = http_server_port(server);
    if (write(ready_fd, &port, sizeof port) != sizeof port) {
        _exit(1);
    }
    loop_run(s.loop);
    _exit(0);
}

/* --- the yardstick ---------------------------------------------------------------------------- */

static void copy(int from, int to)
{
    char bytes[65536];
    ssize_t n = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
    for (ssize_t off = 0; off < n;) {
        ssize_t sent = send(to, bytes + off, (size_t)(n - off), MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            return;
        }
        off += sent > 0 ? sent : 0;
    }
}

void subject_relay(const int (*pairs)[2], size_t calls, int ready_fd, int stop_fd)
{
    struct epoll_event found[256];
    int ep = epoll_create1(EPOLL_CLOEXEC);
    uint16_t port = 1;
    for (size_t i = 0; i < calls * 2; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.u64 = i};
        (void)epoll_ctl(ep, EPOLL_CTL_ADD, pairs[i / 2][i % 2], &ev);
    }
    struct epoll_event stop = {.events = EPOLLIN | EPOLLHUP, .data.u64 = UINT64_MAX};
    (void)epoll_ctl(ep, EPOLL_CTL_ADD, stop_fd, &stop);
    if (write(ready_fd, &port, sizeof port) != sizeof port) {
        _exit(1);
    }
    for (;;) {
        int n = epoll_wait(ep, found, COUNT_OF(found), -1);
        for (int k = 0; k < n; k++) {
            uint64_t i = found[k].data.u64;
            if (i == UINT64_MAX) {
                _exit(0);
            }
            copy(pairs[i / 2][i % 2], pairs[i / 2][1 - i % 2]);
        }
    }
}
