/* no_journal.c -- dial_env without journal, history and whole lists: what the dialer asks of them then. A failover
 * that loses commits is not simulated here (model/ and tests/failover have it). */
#include "dial/history.h"
#include "dial/journal.h"
#include "store/store_history.h"

#include <errno.h>

bool history_may_claim(const struct history *h)
{
    (void)h;
    return true;
}

const char *history_why(const struct history *h)
{
    (void)h;
    return "";
}

uint64_t history_generation(const struct history *h)
{
    (void)h;
    return 0;
}

void history_answered(struct history *h)
{
    (void)h;
}

int journal_append(struct journal_op **op, struct journal *j, const struct journal_entry *entry,
                   journal_done_fn *on_done, void *arg)
{
    (void)op, (void)j, (void)entry, (void)on_done, (void)arg;
    return -ENOSPC;
}

void journal_cancel(struct journal_op **op)
{
    (void)op;
}

const char *journal_why(const struct journal *j)
{
    (void)j;
    return "";
}

int store_adopt(struct pg_tx **op, struct pg_pool *db, const struct store_adoption *what,
                store_status_fn *on_done, void *arg)
{
    (void)op, (void)db, (void)what, (void)on_done, (void)arg;
    return -EBUSY; /* no row is ever lost here */
}
