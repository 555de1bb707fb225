#include "cli/csv_rows.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

/* Rows as text: "line:field|field|;line:…". */
static void write_row(const struct csv_row *row, void *arg)
{
    struct buf *out = arg;

    (void)buf_addf(out, "%lld:", (long long)row->line);
    for (size_t i = 0; i < row->field_count && i < CSV_FIELDS_MAX; i++) {
        (void)buf_add_str(out, row->fields[i]);
        (void)buf_add_char(out, '|');
    }
    (void)buf_add_cstr(out, row->cut ? "cut;" : ";");
}

static int read_in_pieces(struct str text, size_t piece, struct buf *out)
{
    OWNED(csv_rows_free) struct csv_rows *rows = csv_rows_new(write_row, out);
    int err = 0;

    while (text.len > 0 && err == 0) {
        err = csv_rows_feed(rows, str_head(text, piece));
        text = str_skip(text, piece);
    }
    return err == 0 ? csv_rows_end(rows) : err;
}

Test(csv_rows, rows_and_the_lines_they_began_on)
{
    static const struct {
        const char *name;
        const char *text;
        const char *rows;
    } table[] = {
        {"plain", "a,b\n1,2\n", "1:a|b|;2:1|2|;"},
        {"no newline at the end", "a,b\n1,2", "1:a|b|;2:1|2|;"},
        {"crlf", "a,b\r\n1,2\r\n3,4\r\n", "1:a|b|;2:1|2|;3:3|4|;"},
        {"empty lines are no rows", "a,b\n\n\n1,2\n", "1:a|b|;4:1|2|;"},
        {"empty lines with crlf", "a,b\r\n\r\n1,2\r\n", "1:a|b|;3:1|2|;"},
        {"a line of spaces is no row", "a,b\n   \n1,2\n", "1:a|b|;3:1|2|;"},
        {"byte order mark",
         "\xef\xbb\xbf"
         "a,b\n",
         "1:a|b|;"},
        {"semicolons", "a;b\n1,5;2\n", "1:a|b|;2:1,5|2|;"},
        {"tabs", "a\tb\n1\t2\n", "1:a|b|;2:1|2|;"},
        {"bars", "a|b\n1|2\n", "1:a|b|;2:1|2|;"},
        {"a quoted comma does not count", "\"a,b,c\";d\n1;2\n", "1:a,b,c|d|;2:1|2|;"},
        {"quotes inside quotes", "a,b\n\"x \"\"y\"\"\",2\n", "1:a|b|;2:x \"y\"|2|;"},
        {"a line inside quotes", "a,b\n\"x\ny\",2\n3,4\n", "1:a|b|;2:x\ny|2|;4:3|4|;"},
        {"empty fields", "a,b\n,\n", "1:a|b|;2:||;"},
        {"one column", "phone\n+1\n", "1:phone|;2:+1|;"},
        {"empty file", "", ""},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        for (size_t piece = 1; piece < 40; piece += 7) {
            OWNED(buf_fini) struct buf out = {0};
            buf_init(&out, 65536);
            cr_expect_eq(read_in_pieces(str_of(table[i].text), piece, &out), 0, "%s",
                         table[i].name);
            cr_expect_str_eq(buf_cstr(&out), table[i].rows, "%s, %zu bytes at once: %s",
                             table[i].name, piece, buf_cstr(&out));
        }
    }
}

Test(csv_rows, files_that_are_no_text_are_refused)
{
    static const struct {
        const char *name;
        struct str text;
    } table[] = {
        {"utf-16, little end first", {"\xff\xfe\x61\x00", 4}},
        {"utf-16, big end first", {"\xfe\xff\x00\x61", 4}},
        {"a nul", {"a,b\n1,\0\n", 8}},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        OWNED(buf_fini) struct buf out = {0};
        buf_init(&out, 1024);
        cr_expect_eq(read_in_pieces(table[i].text, 100, &out), -EINVAL, "%s", table[i].name);
    }
}

Test(csv_rows, a_row_too_long_is_cut_and_says_so)
{
    OWNED(buf_fini) struct buf text = {0};
    OWNED(buf_fini) struct buf out = {0};

    buf_init(&text, 4 * CSV_ROW_BYTES_MAX);
    buf_init(&out, 4 * CSV_ROW_BYTES_MAX);
    (void)buf_add_cstr(&text, "a,b\n1,");
    for (size_t i = 0; i < CSV_ROW_BYTES_MAX + 10; i++) {
        (void)buf_add_char(&text, 'x');
    }
    (void)buf_add_cstr(&text, "\n3,4\n");
    cr_assert_eq(read_in_pieces(buf_str(&text), 1000, &out), 0);
    cr_expect(str_contains(buf_str(&out), STR("cut;3:3|4|;")));
}

Test(csv_rows, fields_are_written_so_that_they_can_be_read)
{
    static const char *const fields[] = {"",           "plain",      "a,b",
                                         "say \"hi\"", "two\nlines", " spaces "};
    OWNED(buf_fini) struct buf text = {0};
    OWNED(buf_fini) struct buf out = {0};

    buf_init(&text, 1024);
    buf_init(&out, 1024);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        (void)buf_add_cstr(&text, i > 0 ? "," : "");
        csv_add_field(&text, str_of(fields[i]));
    }
    (void)buf_add_char(&text, '\n');
    cr_assert_eq(read_in_pieces(buf_str(&text), 100, &out), 0);
    cr_expect_str_eq(buf_cstr(&out), "1:|plain|a,b|say \"hi\"|two\nlines|spaces|;", "%s",
                     buf_cstr(&out));
}
