#include "base/url.h"

#include <arpa/inet.h>
#include <errno.h>

#define URL_BYTES_MAX 2048

static const struct {
    const char *scheme;
    uint16_t port;
    bool secure;
    bool web_socket;
} schemes[] = {
    {"http", 80, false, false},
    {"https", 443, true, false},
    {"ws", 80, false, true},
    {"wss", 443, true, true},
};

static bool clean(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] <= ' ' || text.p[i] > '~' || text.p[i] == '\\') {
            return false;
        }
    }
    return text.len > 0 && text.len <= URL_BYTES_MAX;
}

static int take_scheme(struct str *text, struct url *url)
{
    ptrdiff_t colon = str_find_char(*text, ':');
    if (colon <= 0 || !str_starts(str_skip(*text, (size_t)colon), STR("://"))) {
        return -EINVAL;
    }
    url->scheme = str_head(*text, (size_t)colon);
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (str_eq_nocase(url->scheme, str_of(schemes[i].scheme))) {
            url->port = schemes[i].port;
            url->secure = schemes[i].secure;
            url->web_socket = schemes[i].web_socket;
            *text = str_skip(*text, (size_t)colon + 3);
            return 0;
        }
    }
    return -EINVAL;
}

static bool host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

static int take_host(struct str *authority, struct url *url)
{
    size_t len = 0;
    if (str_starts(*authority, STR("["))) {
        char text[INET6_ADDRSTRLEN];
        struct in6_addr address;
        ptrdiff_t end = str_find_char(*authority, ']');
        if (end < 0 ||
            str_copy(str_make(authority->p + 1, (size_t)end - 1), text, sizeof text) < 0 ||
            inet_pton(AF_INET6, text, &address) != 1) {
            return -EINVAL;
        }
        url->host = str_make(authority->p + 1, (size_t)end - 1);
        *authority = str_skip(*authority, (size_t)end + 1);
        return 0;
    }
    while (len < authority->len && host_char(authority->p[len])) {
        len++;
    }
    url->host = str_head(*authority, len);
    *authority = str_skip(*authority, len);
    return len == 0 ? -EINVAL : 0;
}

int url_parse(struct str text, struct url *out)
{
    struct url url = {0};
    if (!clean(text) || take_scheme(&text, &url) < 0) {
        return -EINVAL;
    }
    size_t end = 0;
    while (end < text.len && text.p[end] != '/' && text.p[end] != '?' && text.p[end] != '#') {
        end++;
    }
    struct str authority = str_head(text, end);
    url.rest = str_skip(text, end);
    if (take_host(&authority, &url) < 0) {
        return -EINVAL; /* an '@' ends here too: host_char() has none */
    }
    if (authority.len > 0) {
        int64_t port;
        if (authority.p[0] != ':' || str_to_i64(str_skip(authority, 1), &port) < 0 || port < 1 ||
            port > UINT16_MAX) {
            return -EINVAL;
        }
        url.port = (uint16_t)port;
    }
    *out = url;
    return 0;
}

bool url_host_is_loopback(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;
    if (str_eq_nocase(host, STR("localhost"))) {
        return true;
    }
    if (str_copy(host, text, sizeof text) < 0) {
        return false;
    }
    if (inet_pton(AF_INET, text, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool url_rule_operator(struct str text)
{
    struct url url;
    return url_parse(text, &url) == 0 && (url.secure || url_host_is_loopback(url.host));
}
