/* limits.h -- every bound in one place: what it is, and why this number.
 *
 * A limit that is hit is an ordinary error for whoever hit it, and counted. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* Webhooks and API (security 4.7). */
#define LIMIT_HTTP_HEAD_BYTES    8192
#define LIMIT_WEBHOOK_BODY_BYTES (64 * 1024)
#define LIMIT_API_BODY_BYTES     (256 * 1024)
#define LIMIT_HTTP_CONNECTIONS   2048
#define LIMIT_HTTP_TIMEOUT_S     30
#define LIMIT_HTTP_HEAD_S        10
#define LIMIT_HTTP_HEADERS       64
#define LIMIT_HTTP_BODY_RATE     1024 /* bytes a second, after the first five */
#define LIMIT_FORM_FIELDS        128

/* REST answers that we read. */
#define LIMIT_REST_BODY_BYTES (1024 * 1024)
#define LIMIT_RECORDING_BYTES (200LL * 1024 * 1024)

#define LIMIT_REST_IN_FLIGHT 1024

/* Media socket, carrier to us (security 4.3). */
#define LIMIT_MEDIA_MSG_BYTES (16 * 1024)
#define LIMIT_MEDIA_FRAMES_S  120

/* Model socket: a whole turn's audio can come back in one event (realtime 1.1). */
#define LIMIT_MODEL_MSG_BYTES (16 * 1024 * 1024)
#define LIMIT_WS_FRAGMENTS    8
/* What we let queue towards a peer that does not read before giving the socket up. */
#define LIMIT_WS_SEND_BYTES (1024 * 1024)

/* JSON from outside. */
#define LIMIT_JSON_DEPTH 16
#define LIMIT_JSON_KEYS  1000 /* of one object */

/* Database. */
#define LIMIT_PG_PIPELINE 64   /* units in flight on one connection */
#define LIMIT_PG_WAITING  4096 /* units waiting for a place; then callers get -EBUSY */

/* Mailboxes between loops. */
#define LIMIT_MAILBOX 4096

/* Tools of one call (security 4.9). */
#define LIMIT_TOOL_CALLS        10
#define LIMIT_TOOL_RESULT_BYTES 4096

#define LOG_LINE_MAX 4096
#define LOG_BURST    200

#endif
