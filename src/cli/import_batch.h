/* import_batch.h -- some rows of a list on their way into the database.
 *
 * Filled on the loop, judged in the worker pool (numbers, zones, moments: that is where the time
 * goes), turned into arrays on the loop. A row keeps its first fault as the name of its rejection.
 *
 * Owner   import_batch_new() to import_batch_free(); everything of a row lives in the batch's
 * arena. Thread  one at a time; import_batch_judge() may run on a worker. Limits  BATCH_ROWS_MAX
 * rows, and it is full() when its memory passes BATCH_BYTES. */
#ifndef CLI_IMPORT_BATCH_H
#define CLI_IMPORT_BATCH_H

#include "base/arena.h"
#include "base/phone.h"
#include "cli/import_map.h"
#include "store/store_admin.h"

#define BATCH_ROWS_MAX 2000
#define BATCH_BYTES    (1024 * 1024)

struct import_row {
    int64_t line;
    const char *reason; /* NULL: nothing wrong so far */
    struct str detail;
    struct str raw;
    struct str texts[COLUMN_COUNT]; /* by column; STR_NONE when the list has no such column */
    struct str attributes;          /* a JSON object */
    struct phone phone;
    struct str zones; /* names parted by commas */
    char consent_at[32];
    const char *consent_level;
};

struct import_rules {
    const char *default_region; /* for numbers without a +; may be NULL */
    const char *consent_level;  /* of consents that name none: "express" or "written" */
};

struct import_batch {
    struct arena arena;
    struct import_row *rows;
    size_t count;
    const struct import_map *map;
    const struct import_rules *rules;
    size_t ordinal;
    bool judged;
    int tries;
    struct buf columns[15]; /* array literals, in the order of struct admin_batch */
};

struct import_batch *import_batch_new(const struct import_map *map,
                                      const struct import_rules *rules, size_t ordinal) MUST_USE;
void import_batch_free(struct import_batch **batch);
void import_batch_add(struct import_batch *batch, const struct csv_row *row);
bool import_batch_full(const struct import_batch *batch);
void import_batch_judge(struct import_batch *batch);
void import_row_reject(struct import_batch *batch, struct import_row *row, const char *reason,
                       const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The arrays live in the batch. -EMSGSIZE when they are too large to send. */
int import_batch_arrays(struct import_batch *batch, const struct uuid *import_id,
                        struct admin_batch *out) MUST_USE;
const struct import_row *import_batch_find(const struct import_batch *batch, int64_t line);

#endif
