#include "cli/import_batch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct csv_row row_of(const char *text, struct str fields[CSV_FIELDS_MAX], int64_t line)
{
    struct str rest = str_of(text);
    struct csv_row row = {.line = line, .fields = fields};

    while (str_split(&rest, '|', &fields[row.field_count])) {
        row.field_count++;
    }
    return row;
}

static void map_of(struct import_map *map, const char *header)
{
    OWNED(buf_fini) struct buf why = {0};
    struct str fields[CSV_FIELDS_MAX];
    struct csv_row row = row_of(header, fields, 1);

    buf_init(&why, 256);
    cr_assert_eq(import_map_init(map, &row, &why), 0, "%s", buf_cstr(&why));
}

Test(import_map, headers)
{
    static const struct {
        const char *name;
        const char *header;
        const char *why; /* NULL: good */
    } table[] = {
        {"known names", "name|phone|email", NULL},
        {"aliases, cases, dashes", "Full Name|Mobile-Number|E-Mail Address|Time_Zone", NULL},
        {"unknown ones are attributes", "phone|shoe size", NULL},
        {"no phone", "name|email", "no column is named phone"},
        {"phone twice", "phone|mobile", "are the same thing"},
        {"an attribute twice", "phone|x|x", "are the same thing"},
        {"no name", "phone||x", "column 2 has no name"},
        {"no utf-8", "phone|\xff", "is no UTF-8"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        OWNED(buf_fini) struct buf why = {0};
        struct str fields[CSV_FIELDS_MAX];
        struct csv_row row = row_of(table[i].header, fields, 1);
        struct import_map map;
        buf_init(&why, 256);
        int err = import_map_init(&map, &row, &why);
        cr_expect_eq(err, table[i].why ? -EINVAL : 0, "%s", table[i].name);
        cr_expect(!table[i].why || strstr(buf_cstr(&why), table[i].why), "%s: %s", table[i].name,
                  buf_cstr(&why));
        import_map_fini(&map);
    }
}

#define HEADER "name|phone|timezone|consent_at|consent_evidence|consent_scope|consent_level|company"

Test(import_batch, each_row_is_good_or_has_a_named_fault)
{
    static const struct {
        const char *row;
        const char *reason; /* NULL: good */
        const char *e164;
        const char *level; /* of the consent; "" none */
    } table[] = {
        {"Ann|+12125550141|||||| ", NULL, "+12125550141", ""},
        {"Ann|(212) 555-0141||||||", NULL, "+12125550141", ""},
        {"Ann|+442079460011||2026-01-02T10:00:00Z|form|ai_voice|written|", NULL, "+442079460011",
         "written"},
        {"Ann|+442079460011||2026-01-02|form|ai_voice:written||", NULL, "+442079460011", "written"},
        {"Ann|+442079460011||2026-01-02|form|||", NULL, "+442079460011", "express"},
        {"Ann|+442079460011||2026-01-02|form|email|written|", NULL, "+442079460011", ""},
        {"Ann|+442079460011||2026-01-02||ai_voice|written|", NULL, "+442079460011", ""},
        {"Ann|+442079460011||soon|form|ai_voice||", "bad_value", "", ""},
        {"Ann|12||||||", "bad_number", "", ""},
        {"Ann|call me||||||", "bad_number", "", ""},
        {"Ann|||||||", "missing_number", "", ""},
        {"Ann|+12125550141", "bad_row", "", ""},
        {"Ann|+12125550141|||||||extra", "bad_row", "", ""},
        {"\xff|+12125550141||||||", "encoding", "", ""},
    };
    struct import_map map;
    const struct import_rules rules = {.default_region = "US", .consent_level = "express"};

    map_of(&map, HEADER);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        OWNED(import_batch_free) struct import_batch *batch = import_batch_new(&map, &rules, 0);
        struct str fields[CSV_FIELDS_MAX];
        struct csv_row row = row_of(table[i].row, fields, 2);
        import_batch_add(batch, &row);
        import_batch_judge(batch);
        const struct import_row *r = &batch->rows[0];
        if (table[i].reason) {
            cr_expect(r->reason && strcmp(r->reason, table[i].reason) == 0, "%s: %s", table[i].row,
                      r->reason);
            continue;
        }
        cr_expect_null(r->reason, "%s: %s", table[i].row, r->reason);
        cr_expect_str_eq(r->phone.e164, table[i].e164, "%s", table[i].row);
        cr_expect_str_eq(r->consent_level, table[i].level, "%s", table[i].row);
        cr_expect_gt(r->zones.len, 0, "%s: zones", table[i].row);
    }
    import_map_fini(&map);
}

Test(import_batch, arrays_are_literals_that_postgres_reads)
{
    struct import_map map;
    const struct import_rules rules = {.consent_level = "express"};
    const struct uuid id = {{1}};
    struct admin_batch arrays;
    struct str fields[CSV_FIELDS_MAX];

    map_of(&map, "name|phone|company");
    OWNED(import_batch_free) struct import_batch *batch = import_batch_new(&map, &rules, 0);
    struct csv_row good = row_of("A \"b\" \\c, {d}|+12125550141|Q \"co\"", fields, 2);
    import_batch_add(batch, &good);
    struct csv_row bad = row_of("B|1|", fields, 5);
    import_batch_add(batch, &bad);
    import_batch_judge(batch);
    cr_assert_eq(import_batch_arrays(batch, &id, &arrays), 0);
    cr_expect(str_eq_cstr(arrays.lines, "{ \"2\",\"5\"}"), STR_FMT, STR_ARG(arrays.lines));
    cr_expect(str_eq_cstr(arrays.reasons, "{ NULL,\"bad_number\"}"), STR_FMT,
              STR_ARG(arrays.reasons));
    cr_expect(str_eq_cstr(arrays.names, "{ \"A \\\"b\\\" \\\\c, {d}\",\"B\"}"), STR_FMT,
              STR_ARG(arrays.names));
    cr_expect(str_eq_cstr(arrays.attributes,
                          "{ \"{\\\"company\\\":\\\"Q \\\\\\\"co\\\\\\\"\\\"}\",\"{}\"}"),
              STR_FMT, STR_ARG(arrays.attributes));
    cr_expect_eq(import_batch_find(batch, 5), &batch->rows[1]);
    cr_expect_null(import_batch_find(batch, 3));
    import_map_fini(&map);
}
