/* The POST that places a call, exactly as the dialer makes it, against a carrier that dies in every way there
 * is: whatever happens, one ask is at most one request. net/once_control_test.c shows that the same server sees two
 * from a client that is not so careful. */
#include "carrier/carrier.h"
#include "net/dying_server.h"

#include <dlfcn.h>
#include <netdb.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

/* --- names that lead where a test wants them ----------------------------------------------------- */

/* For "two.invalid", in this order; 0 ends. Stands before the C library's function for libcurl too. */
static struct sockaddr_storage two_invalid[3];
/* Whoever connects to a public address gets there instead. */
static struct sockaddr_in instead_of_public;

static struct addrinfo *entry(const struct sockaddr_storage *at, const struct addrinfo *hints,
                              uint16_t port)
{
    struct addrinfo *a = xzalloc(sizeof *a + sizeof *at);
    struct sockaddr_storage *copy = (struct sockaddr_storage *)(a + 1);
    *copy = *at;
    a->ai_family = at->ss_family;
    a->ai_socktype = hints != NULL && hints->ai_socktype != 0 ? hints->ai_socktype : SOCK_STREAM;
    a->ai_addr = (struct sockaddr *)copy;
    if (at->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)copy)->sin6_port = htons(port);
        a->ai_addrlen = sizeof(struct sockaddr_in6);
    } else {
        ((struct sockaddr_in *)copy)->sin_port = htons(port);
        a->ai_addrlen = sizeof(struct sockaddr_in);
    }
    return a;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    typedef int lookup_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (name == NULL || strcmp(name, "two.invalid") != 0) {
        lookup_fn *real = __extension__(lookup_fn *) dlsym(RTLD_NEXT, "getaddrinfo");
        return real(name, service, hints, out);
    }
    int64_t port = 0;
    cr_assert_eq(str_to_i64(str_of(service), &port), 0);
    struct addrinfo **next = out;
    for (size_t i = 0; i < COUNT_OF(two_invalid) && two_invalid[i].ss_family != 0; i++) {
        *next = entry(&two_invalid[i], hints, (uint16_t)port);
        next = &(*next)->ai_next;
    }
    return 0;
}

/* The C library's would look into its own allocations. */
void freeaddrinfo(struct addrinfo *list)
{
    typedef void free_fn(struct addrinfo *);
    if (list != NULL && (void *)list->ai_addr != (void *)(list + 1)) {
        free_fn *real = __extension__(free_fn *) dlsym(RTLD_NEXT, "freeaddrinfo");
        real(list);
        return;
    }
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        xfree(list);
        list = next;
    }
}

int connect(int fd, __CONST_SOCKADDR_ARG to, socklen_t size)
{
    const struct sockaddr *at = to.__sockaddr__;
    typedef int connect_fn(int, __CONST_SOCKADDR_ARG, socklen_t);
    connect_fn *real = __extension__(connect_fn *) dlsym(RTLD_NEXT, "connect");
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)at;
    if (instead_of_public.sin_family != 0 && at->sa_family == AF_INET &&
        v4->sin_addr.s_addr == htonl(0x08080808)) {
        to.__sockaddr_in__ = &instead_of_public;
        return real(fd, to, sizeof instead_of_public);
    }
    return real(fd, to, size);
}

/* --- TLS ------------------------------------------------------------------------------------------- */

/* Signed by itself, and trusted by the client by SSL_CERT_FILE. */
static SSL_CTX *tls_new(void)
{
    static char path[] = "/tmp/dw_once_XXXXXX";
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:two.invalid");
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    cr_assert_gt(X509_sign(cert, key, EVP_sha256()), 0);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    cr_assert_eq(SSL_CTX_use_certificate(ctx, cert), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey(ctx, key), 1);
    FILE *file = fdopen(mkstemp(path), "w");
    cr_assert_eq(PEM_write_X509(file, cert), 1);
    cr_assert_eq(fclose(file), 0);
    setenv("SSL_CERT_FILE", path, 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

static void tls_free(SSL_CTX *ctx)
{
    SSL_CTX_free(ctx);
    unlink(getenv("SSL_CERT_FILE"));
    unsetenv("SSL_CERT_FILE");
}

/* --- the client: ours, through the carrier's own door ------------------------------------------------ */

struct customer {
    struct loop *loop;
    struct http_client *http;
    struct carrier_account account;
    int reports;
    struct carrier_placed placed;
    int warmed;
};

static const struct carrier_urls urls = {.public_url = "https://voice.example.com"};

static void customer_open(struct customer *c, const char *scheme, const char *host, uint16_t port)
{
    char allowed[64];
    *c = (struct customer){.account = {.auth_id = "MA1", .auth_token = {"the token"}}};
    snprintf(allowed, sizeof allowed, "%s:%u", host, port);
    snprintf(c->account.api_url, sizeof c->account.api_url, "%s://%s/v1", scheme, allowed);
    c->loop = loop_new(LOOP_REAL);
    c->http = http_client_new(c->loop, allowed);
}

static void customer_close(struct customer *c)
{
    http_client_free(&c->http);
    loop_free(&c->loop);
}

static void on_placed(const struct carrier_placed *placed, void *arg)
{
    struct customer *c = arg;
    c->reports++;
    c->placed = *placed;
}

static void place(struct customer *c, uint32_t timeout_ms)
{
    const struct carrier_ask ask = {.identity = {.attempt_number = 1, .expires_s = 2000000000},
                                    .from_e164 = "+14155550100",
                                    .to_e164 = "+14155550123",
                                    .timeout_ms = timeout_ms};
    struct carrier_op *op = NULL;
    int before = c->reports;
    cr_assert_eq(carrier_plivo.place_start(&op, c->http, &urls, &c->account, &ask, on_placed, c),
                 0);
    WAIT_FOR(c->loop, c->reports == before + 1);
}

static void on_warm(const struct http_result *result, void *arg)
{
    struct customer *c = arg;
    (void)result;
    c->warmed++;
}

/* Leaves connections in the pool that a careless client would use for its next request. */
static void warm(struct customer *c)
{
    struct http_op *op = NULL;
    struct http_ask ask = {
        .method = "GET", .url = c->account.api_url, .timeout_ms = 10000, .trust = HTTP_OUTSIDE};
    cr_assert_eq(http_start(&op, c->http, &ask, on_warm, c), 0);
    WAIT_FOR(c->loop, c->warmed == 1);
}

/* --- every way ---------------------------------------------------------------------------------------- */

static const struct way ways[] = {
    {"taken", AT_BODY, TAKEN_201 "\r\n" TAKEN, KEEP, FAULT_NONE},
    {"taken, then a reset", AT_BODY, TAKEN_201 "\r\n" TAKEN, RST, FAULT_NONE},
    {"taken, by HTTP/1.0 without a length", AT_BODY,
     "HTTP/1.0 201 Created\r\nContent-Type: application/json\r\n\r\n" TAKEN, FIN, FAULT_NONE},
    {"FIN at accept", AT_ACCEPT, "", FIN, FAULT_UNSURE},
    {"RST at accept", AT_ACCEPT, "", RST, FAULT_UNSURE},
    {"an answer before the question, then FIN", AT_ACCEPT, JSON_HEAD("408 Request Timeout", ""),
     FIN, FAULT_UNSURE},
    {"FIN before the first byte", AT_BODY, "", FIN, FAULT_UNSURE},
    {"RST before the first byte", AT_BODY, "", RST, FAULT_UNSURE},
    {"FIN within the status line", AT_BODY, "HTTP/1.1 20", FIN, FAULT_UNSURE},
    {"RST within the status line", AT_BODY, "HTTP/1.1 20", RST, FAULT_UNSURE},
    {"FIN within the headers", AT_BODY, "HTTP/1.1 201 Created\r\nContent-Le", FIN, FAULT_UNSURE},
    {"RST within the headers", AT_BODY, "HTTP/1.1 201 Created\r\nContent-Le", RST, FAULT_UNSURE},
    {"FIN after the headers", AT_BODY, TAKEN_201 "\r\n", FIN, FAULT_UNSURE},
    {"RST within the body", AT_BODY, TAKEN_201 "\r\n{\"mess", RST, FAULT_UNSURE},
    {"a chunk that is cut", AT_BODY,
     "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{\"message\"", FIN,
     FAULT_UNSURE},
    {"100, then FIN", AT_BODY, "HTTP/1.1 100 Continue\r\n\r\n", FIN, FAULT_UNSURE},
    {"100, then RST", AT_BODY, "HTTP/1.1 100 Continue\r\n\r\n", RST, FAULT_UNSURE},
    {"100, then taken", AT_BODY, "HTTP/1.1 100 Continue\r\n\r\n" TAKEN_201 "\r\n" TAKEN, KEEP,
     FAULT_NONE},
    {"103, then FIN", AT_BODY, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", FIN, FAULT_UNSURE},
    {"301", AT_BODY, MOVED("301 Moved Permanently"), KEEP, FAULT_UNSURE},
    {"302", AT_BODY, MOVED("302 Found"), KEEP, FAULT_UNSURE},
    {"303", AT_BODY, MOVED("303 See Other"), KEEP, FAULT_UNSURE},
    {"307", AT_BODY, MOVED("307 Temporary Redirect"), KEEP, FAULT_UNSURE},
    {"308", AT_BODY, MOVED("308 Permanent Redirect"), KEEP, FAULT_UNSURE},
    {"401 Basic", AT_BODY, JSON_HEAD("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n"),
     KEEP, FAULT_REFUSED},
    {"401 Digest", AT_BODY,
     JSON_HEAD("401 Unauthorized",
               "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\", qop=\"auth\"\r\n"),
     KEEP, FAULT_REFUSED},
    {"401 NTLM", AT_BODY,
     JSON_HEAD("401 Unauthorized", "WWW-Authenticate: NTLM\r\nWWW-Authenticate: Negotiate\r\n"),
     KEEP, FAULT_REFUSED},
    {"407", AT_BODY,
     JSON_HEAD("407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"x\"\r\n"),
     KEEP, FAULT_UNSURE},
    {"408", AT_BODY, JSON_HEAD("408 Request Timeout", "Connection: close\r\n"), FIN, FAULT_UNSURE},
    {"417", AT_BODY, JSON_HEAD("417 Expectation Failed", ""), KEEP, FAULT_UNSURE},
    {"421", AT_BODY, JSON_HEAD("421 Misdirected Request", ""), KEEP, FAULT_UNSURE},
    {"425", AT_BODY, JSON_HEAD("425 Too Early", ""), KEEP, FAULT_UNSURE},
    {"429, try again at once", AT_BODY, JSON_HEAD("429 Too Many Requests", "Retry-After: 0\r\n"),
     KEEP, FAULT_UNSURE},
    {"502", AT_BODY, JSON_HEAD("502 Bad Gateway", ""), KEEP, FAULT_UNSURE},
    {"503, try again at once", AT_BODY, JSON_HEAD("503 Service Unavailable", "Retry-After: 0\r\n"),
     KEEP, FAULT_UNSURE},
    {"an upgrade nobody asked for", AT_BODY,
     "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
     "\0\0\0\4\0\0\0\0\0",
     FIN, FAULT_UNSURE},
    {"426", AT_BODY,
     JSON_HEAD("426 Upgrade Required", "Connection: Upgrade\r\nUpgrade: h2c, HTTP/2.0\r\n"), KEEP,
     FAULT_UNSURE},
    {"taken, with offers of other places", AT_BODY,
     TAKEN_201 "Upgrade: h2,h2c\r\nAlt-Svc: h3=\":443\", h2=\":443\"\r\nRefresh: 0\r\n\r\n" TAKEN,
     KEEP, FAULT_NONE},
    {"two answers", AT_BODY,
     TAKEN_201 "\r\n" TAKEN "HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\n\r\n", KEEP,
     FAULT_NONE},
    {"silence", AT_BODY, "", SILENT, FAULT_UNSURE},
    {"silence after 100", AT_BODY, "HTTP/1.1 100 Continue\r\n\r\n", SILENT, FAULT_UNSURE},
    {"a body without an end", AT_BODY, "HTTP/1.1 201 Created\r\n\r\n", DRIP, FAULT_UNSURE},
    {"headers without an end", AT_BODY, "HTTP/1.1 201 Created\r\nX-Long: ", DRIP, FAULT_UNSURE},
    {"a kept connection that dies", AT_BODY, TAKEN_201 "\r\n" TAKEN, DROP_SECOND, FAULT_NONE},
};

/* One ask in one way: what the dialer hears, and how often the carrier was asked. */
static void try_way(const struct way *way, SSL_CTX *tls, bool warmed)
{
    struct stub stub;
    struct customer c;
    bool times_out = way->end == SILENT || way->end == DRIP;
    stub_listen(&stub, way, tls, "127.0.0.1", 0);
    customer_open(&c, tls != NULL ? "https" : "http", "127.0.0.1", stub.port);
    if (warmed && way->moment == AT_BODY) {
        warm(&c);
    }
    place(&c, times_out ? 250 : 10000);
    customer_close(&c);
    stub_end(&stub);
    const char *how = tls != NULL ? "TLS" : "plain";
    cr_expect_eq(c.placed.fault.class, way->class, "%s, %s: %s", way->name, how,
                 fault_class_name(c.placed.fault.class));
    cr_expect_leq(atomic_load(&stub.bodies), 1, "%s, %s: asked %d times", way->name, how,
                  atomic_load(&stub.bodies));
    cr_expect(way->moment == AT_ACCEPT || atomic_load(&stub.bodies) == 1, "%s, %s: never asked",
              way->name, how);
    cr_expect(way->class != FAULT_UNSURE || c.placed.resolved_by[0] == '\0',
              "%s, %s: taken for known (%s)", way->name, how, c.placed.resolved_by);
}

Test(once, whatever_the_carrier_does_it_is_asked_once, .timeout = 60)
{
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        try_way(&ways[i], NULL, false);
        try_way(&ways[i], NULL, true);
    }
}

Test(once, and_over_tls, .timeout = 60)
{
    SSL_CTX *tls = tls_new();
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        try_way(&ways[i], tls, false);
        try_way(&ways[i], tls, true);
    }
    tls_free(tls);
}

/* A pool full of connections that die at their next request: none of them is used. */
Test(once, nothing_kept_is_used)
{
    static const struct way dies = {"", AT_BODY, TAKEN_201 "\r\n" TAKEN, DROP_SECOND, FAULT_NONE};
    struct stub stub;
    struct customer c;
    stub_listen(&stub, &dies, NULL, "127.0.0.1", 0);
    customer_open(&c, "http", "127.0.0.1", stub.port);
    warm(&c);
    for (int i = 1; i <= 5; i++) {
        place(&c, 10000);
        cr_expect_eq(c.placed.fault.class, FAULT_NONE);
        cr_expect_eq(atomic_load(&stub.bodies), i);
    }
    customer_close(&c);
    stub_end(&stub);
    cr_expect_eq(atomic_load(&stub.link_count), 6, "each on a connection of its own");
}

/* --- several addresses ----------------------------------------------------------------------------- */

static void point(size_t i, const char *host)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&two_invalid[i];
    struct sockaddr_in *v4 = (struct sockaddr_in *)&two_invalid[i];
    memset(&two_invalid[i], 0, sizeof two_invalid[i]);
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        return;
    }
    memset(&two_invalid[i], 0, sizeof two_invalid[i]);
    cr_assert_eq(inet_pton(AF_INET, host, &v4->sin_addr), 1);
    v4->sin_family = AF_INET;
}

static bool can_bind(const char *host)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    bool six = inet_pton(AF_INET6, host, &v6.sin6_addr) == 1;
    (void)inet_pton(AF_INET, host, &v4.sin_addr);
    int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool can = fd >= 0 && bind(fd, six ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
                               six ? sizeof v6 : sizeof v4) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return can;
}

static const struct way good = {"", AT_BODY, TAKEN_201 "\r\n" TAKEN, KEEP, FAULT_NONE};

/* The first address takes the connection and dies: the second must not be asked for the same call. */
Test(once, no_second_address_for_the_same_call)
{
    static const char *const firsts[] = {"127.0.0.2", "::1"};
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        const char *first = firsts[i % COUNT_OF(firsts)];
        if (ways[i].class != FAULT_UNSURE || ways[i].end == SILENT || ways[i].end == DRIP ||
            !can_bind(first)) {
            continue;
        }
        struct stub one;
        struct stub two;
        struct customer c;
        stub_listen(&one, &ways[i], NULL, first, 0);
        stub_listen(&two, &good, NULL, "127.0.0.1", one.port);
        point(0, first);
        point(1, "127.0.0.1");
        customer_open(&c, "http", "two.invalid", one.port);
        place(&c, 10000);
        customer_close(&c);
        stub_end(&one);
        stub_end(&two);
        cr_expect_eq(c.placed.fault.class, FAULT_UNSURE, "%s at %s", ways[i].name, first);
        cr_expect_leq(atomic_load(&one.bodies) + atomic_load(&two.bodies), 1, "%s at %s",
                      ways[i].name, first);
        cr_expect_eq(atomic_load(&two.bodies), 0, "%s at %s", ways[i].name, first);
    }
}

/* Nobody at the first address: the second is asked, once. This is what several addresses are for. */
Test(once, a_dead_first_address_costs_nothing)
{
    struct stub stub;
    struct customer c;
    stub_listen(&stub, &good, NULL, "127.0.0.1", 0);
    point(0, "127.0.0.2");
    point(1, "127.0.0.1");
    customer_open(&c, "http", "two.invalid", stub.port);
    place(&c, 10000);
    cr_expect_eq(c.placed.fault.class, FAULT_NONE, "%s", c.placed.fault.text);
    customer_close(&c);
    stub_end(&stub);
    cr_expect_eq(atomic_load(&stub.bodies), 1);
}

/* Two addresses, the first one not public: it is refused, the second is asked, and dies. That one of them was
 * refused says nothing of what reached the other: the call may ring. */
Test(once, a_refused_address_does_not_make_it_unsent)
{
    static const struct way dies = {"", AT_BODY, "", RST, FAULT_UNSURE};
    struct stub stub;
    struct customer c;
    SSL_CTX *tls = tls_new();
    stub_listen(&stub, &dies, tls, "127.0.0.1", 0);
    point(0, "fd00::1");
    point(1, "8.8.8.8");
    instead_of_public = (struct sockaddr_in){.sin_family = AF_INET,
                                             .sin_port = htons(stub.port),
                                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    customer_open(&c, "https", "two.invalid", 8443);
    http_client_free(&c.http);
    c.http = http_client_new(c.loop, NULL); /* nothing allowed but what is public */
    place(&c, 10000);
    customer_close(&c);
    stub_end(&stub);
    tls_free(tls);
    cr_expect_eq(atomic_load(&stub.bodies), 1);
    cr_expect_eq(c.placed.fault.class, FAULT_UNSURE, "%s", c.placed.fault.text);
    cr_expect_str_eq(c.placed.resolved_by, "");
}

/* --- proxies ------------------------------------------------------------------------------------------ */

Test(once, no_proxy_of_the_environment)
{
    SSL_CTX *tls = tls_new();
    for (int secure = 0; secure < 2; secure++) {
        struct stub stub;
        struct stub proxy;
        struct customer c;
        stub_listen(&stub, &good, secure != 0 ? tls : NULL, "127.0.0.1", 0);
        stub_listen(&proxy, &good, NULL, "127.0.0.1", 0);
        set_proxies(proxy.port);
        customer_open(&c, secure != 0 ? "https" : "http", "127.0.0.1", stub.port);
        place(&c, 10000);
        customer_close(&c);
        stub_end(&stub);
        stub_end(&proxy);
        cr_expect_eq(c.placed.fault.class, FAULT_NONE);
        cr_expect_eq(atomic_load(&stub.bodies), 1);
        cr_expect_eq(atomic_load(&proxy.link_count), 0, "the proxy was asked");
    }
    tls_free(tls);
}
