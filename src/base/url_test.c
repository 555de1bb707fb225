#include "base/url.h"

#include <criterion/criterion.h>
#include <errno.h>

Test(url, parse)
{
    static const struct {
        const char *text;
        int err;
        const char *host;
        uint16_t port;
        const char *rest;
        bool secure;
    } rows[] = {
        {"https://api.plivo.com/v1", 0, "api.plivo.com", 443, "/v1", true},
        {"HTTPS://Host:8443", 0, "Host", 8443, "", true},
        {"ws://[::1]:9/x?y", 0, "::1", 9, "/x?y", false},
        {"wss://h?model=m", 0, "h", 443, "?model=m", true},
        {"http://127.0.0.1:80#f", 0, "127.0.0.1", 80, "#f", false},
        {"", -EINVAL, "", 0, "", false},
        {"https:", -EINVAL, "", 0, "", false},
        {"https://", -EINVAL, "", 0, "", false},
        {"https:///x", -EINVAL, "", 0, "", false},
        {"ftp://h/", -EINVAL, "", 0, "", false},
        {"//h/", -EINVAL, "", 0, "", false},
        {"https://u@h/", -EINVAL, "", 0, "", false},
        {"https://u:p@h/", -EINVAL, "", 0, "", false},
        {"https://h:0/", -EINVAL, "", 0, "", false},
        {"https://h:65536/", -EINVAL, "", 0, "", false},
        {"https://h:/", -EINVAL, "", 0, "", false},
        {"https://h:1x/", -EINVAL, "", 0, "", false},
        {"https://h\\@x/", -EINVAL, "", 0, "", false},
        {"https://h /", -EINVAL, "", 0, "", false},
        {"https://h/\r\nX: y", -EINVAL, "", 0, "", false},
        {"https://h%00/", -EINVAL, "", 0, "", false},
        {"https://[::1/", -EINVAL, "", 0, "", false},
        {"https://[zz]/", -EINVAL, "", 0, "", false},
        {"https://[::1]x/", -EINVAL, "", 0, "", false},
        {"https://h\xc3\xa9/", -EINVAL, "", 0, "", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct url url = {0};
        cr_expect_eq(url_parse(str_of(rows[i].text), &url), rows[i].err, "%s", rows[i].text);
        if (rows[i].err == 0) {
            cr_expect(str_eq_cstr(url.host, rows[i].host), "%s", rows[i].text);
            cr_expect_eq(url.port, rows[i].port, "%s", rows[i].text);
            cr_expect(str_eq_cstr(url.rest, rows[i].rest), "%s", rows[i].text);
            cr_expect_eq(url.secure, rows[i].secure, "%s", rows[i].text);
        }
    }
}

Test(url, operator_rule)
{
    static const struct {
        const char *text;
        bool ok;
    } rows[] = {
        {"https://example.com", true},
        {"wss://example.com", true},
        {"http://127.0.0.1:8080", true},
        {"http://127.255.0.1", true},
        {"ws://localhost:9", true},
        {"http://LOCALHOST", true},
        {"http://[::1]/", true},
        {"http://example.com", false},
        {"ws://example.com", false},
        {"http://127.0.0.1.example.com", false},
        {"http://localhost.example.com", false},
        {"http://0.0.0.0", false},
        {"http://10.0.0.1", false},
        {"http://127.1", false},
        {"http://2130706433", false},
        {"http://[::ffff:127.0.0.1]/", false},
        {"http://localhost@example.com", false},
        {"file:///etc/passwd", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        cr_expect_eq(url_rule_operator(str_of(rows[i].text)), rows[i].ok, "%s", rows[i].text);
    }
}
