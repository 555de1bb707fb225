#include "cli/import_map.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

/* Names are compared in lower case without spaces, dashes and underscores. */
static const struct {
    enum import_column column;
    const char *alias;
} aliases[] = {
    {COLUMN_NAME, "name"},
    {COLUMN_NAME, "fullname"},
    {COLUMN_NAME, "contact"},
    {COLUMN_NAME, "contactname"},
    {COLUMN_NAME, "leadname"},
    {COLUMN_FIRST_NAME, "firstname"},
    {COLUMN_FIRST_NAME, "givenname"},
    {COLUMN_LAST_NAME, "lastname"},
    {COLUMN_LAST_NAME, "surname"},
    {COLUMN_LAST_NAME, "familyname"},
    {COLUMN_PHONE, "phone"},
    {COLUMN_PHONE, "phonenumber"},
    {COLUMN_PHONE, "phonee164"},
    {COLUMN_PHONE, "mobile"},
    {COLUMN_PHONE, "mobilenumber"},
    {COLUMN_PHONE, "mobilephone"},
    {COLUMN_PHONE, "cell"},
    {COLUMN_PHONE, "cellphone"},
    {COLUMN_PHONE, "tel"},
    {COLUMN_PHONE, "telephone"},
    {COLUMN_EMAIL, "email"},
    {COLUMN_EMAIL, "mail"},
    {COLUMN_EMAIL, "emailaddress"},
    {COLUMN_TIMEZONE, "timezone"},
    {COLUMN_TIMEZONE, "tz"},
    {COLUMN_TIMEZONE, "zone"},
    {COLUMN_CONSENT_AT, "consentat"},
    {COLUMN_CONSENT_AT, "consentdate"},
    {COLUMN_CONSENT_AT, "consenttime"},
    {COLUMN_CONSENT_EVIDENCE, "consentevidence"},
    {COLUMN_CONSENT_EVIDENCE, "consenttext"},
    {COLUMN_CONSENT_EVIDENCE, "evidence"},
    {COLUMN_CONSENT_SCOPE, "consentscope"},
    {COLUMN_CONSENT_LEVEL, "consentlevel"},
    {COLUMN_SOURCE, "source"},
    {COLUMN_SOURCE, "leadsource"},
};

static const char *const words[COLUMN_COUNT] = {
    [COLUMN_ATTRIBUTE] = "attribute",
    [COLUMN_NAME] = "name",
    [COLUMN_FIRST_NAME] = "first name",
    [COLUMN_LAST_NAME] = "last name",
    [COLUMN_PHONE] = "phone",
    [COLUMN_EMAIL] = "email",
    [COLUMN_TIMEZONE] = "timezone",
    [COLUMN_CONSENT_AT] = "consent_at",
    [COLUMN_CONSENT_EVIDENCE] = "consent_evidence",
    [COLUMN_CONSENT_SCOPE] = "consent_scope",
    [COLUMN_CONSENT_LEVEL] = "consent_level",
    [COLUMN_SOURCE] = "source",
};

static enum import_column find(struct str name)
{
    char plain[64];
    size_t n = 0;

    for (size_t i = 0; i < name.len && n < sizeof plain - 1; i++) {
        char c = name.p[i];
        if (c == ' ' || c == '-' || c == '_') {
            continue;
        }
        plain[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    plain[n] = '\0';
    for (size_t i = 0; i < COUNT_OF(aliases); i++) {
        if (strcmp(aliases[i].alias, plain) == 0) {
            return aliases[i].column;
        }
    }
    return COLUMN_ATTRIBUTE;
}

/* The column before `at` that is the same thing, or has the same name; -1 for none. */
static ptrdiff_t same_before(const struct import_map *map, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        bool same = map->columns[i] == COLUMN_ATTRIBUTE ? strcmp(map->names[i], map->names[at]) == 0
                                                        : map->columns[i] == map->columns[at];
        if (same) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

static int check_column(const struct import_map *map, size_t at, struct buf *why)
{
    ptrdiff_t twin = same_before(map, at);

    if (map->names[at][0] == '\0') {
        (void)buf_addf(why, "column %zu has no name", at + 1);
        return -EINVAL;
    }
    if (!str_is_utf8(str_of(map->names[at]))) {
        (void)buf_addf(why, "the name of column %zu is no UTF-8", at + 1);
        return -EINVAL;
    }
    if (twin >= 0) {
        (void)buf_addf(why, "columns %s and %s are the same thing", map->names[twin],
                       map->names[at]);
        return -EINVAL;
    }
    return 0;
}

int import_map_init(struct import_map *map, const struct csv_row *header, struct buf *why)
{
    bool phone = false;

    *map = (struct import_map){0};
    if (header->field_count > CSV_FIELDS_MAX || header->cut) {
        (void)buf_addf(why, "more than %d columns, or the header is too long", CSV_FIELDS_MAX);
        return -EINVAL;
    }
    for (size_t i = 0; i < header->field_count; i++) {
        struct str name = str_trim(header->fields[i]);
        map->names[i] = xstrndup(name.len > 0 ? name.p : "", name.len);
        map->columns[i] = find(name);
        map->count = i + 1;
        phone = phone || map->columns[i] == COLUMN_PHONE;
        int err = check_column(map, i, why);
        if (err < 0) {
            return err;
        }
    }
    if (!phone) {
        (void)buf_add_cstr(
            why, "no column is named phone: the first line of the file must name its columns");
        return -EINVAL;
    }
    return 0;
}

void import_map_fini(struct import_map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        xfree(map->names[i]);
    }
    *map = (struct import_map){0};
}

json_t *import_map_json(const struct import_map *map)
{
    json_t *object = json_object();

    for (size_t i = 0; i < map->count; i++) {
        (void)json_object_set_new(object, map->names[i], json_string(words[map->columns[i]]));
    }
    return object;
}
