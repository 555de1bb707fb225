#include "call/opt_out_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read can be written, and reads the same again. */
static void on_record(const struct opt_out_record *record, void *arg)
{
    struct opt_out_record again;
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 2 * OPT_OUT_LINE_MAX);
    (void)arg;
    if (opt_out_record_write(record, &text) == 0) {
        struct str line = str_head(str_skip(buf_str(&text), 1), text.len - 2);
        assert(opt_out_record_read(line, &again) == 0 && again.at_us == record->at_us);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)opt_out_records_read(str_make((const char *)data, size), on_record, NULL);
    return 0;
}
