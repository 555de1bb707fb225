/* ws_tls.h -- TLS whose handshake libcurl has made, carried on over the socket by ourselves.
 *
 * libcurl's own reads and writes cost a walk through its layers and at least one system call more for each
 * record. Here OpenSSL reads and writes the socket as ws_conn does, through the ring where there is one.
 *
 * Owner   the SSL stays libcurl's, who frees it with the easy handle; `under` outlives it. Once the socket
 *         is gone, set under->fd to -1 and under->ring to NULL: what OpenSSL still wants to say is refused.
 * Thread  the loop's.
 * Errors  as struct ws_wire.
 * Source  SSL_set_bio(3), SSL_get_error(3). */
#ifndef NET_WS_TLS_H
#define NET_WS_TLS_H

#include "net/ws_priv.h"

#include <openssl/ssl.h>

int ws_tls_take(SSL *ssl, struct ws_wire *under) MUST_USE; /* -ENOMEM */
ssize_t ws_tls_read(SSL *ssl, void *p, size_t size);
ssize_t ws_tls_write(SSL *ssl, const void *p, size_t size);

#endif
