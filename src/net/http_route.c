#include "net/http_priv.h"

#include <errno.h>

/* "{name}" takes one segment, "{name...}" the rest, anything else is itself. */
static bool match_segment(struct http_request *req, struct str pattern, struct str *path)
{
    struct str segment;
    struct str rest = *path;
    if (!str_starts(pattern, STR("{"))) {
        return str_split(path, '/', &segment) && str_eq(segment, pattern);
    }
    struct str name = str_make(pattern.p + 1, pattern.len - 2);
    bool takes_rest = str_ends(name, STR("..."));
    assert(req->param_count < HTTP_PARAMS_MAX);
    if (takes_rest) {
        name.len -= 3;
        segment = rest;
        *path = STR_NONE;
    } else if (!str_split(path, '/', &segment)) {
        return false;
    }
    if (segment.len == 0) {
        return false;
    }
    req->params[req->param_count++] = (struct http_param){name, segment};
    return true;
}

static bool match(struct http_request *req, struct str pattern)
{
    struct str path = str_skip(req->path, 1);
    struct str segment;
    req->param_count = 0;
    if (!str_starts(req->path, STR("/"))) {
        return false;
    }
    pattern = str_skip(pattern, 1);
    while (str_split(&pattern, '/', &segment)) {
        if (!match_segment(req, segment, &path)) {
            return false;
        }
    }
    return path.p == NULL;
}

int http_route_find(struct http_request *req, bool *path_known)
{
    struct str method = str_eq(req->method, STR("HEAD")) ? STR("GET") : req->method;
    *path_known = false;
    for (size_t i = 0; i < req->server->route_count; i++) {
        const struct http_route *route = &req->server->routes[i];
        if (!match(req, str_of(route->pattern))) {
            continue;
        }
        *path_known = true;
        if (str_eq_cstr(method, route->method)) {
            req->route = route;
            return 0;
        }
    }
    return -ENOENT;
}
