#include "store/store.h"

#include "store/pg_tx.h"

void store_cancel(struct pg_tx **op)
{
    pg_tx_cancel(op);
}
