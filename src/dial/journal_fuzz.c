#include "dial/journal_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct journal_entry *entry, void *arg)
{
    struct journal_entry same;
    OWNED(buf_fini) struct buf line;
    buf_init(&line, 2 * JOURNAL_LINE_MAX);
    assert(journal_line_write(arg, entry, &line) == 0);
    assert(journal_line_read(arg, str_head(buf_str(&line), buf_str(&line).len - 1), &same) == 0);
    assert(uuid_eq(&same.call_id, &entry->call_id) && same.at_us == entry->at_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct journal_head head;
    (void)!journal_text_read(str_make((const char *)data, size), &head, again, &head);
    return 0;
}
