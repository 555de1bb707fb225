/* Careless clients against the server of the dial's own tests (carrier/plivo/once_test.c): each is heard twice. If one
 * no longer is, that server is blind, and those tests say nothing. */
#include "net/dying_server.h"

#include <curl/curl.h>

static const struct way good = {"", AT_BODY, TAKEN_201 "\r\n" TAKEN, KEEP, FAULT_NONE};
static const struct way kept = {"", AT_BODY, TAKEN_201 "\r\n" TAKEN, DROP_SECOND, FAULT_NONE};
static const struct way moved = {"", AT_BODY, MOVED("307 Temporary Redirect"), KEEP, FAULT_UNSURE};
static const struct way moved_for_good = {"", AT_BODY, MOVED("301 Moved Permanently"), KEEP,
                                          FAULT_UNSURE};
static const struct way challenged = {
    "", AT_BODY, JSON_HEAD("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n"), KEEP,
    FAULT_REFUSED};

static size_t swallow(char *p, size_t unit, size_t count, void *arg)
{
    (void)p;
    (void)arg;
    return unit * count;
}

static CURL *careless(uint16_t port)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/Account/MA1/Call/", port);
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "{\"to\":\"x\"}");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 10000L);
    return easy;
}

/* How often a carrier with that way hears of `asks` asks of a careless client. */
static int heard(const struct way *way, int asks, void (*options)(CURL *easy))
{
    struct stub stub;
    stub_listen(&stub, way, NULL, "127.0.0.1", 0);
    CURL *easy = careless(stub.port);
    if (options != NULL) {
        options(easy);
    }
    for (int i = 0; i < asks; i++) {
        (void)curl_easy_perform(easy);
    }
    curl_easy_cleanup(easy);
    stub_end(&stub);
    return atomic_load(&stub.bodies);
}

static void follow(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL);
}

static void any_auth(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_ANY);
    curl_easy_setopt(easy, CURLOPT_USERPWD, "MA1:the token");
}

Test(once_control, a_kept_connection_is_asked_again)
{
    cr_expect_eq(heard(&kept, 2, NULL), 3,
                 "two asks, three requests: if libcurl no longer does it, the server is blind");
}

Test(once_control, a_redirect_is_followed)
{
    cr_expect_eq(heard(&moved, 1, follow), 2);
    cr_expect_eq(heard(&moved_for_good, 1, follow), 2);
}

Test(once_control, a_challenge_is_answered)
{
    cr_expect_eq(heard(&challenged, 1, any_auth), 2);
}

Test(once_control, a_proxy_is_believed)
{
    struct stub proxy;
    stub_listen(&proxy, &good, NULL, "127.0.0.1", 0);
    set_proxies(proxy.port);
    cr_expect_eq(heard(&good, 1, NULL), 0, "it went to the carrier itself");
    stub_end(&proxy);
    cr_expect_eq(atomic_load(&proxy.bodies), 1);
}
