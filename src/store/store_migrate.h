/* store_migrate.h -- brings the schema forward: numbered files, checksums, one lock, one
 * transaction each.
 *
 *     sql/migrations  tables and data: applied once; changed afterwards, it is refused, because then
 *                     nobody knows what the database holds
 *     sql/functions   functions and triggers (CREATE OR REPLACE): applied again when the text changed,
 *                     so that a function has one place, and its history is that of the file
 *
 * For the command alone: it blocks. What was applied is kept in dialwright.migrations (number,
 * name, SHA-256, when, how long). Two migrators at once take turns (advisory lock).
 *
 * Owner   migrate_open() gives a connection to migrate_close().
 * Thread  one, blocking.
 * Errors  negative errno: -ECONNREFUSED (no connection), -EPERM (server too old, or not ours),
 *         -EBADMSG (a checksum differs, or a file is missing here), -EIO (the server refused a
 * file). `why` then says what, for people. */
#ifndef STORE_STORE_MIGRATE_H
#define STORE_STORE_MIGRATE_H

#include "base/buf.h"
#include "store/tenant_ctx.h"

struct migration {
    int number;
    const char *name; /* the file's name without .sql */
    const char *text;
    const char *sha256; /* hex */
    bool again;         /* of sql/functions */
};

/* CHANGED: an older text of it is applied; only files that may be applied again come to that. */
enum migration_state { MIGRATION_PENDING, MIGRATION_CHANGED, MIGRATION_APPLIED };

struct migrate_conn;
typedef void migrate_each_fn(const struct migration *m, enum migration_state state, void *arg);

int migrate_open(struct migrate_conn **conn, const char *url, struct buf *why) MUST_USE;
void migrate_close(struct migrate_conn **conn);
const char *
migrate_server(const struct migrate_conn *conn); /* e.g. 15.20; a note follows when it is old */

/* Compares the list with the database; each() sees every file in order. Takes the lock. */
int migrate_compare(struct migrate_conn *conn, const struct migration *list, size_t count,
                    migrate_each_fn *each, void *arg, struct buf *why) MUST_USE;
int migrate_apply(struct migrate_conn *conn, const struct migration *m, struct buf *why) MUST_USE;
/* Stores the key that tenant contexts are signed with; the one before stays valid for a minute. */
int migrate_context_key(struct migrate_conn *conn, const uint8_t key[TENANT_CTX_KEY_BYTES],
                        struct buf *why) MUST_USE;

#endif
