#include "net/ws_tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <pthread.h>

static int on_bio_read(BIO *bio, char *p, int size)
{
    ssize_t got = ws_wire_read(BIO_get_data(bio), p, (size_t)size);

    BIO_clear_retry_flags(bio);
    if (got == -EAGAIN || got == -EINTR) {
        BIO_set_retry_read(bio);
    }
    return got < 0 ? -1 : (int)got;
}

static int on_bio_write(BIO *bio, const char *p, int size)
{
    ssize_t done = ws_wire_write(BIO_get_data(bio), p, (size_t)size);

    BIO_clear_retry_flags(bio);
    if (done == -EAGAIN || done == -EINTR) {
        BIO_set_retry_write(bio);
    }
    return done < 0 ? -1 : (int)done;
}

static long on_bio_ctrl(BIO *bio, int what, long number, void *p)
{
    (void)bio;
    (void)number;
    (void)p;
    return what == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method; /* one for the process */

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ws_wire");
    if (method != NULL) {
        (void)BIO_meth_set_read(method, on_bio_read);
        (void)BIO_meth_set_write(method, on_bio_write);
        (void)BIO_meth_set_ctrl(method, on_bio_ctrl);
    }
}

int ws_tls_take(SSL *ssl, struct ws_wire *under)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, make_method);
    BIO *bio = method == NULL ? NULL : BIO_new(method);
    if (bio == NULL) {
        return -ENOMEM;
    }
    BIO_set_data(bio, under);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio); /* libcurl's goes */
    SSL_set_read_ahead(ssl, 1); /* a record in one read, not its header and then its body */
    (void)SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
    return 0;
}

/* ERR_clear_error() comes before each call: what another connection of this thread has left in its
 * queue, a refused certificate say, SSL_get_error() would take for an error of this one. */
static ssize_t failed(SSL *ssl, int result, int err)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return err == -EPIPE ? err : 0;
    default:
        ERR_clear_error();
        return err;
    }
}

ssize_t ws_tls_read(SSL *ssl, void *p, size_t size)
{
    ERR_clear_error();
    int got = SSL_read(ssl, p, size > INT_MAX ? INT_MAX : (int)size);

    return got > 0 ? got : failed(ssl, got, -ECONNRESET);
}

ssize_t ws_tls_write(SSL *ssl, const void *p, size_t size)
{
    ERR_clear_error();
    int done = SSL_write(ssl, p, size > INT_MAX ? INT_MAX : (int)size);

    return done > 0 ? done : failed(ssl, done, -EPIPE);
}
