/* csv_rows.h -- rows out of a CSV stream, with the line each began on. A shell around libcsv.
 *
 * Knows what people's files are like: a byte order mark, `;`, tab or `|` instead of commas, CRLF,
 * lines inside quotes, empty lines (which are no rows).
 *
 * Owner   csv_rows_new() to csv_rows_free(). Fields live during on_row only.
 * Thread  one at a time.
 * Limits  CSV_FIELDS_MAX fields are kept of a row (the count goes on), CSV_ROW_BYTES_MAX bytes;
 * what is beyond is cut, and row.cut says so. Errors  csv_rows_feed: -EINVAL for a file that is no
 * text in UTF-8 or an 8-bit code (UTF-16, NULs), -EIO from the parser. */
#ifndef CLI_CSV_ROWS_H
#define CLI_CSV_ROWS_H

#include "base/buf.h"

#define CSV_FIELDS_MAX    256
#define CSV_ROW_BYTES_MAX (64 * 1024)

struct csv_row {
    int64_t line; /* counted from 1 */
    const struct str *fields;
    size_t field_count; /* may exceed CSV_FIELDS_MAX */
    bool cut;
};
typedef void csv_row_fn(const struct csv_row *row, void *arg);

struct csv_rows;

struct csv_rows *csv_rows_new(csv_row_fn *on_row, void *arg) MUST_USE;
void csv_rows_free(struct csv_rows **r);
int csv_rows_feed(struct csv_rows *r, struct str bytes) MUST_USE;
int csv_rows_end(struct csv_rows *r) MUST_USE; /* the last row, when no newline ended it */
char csv_rows_delimiter(const struct csv_rows *r);

/* One field as it is written in a CSV file with commas. */
void csv_add_field(struct buf *out, struct str field); /* buf_failed() tells */

#endif
