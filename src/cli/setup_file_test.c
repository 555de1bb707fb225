#include "cli/setup_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_text(const char *text, json_t **doc, struct buf *problems)
{
    char path[] = "/tmp/dialwright-setup-XXXXXX";
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
    int err = setup_read(path, doc, problems);
    (void)unlink(path);
    return err;
}

Test(setup_file, becomes_the_object_that_the_database_takes)
{
    static const struct {
        const char *name;
        const char *yaml;
        const char *json;
    } table[] = {
        {"yaml", "organization:\n  slug: a\n  name: A\n  weight: 3\nregions: [ES, IT]\n",
         "{\"organization\":{\"name\":\"A\",\"slug\":\"a\",\"weight\":3},\"regions\":[\"ES\","
         "\"IT\"]}"},
        {"json is yaml", "{\"numbers\": [{\"phone\": \"+1 212 555 0100\"}]}",
         "{\"numbers\":[{\"phone\":\"+12125550100\"}]}"},
        {"kinds", "agents:\n- {name: R, available: yes, skills: [a, b]}\n",
         "{\"agents\":[{\"available\":true,\"name\":\"R\",\"skills\":[\"a\",\"b\"]}]}"},
        {"waits in an object", "retry_policies:\n- {name: p, busy: [1, 2]}\n",
         "{\"retry_policies\":[{\"name\":\"p\",\"waits\":{\"busy\":[1,2]}}]}"},
        {"an empty value is not given", "agents:\n- {name: R, email: }\n",
         "{\"agents\":[{\"name\":\"R\"}]}"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        OWNED(buf_fini) struct buf problems = {0};
        OWNED(json_free) json_t *doc = NULL;
        buf_init(&problems, 4096);
        cr_assert_eq(read_text(table[i].yaml, &doc, &problems), 0, "%s: %s", table[i].name,
                     buf_cstr(&problems));
        char *text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
        cr_expect_str_eq(text, table[i].json, "%s: %s", table[i].name, text);
        free(text); /* tidy: allow free: jansson's own memory */
    }
}

Test(setup_file, problems_name_their_place)
{
    static const struct {
        const char *name;
        const char *yaml;
        const char *problem;
    } table[] = {
        {"unknown key", "organization:\n  slug: a\n  name: A\n  colour: red\n", "colour"},
        {"unknown section", "colour: red\n", "colour"},
        {"missing", "organization:\n  slug: a\n", "organization.name: is missing"},
        {"number", "campaigns:\n- {name: c, lines: many}\n",
         "campaigns[1].lines: want a whole number, not \"many\""},
        {"second one", "numbers:\n- {phone: \"+12125550100\"}\n- {phone: \"12\"}\n",
         "numbers[2].phone: want a phone number"},
        {"date", "campaigns:\n- {name: c, start_date: 1.2.2026}\n",
         "campaigns[1].start_date: want a date"},
        {"clock", "campaigns:\n- {name: c, time_start: noon}\n",
         "campaigns[1].time_start: want a time of day"},
        {"moment", "consents:\n- {phone: \"+12125550100\", evidence: e, granted_at: then}\n",
         "granted_at: want a moment"},
        {"bool", "agents:\n- {name: R, available: perhaps}\n", "available: want true or false"},
        {"no yaml", "{", "did not find expected"},
        {"empty", "", "empty"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        OWNED(buf_fini) struct buf problems = {0};
        OWNED(json_free) json_t *doc = NULL;
        buf_init(&problems, 4096);
        cr_expect_eq(read_text(table[i].yaml, &doc, &problems), -EINVAL, "%s", table[i].name);
        cr_expect(strstr(buf_cstr(&problems), table[i].problem), "%s: %s", table[i].name,
                  buf_cstr(&problems));
        cr_expect_null(doc, "%s", table[i].name);
    }
}

Test(setup_file, every_section_fits_the_schema)
{
    size_t sections = 0;

    for (; setup_sections[sections].name; sections++) {
        size_t fields = 0;
        while (setup_sections[sections].fields && setup_sections[sections].fields[fields].key) {
            fields++;
        }
        cr_expect_lt(fields, SETUP_FIELDS_MAX, "%s", setup_sections[sections].name);
    }
    cr_expect_lt(sections, SETUP_SECTIONS_MAX);
}
