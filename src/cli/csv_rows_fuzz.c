#include "cli/csv_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(const struct csv_row *row, void *arg)
{
    (void)row;
    (void)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWNED(csv_rows_free) struct csv_rows *rows = csv_rows_new(ignore, NULL);
    return csv_rows_feed(rows, str_make((const char *)data, size)) == 0 && csv_rows_end(rows) > 0;
}
