#include "cli/import_batch.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ARENA_BYTES    (64 * 1024 * 1024)
#define COLUMN_BYTES   (4 * 1024 * 1024)
#define NAME_MAX_CHARS 200
#define EMAIL_MAX      320
#define RAW_MAX        4000
#define DETAIL_MAX     300

struct import_batch *import_batch_new(const struct import_map *map,
                                      const struct import_rules *rules, size_t ordinal)
{
    struct import_batch *batch = xzalloc(sizeof *batch);

    arena_init(&batch->arena, ARENA_BYTES);
    batch->rows = xcalloc(BATCH_ROWS_MAX, sizeof *batch->rows);
    batch->map = map;
    batch->rules = rules;
    batch->ordinal = ordinal;
    for (size_t i = 0; i < COUNT_OF(batch->columns); i++) {
        buf_init(&batch->columns[i], COLUMN_BYTES);
    }
    return batch;
}

void import_batch_free(struct import_batch **batch)
{
    if (*batch) {
        for (size_t i = 0; i < COUNT_OF((*batch)->columns); i++) {
            buf_fini(&(*batch)->columns[i]);
        }
        arena_fini(&(*batch)->arena);
        xfree((*batch)->rows);
        xfree(*batch);
        *batch = NULL;
    }
}

bool import_batch_full(const struct import_batch *batch)
{
    return batch->count == BATCH_ROWS_MAX || batch->arena.used_bytes > BATCH_BYTES;
}

void import_row_reject(struct import_batch *batch, struct import_row *row, const char *reason,
                       const char *fmt, ...)
{
    char detail[DETAIL_MAX];
    va_list ap;

    if (row->reason) {
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    row->reason = reason;
    row->detail = arena_str(&batch->arena, str_of(detail));
}

/* The row as it would stand in a file with commas, cut where it gets long. */
static struct str keep_raw(struct import_batch *batch, const struct csv_row *row)
{
    OWNED(buf_fini) struct buf raw = {0};
    char cut[RAW_MAX];

    buf_init(&raw, 2 * CSV_ROW_BYTES_MAX + 1024);
    for (size_t i = 0; i < row->field_count && i < CSV_FIELDS_MAX; i++) {
        if (i > 0) {
            (void)buf_add_char(&raw, ',');
        }
        csv_add_field(&raw, row->fields[i]);
    }
    str_copy_cut(buf_str(&raw), cut, sizeof cut);
    return arena_str(&batch->arena, str_of(cut));
}

static struct str join_names(struct import_batch *batch, struct str first, struct str last)
{
    OWNED(buf_fini) struct buf name = {0};

    buf_init(&name, 2 * CSV_ROW_BYTES_MAX + 2);
    (void)buf_add_str(&name, first);
    if (first.len > 0 && last.len > 0) {
        (void)buf_add_char(&name, ' ');
    }
    (void)buf_add_str(&name, last);
    return arena_str(&batch->arena, buf_str(&name));
}

static struct str keep_attributes(struct import_batch *batch, const struct csv_row *row)
{
    OWNED(buf_fini) struct buf json = {0};
    size_t count = 0;

    buf_init(&json, 8 * CSV_ROW_BYTES_MAX);
    (void)buf_add_char(&json, '{');
    for (size_t i = 0; i < row->field_count && i < batch->map->count; i++) {
        struct str value = str_trim(row->fields[i]);
        if (batch->map->columns[i] != COLUMN_ATTRIBUTE || value.len == 0) {
            continue;
        }
        (void)buf_add_cstr(&json, count++ > 0 ? "," : "");
        (void)buf_add_json_str(&json, str_of(batch->map->names[i]));
        (void)buf_add_char(&json, ':');
        (void)buf_add_json_str(&json, value);
    }
    (void)buf_add_char(&json, '}');
    return arena_str(&batch->arena, buf_str(&json));
}

void import_batch_add(struct import_batch *batch, const struct csv_row *from)
{
    struct import_row *row = &batch->rows[batch->count++];

    *row = (struct import_row){.line = from->line, .consent_level = ""};
    row->raw = keep_raw(batch, from);
    row->attributes = STR("{}");
    if (from->cut) {
        import_row_reject(batch, row, "too_long", "the row is longer than %d bytes",
                          CSV_ROW_BYTES_MAX);
        return;
    }
    if (from->field_count != batch->map->count) {
        import_row_reject(batch, row, "bad_row", "%zu columns, the header has %zu",
                          from->field_count, batch->map->count);
        return;
    }
    for (size_t i = 0; i < from->field_count; i++) {
        if (!str_is_utf8(from->fields[i])) {
            import_row_reject(batch, row, "encoding", "column %s is not UTF-8",
                              batch->map->names[i]);
            return;
        }
        if (batch->map->columns[i] != COLUMN_ATTRIBUTE) {
            row->texts[batch->map->columns[i]] =
                arena_str(&batch->arena, str_trim(from->fields[i]));
        }
    }
    if (row->texts[COLUMN_NAME].len == 0) {
        row->texts[COLUMN_NAME] =
            join_names(batch, row->texts[COLUMN_FIRST_NAME], row->texts[COLUMN_LAST_NAME]);
    }
    row->attributes = keep_attributes(batch, from);
}

static void judge_phone(struct import_batch *batch, struct import_row *row)
{
    struct str text = row->texts[COLUMN_PHONE];
    const char *zones[PHONE_ZONES_MAX];
    char joined[PHONE_ZONES_MAX * 40];
    size_t len = 0;

    if (text.len == 0) {
        import_row_reject(batch, row, "missing_number", "the row has no phone number");
        return;
    }
    int err = phone_parse(text, batch->rules->default_region, &row->phone);
    if (err < 0) {
        import_row_reject(
            batch, row, "bad_number", "%s",
            err == -ERANGE ? "no number of this country has this length"
            : text.p[0] == '+' || batch->rules->default_region
                ? "not a phone number"
                : "not a phone number with + and country code (see --default-region)");
        return;
    }
    size_t count = phone_zones(row->phone.e164, zones);
    for (size_t i = 0; i < count; i++) {
        int n = snprintf(joined + len, sizeof joined - len, "%s%s", i > 0 ? "," : "", zones[i]);
        if (n < 0 || (size_t)n >= sizeof joined - len) {
            break;
        }
        len += (size_t)n;
    }
    row->zones = arena_str(&batch->arena, str_make(joined, len));
}

/* consent_level, or a level inside the scope ("ai_voice:written"), or what the operator said of the
 * list. */
static const char *level_of(const struct import_batch *batch, const struct import_row *row)
{
    struct str level = row->texts[COLUMN_CONSENT_LEVEL];
    struct str scope = row->texts[COLUMN_CONSENT_SCOPE];

    if (level.len == 0) {
        level = scope;
    }
    if (str_contains_nocase(level, STR("written"))) {
        return "written";
    }
    return str_contains_nocase(level, STR("express")) ? "express" : batch->rules->consent_level;
}

static void judge_consent(struct import_batch *batch, struct import_row *row)
{
    struct str at = row->texts[COLUMN_CONSENT_AT];
    struct str scope = row->texts[COLUMN_CONSENT_SCOPE];
    int64_t moment_us;

    if (at.len == 0 || row->texts[COLUMN_CONSENT_EVIDENCE].len == 0) {
        return;
    }
    if (scope.len > 0 && !str_contains_nocase(scope, STR("ai_voice")) &&
        !str_contains_nocase(scope, STR("written")) &&
        !str_contains_nocase(scope, STR("express"))) {
        return; /* consent to something else is none to this */
    }
    if (clock_parse(at, &moment_us) < 0) {
        char midnight[64];
        (void)snprintf(midnight, sizeof midnight, "%.*sT00:00:00Z",
                       (int)(at.len < 40 ? at.len : 40), at.p);
        if (clock_parse(str_of(midnight), &moment_us) < 0) {
            import_row_reject(batch, row, "bad_value",
                              "consent_at is no date such as 2026-11-22T10:00:00Z");
            return;
        }
    }
    clock_format(moment_us, row->consent_at);
    row->consent_level = level_of(batch, row);
}

void import_batch_judge(struct import_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct import_row *row = &batch->rows[i];
        if (row->reason) {
            continue;
        }
        judge_phone(batch, row);
        judge_consent(batch, row);
        if (row->texts[COLUMN_NAME].len > NAME_MAX_CHARS) {
            import_row_reject(batch, row, "too_long", "the name is longer than %d bytes",
                              NAME_MAX_CHARS);
        }
        if (row->texts[COLUMN_EMAIL].len > EMAIL_MAX ||
            row->texts[COLUMN_SOURCE].len > NAME_MAX_CHARS) {
            import_row_reject(batch, row, "too_long", "email or source is too long");
        }
        if (row->texts[COLUMN_CONSENT_EVIDENCE].len > RAW_MAX) {
            import_row_reject(batch, row, "too_long", "the evidence is longer than %d bytes",
                              RAW_MAX);
        }
    }
}

static void add_element(struct buf *array, struct str value)
{
    (void)buf_add_char(array, array->len > 1 ? ',' : ' ');
    if (!value.p) {
        (void)buf_add_cstr(array, "NULL");
        return;
    }
    (void)buf_add_char(array, '"');
    for (size_t i = 0; i < value.len; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\') {
            (void)buf_add_char(array, '\\');
        }
        (void)buf_add_char(array, value.p[i]);
    }
    (void)buf_add_char(array, '"');
}

/* Never NULL where the row is good: the statement reads "" as "not given". */
static struct str given(struct str s)
{
    return s.p ? s : STR("");
}

static void add_row(struct import_batch *batch, const struct import_row *row)
{
    char line[24];
    struct buf *c = batch->columns;
    bool bad = row->reason != NULL;

    (void)snprintf(line, sizeof line, "%lld", (long long)row->line);
    const struct str values[] = {
        str_of(line),
        str_of(row->reason),
        bad ? row->detail : STR_NONE,
        bad || str_is_utf8(row->raw) ? row->raw : STR(""),
        bad ? STR_NONE : str_of(row->phone.e164),
        bad ? STR_NONE : str_of(row->phone.region),
        given(row->zones),
        given(row->texts[COLUMN_NAME]),
        given(row->texts[COLUMN_EMAIL]),
        given(row->texts[COLUMN_TIMEZONE]),
        row->attributes,
        str_of(row->consent_at),
        str_of(row->consent_level),
        row->consent_at[0] != '\0' ? given(row->texts[COLUMN_CONSENT_EVIDENCE]) : STR(""),
        given(row->texts[COLUMN_SOURCE]),
    };
    static_assert(COUNT_OF(values) == 15, "one value for each array of struct admin_batch");
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        add_element(&c[i], values[i]);
    }
}

int import_batch_arrays(struct import_batch *batch, const struct uuid *import_id,
                        struct admin_batch *out)
{
    struct str arrays[COUNT_OF(batch->columns)];

    for (size_t i = 0; i < COUNT_OF(batch->columns); i++) {
        buf_clear(&batch->columns[i]);
        (void)buf_add_char(&batch->columns[i], '{');
    }
    for (size_t i = 0; i < batch->count; i++) {
        add_row(batch, &batch->rows[i]);
    }
    for (size_t i = 0; i < COUNT_OF(batch->columns); i++) {
        (void)buf_add_char(&batch->columns[i], '}');
        if (buf_failed(&batch->columns[i])) {
            return -EMSGSIZE;
        }
        arrays[i] = buf_str(&batch->columns[i]);
    }
    *out = (struct admin_batch){
        .import_id = *import_id,
        .lines = arrays[0],
        .reasons = arrays[1],
        .details = arrays[2],
        .raws = arrays[3],
        .phones = arrays[4],
        .regions = arrays[5],
        .zones = arrays[6],
        .names = arrays[7],
        .emails = arrays[8],
        .timezones = arrays[9],
        .attributes = arrays[10],
        .consent_ats = arrays[11],
        .consent_levels = arrays[12],
        .consent_words = arrays[13],
        .sources = arrays[14],
    };
    return 0;
}

/* Rows stand in the order of their lines. */
const struct import_row *import_batch_find(const struct import_batch *batch, int64_t line)
{
    size_t low = 0;
    size_t high = batch->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (batch->rows[middle].line < line) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < batch->count && batch->rows[low].line == line ? &batch->rows[low] : NULL;
}
