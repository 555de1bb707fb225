/* http_client_priv.h -- what http_client.c and ws_connect.c share: one libcurl multi per loop.
 *
 * Owner   the http_client; it outlives http_client_free() while WebSockets run over its handles.
 * Thread  the loop's. */
#ifndef NET_HTTP_CLIENT_PRIV_H
#define NET_HTTP_CLIENT_PRIV_H

#include "base/list.h"
#include "net/http_client.h"

#include <curl/curl.h>

/* One easy handle in the multi. on_done runs from the client's own turn, never inside libcurl; the
 * handle is still in the multi then. */
struct http_transfer {
    struct list link;
    struct http_client *client;
    CURL *easy;
    bool done;
    CURLcode result;
    void (*on_done)(struct http_transfer *t);
};

int http_transfer_add(struct http_transfer *t, struct http_client *c) MUST_USE; /* -EBUSY */
void http_transfer_remove(struct http_transfer *t); /* out of the multi; frees the easy handle */
/* The options every transfer has: no signals, no proxy, no redirects, checked certificates. */
CURL *http_easy_new(const char *url, uint32_t timeout_ms);
struct loop *http_client_loop(struct http_client *c);
/* FAULT_NOT_SENT when libcurl can say so for certain, else FAULT_UNSURE. */
struct fault http_curl_fault(CURL *easy, CURLcode result);
/* A WebSocket that goes on over its easy handle: the client's multi must stay. */
void http_client_hold(struct http_client *c);
void http_client_release(struct http_client *c);

#endif
