/* url.h -- the parts of an absolute URL, as far as our own rules need them.
 *
 * Not a general parser: libcurl reads the URLs it fetches. This one is strict, for settings and for
 * judging: no user part, no white space, control or non-ASCII bytes, no backslash, a host of letters,
 * digits, '.', '-' and '_', or an IPv6 address in brackets.
 *
 * Owner   the parts point into the text.
 * Thread  any.
 * Errors  -EINVAL. */
#ifndef BASE_URL_H
#define BASE_URL_H

#include "base/str.h"

struct url {
    struct str scheme; /* as written */
    struct str host;   /* without brackets */
    uint16_t port;     /* the scheme's own when none is written; 0: unknown scheme */
    struct str rest;   /* from the first '/', '?' or '#'; may be empty */
    bool secure;       /* https, wss */
    bool web_socket;   /* ws, wss */
};

int url_parse(struct str text, struct url *out) MUST_USE; /* http, https, ws, wss */
bool url_host_is_loopback(struct str host); /* localhost, 127.0.0.0/8 in dotted form, ::1 */
/* Operator settings may name plain http: or ws: on loopback only (INTERFACES). */
bool url_rule_operator(struct str text);

#endif
