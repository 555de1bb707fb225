#include "cli/csv_rows.h"

#include "base/alloc.h"

#include <csv.h>
#include <errno.h>
#include <string.h>

#define SNIFF_BYTES 4096

struct csv_rows {
    struct csv_parser parser;
    csv_row_fn *on_row;
    void *arg;
    struct buf head; /* the first bytes, until the delimiter is known */
    bool started;
    char delimiter;
    struct buf text; /* the fields of the row so far, one after the other */
    size_t starts[CSV_FIELDS_MAX];
    size_t ends[CSV_FIELDS_MAX];
    size_t field_count;
    bool cut;
    int64_t line;
    int64_t inner_lines;
    bool after_cr;
};

struct csv_rows *csv_rows_new(csv_row_fn *on_row, void *arg)
{
    struct csv_rows *r = xzalloc(sizeof *r);

    r->on_row = on_row;
    r->arg = arg;
    r->line = 1;
    buf_init(&r->head, SNIFF_BYTES + 1);
    buf_init(&r->text, CSV_ROW_BYTES_MAX + 1);
    (void)csv_init(&r->parser, CSV_REPALL_NL);
    return r;
}

void csv_rows_free(struct csv_rows **r)
{
    if (*r) {
        csv_free(&(*r)->parser);
        buf_fini(&(*r)->head);
        buf_fini(&(*r)->text);
        xfree(*r);
        *r = NULL;
    }
}

char csv_rows_delimiter(const struct csv_rows *r)
{
    return r->delimiter;
}

static void on_field(void *p, size_t len, void *arg)
{
    struct csv_rows *r = arg;
    struct str field = str_make(p, len);
    size_t start = r->text.len;

    for (size_t i = 0; i < len; i++) {
        r->inner_lines += field.p[i] == '\n';
    }
    if (buf_add_str(&r->text, field) < 0) {
        r->cut = true;
    }
    if (r->field_count < CSV_FIELDS_MAX) {
        r->starts[r->field_count] = start;
        r->ends[r->field_count] = r->text.len;
    }
    r->field_count++;
}

static void deliver(struct csv_rows *r)
{
    struct str fields[CSV_FIELDS_MAX];
    struct csv_row row = {
        .line = r->line, .fields = fields, .field_count = r->field_count, .cut = r->cut};
    size_t kept = r->field_count < CSV_FIELDS_MAX ? r->field_count : CSV_FIELDS_MAX;

    for (size_t i = 0; i < kept; i++) {
        fields[i] = str_make(buf_cstr(&r->text) + r->starts[i], r->ends[i] - r->starts[i]);
    }
    if (kept > 1 || (kept == 1 && str_trim(fields[0]).len > 0)) {
        r->on_row(&row, r->arg);
    }
}

/* c is what ended the row: CR, LF, or -1 at the end of the file. CRLF comes as two ends. */
static void on_row_end(int c, void *arg)
{
    struct csv_rows *r = arg;

    if (r->field_count == 0 && c == '\n' && r->after_cr) {
        r->after_cr = false;
        return;
    }
    if (r->field_count > 0) {
        deliver(r);
    }
    r->line += 1 + r->inner_lines;
    r->inner_lines = 0;
    r->field_count = 0;
    r->cut = false;
    r->after_cr = c == '\r';
    buf_clear(&r->text);
}

/* The most frequent candidate of the first line, outside quotes. */
static char sniff(struct str head)
{
    static const char candidates[] = ",;\t|";
    size_t counts[sizeof candidates] = {0};
    bool quoted = false;
    size_t best = 0;

    for (size_t i = 0; i < head.len && (quoted || head.p[i] != '\n'); i++) {
        const char *at = head.p[i] != '\0' ? strchr(candidates, head.p[i]) : NULL;
        quoted = head.p[i] == '"' ? !quoted : quoted;
        if (at && !quoted) {
            counts[at - candidates]++;
        }
    }
    for (size_t i = 1; i < sizeof candidates - 1; i++) {
        best = counts[i] > counts[best] ? i : best;
    }
    return candidates[best];
}

static int parse(struct csv_rows *r, struct str bytes)
{
    if (memchr(bytes.p, '\0', bytes.len)) {
        return -EINVAL;
    }
    return csv_parse(&r->parser, bytes.p, bytes.len, on_field, on_row_end, r) == bytes.len ? 0
                                                                                           : -EIO;
}

static int start(struct csv_rows *r)
{
    struct str head = buf_str(&r->head);

    r->started = true;
    if (str_starts(head, STR("\xff\xfe")) || str_starts(head, STR("\xfe\xff"))) {
        return -EINVAL;
    }
    if (str_starts(head, STR("\xef\xbb\xbf"))) {
        head = str_skip(head, 3);
    }
    r->delimiter = sniff(head);
    csv_set_delim(&r->parser, (unsigned char)r->delimiter);
    return head.len > 0 ? parse(r, head) : 0;
}

int csv_rows_feed(struct csv_rows *r, struct str bytes)
{
    if (!r->started) {
        size_t take = SNIFF_BYTES - r->head.len;
        take = take < bytes.len ? take : bytes.len;
        int err = buf_add(&r->head, bytes.p, take);
        if (err < 0 || r->head.len < SNIFF_BYTES) {
            return err;
        }
        bytes = str_skip(bytes, take);
        err = start(r);
        if (err < 0) {
            return err;
        }
    }
    return bytes.len > 0 ? parse(r, bytes) : 0;
}

int csv_rows_end(struct csv_rows *r)
{
    int err = r->started ? 0 : start(r);

    if (err == 0 && csv_fini(&r->parser, on_field, on_row_end, r) != 0) {
        err = -EIO;
    }
    return err;
}

void csv_add_field(struct buf *out, struct str field)
{
    bool quote = false;

    for (size_t i = 0; i < field.len && !quote; i++) {
        quote = strchr(",\"\r\n", field.p[i]) != NULL;
    }
    if (!quote) {
        (void)buf_add_str(out, field);
        return;
    }
    (void)buf_add_char(out, '"');
    for (size_t i = 0; i < field.len; i++) {
        if (field.p[i] == '"') {
            (void)buf_add_char(out, '"');
        }
        (void)buf_add_char(out, field.p[i]);
    }
    (void)buf_add_char(out, '"');
}
