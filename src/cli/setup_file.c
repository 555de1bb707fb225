#include "cli/setup_file.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/phone.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What libcyaml fills: texts and lists of texts, as the file has them. Kinds are judged afterwards,
 * so that every problem can be named with its place. */
struct slot {
    char *text;
    char **list;
    uint32_t list_count;
};
struct item {
    struct slot slots[SETUP_FIELDS_MAX];
};
struct part {
    struct item *items;
    uint32_t items_count;
    char **texts;
    uint32_t texts_count;
};
struct file {
    struct part parts[SETUP_SECTIONS_MAX];
};

/* The schema libcyaml wants, made from the table of fields. */
struct schema {
    struct cyaml_schema_field fields[SETUP_SECTIONS_MAX][SETUP_FIELDS_MAX + 1];
    struct cyaml_schema_value items[SETUP_SECTIONS_MAX];
    struct cyaml_schema_field sections[SETUP_SECTIONS_MAX + 1];
    struct cyaml_schema_value top;
};

static const struct cyaml_schema_value text_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED)};

struct reading {
    struct buf *problems;
    const struct setup_section *section;
    size_t ordinal;
};

static bool is_list(enum setup_kind kind)
{
    return kind == SETUP_TEXTS || kind == SETUP_INTS || kind == SETUP_PHONES;
}

static struct cyaml_schema_field text_list(const char *key, size_t list_at, size_t count_at)
{
    return (struct cyaml_schema_field){
        .key = key,
        .data_offset = (uint32_t)list_at,
        .count_offset = (uint32_t)count_at,
        .count_size = sizeof(uint32_t),
        .value = {.type = CYAML_SEQUENCE,
                  .flags = (enum cyaml_flag)(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL),
                  .data_size = sizeof(char *),
                  .sequence = {.entry = &text_entry, .min = 0, .max = CYAML_UNLIMITED}},
    };
}

static void make_item_schema(struct schema *schema, size_t at, const struct setup_field *fields)
{
    for (size_t i = 0; fields[i].key; i++) {
        size_t base = offsetof(struct item, slots) + i * sizeof(struct slot);
        if (is_list(fields[i].kind)) {
            schema->fields[at][i] = text_list(fields[i].key, base + offsetof(struct slot, list),
                                              base + offsetof(struct slot, list_count));
            continue;
        }
        schema->fields[at][i] = (struct cyaml_schema_field){
            .key = fields[i].key,
            .data_offset = (uint32_t)(base + offsetof(struct slot, text)),
            .value = {.type = CYAML_STRING,
                      .flags = (enum cyaml_flag)(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL),
                      .data_size = sizeof(char),
                      .string = {.min = 0, .max = CYAML_UNLIMITED}},
        };
    }
    schema->items[at] = (struct cyaml_schema_value){.type = CYAML_MAPPING,
                                                    .flags = CYAML_FLAG_DEFAULT,
                                                    .data_size = sizeof(struct item),
                                                    .mapping = {.fields = schema->fields[at]}};
}

static void make_schema(struct schema *schema)
{
    size_t n = 0;

    for (; setup_sections[n].name; n++) {
        const struct setup_section *s = &setup_sections[n];
        size_t base = offsetof(struct file, parts) + n * sizeof(struct part);
        if (!s->fields) {
            schema->sections[n] = text_list(s->name, base + offsetof(struct part, texts),
                                            base + offsetof(struct part, texts_count));
            continue;
        }
        make_item_schema(schema, n, s->fields);
        schema->sections[n] = (struct cyaml_schema_field){
            .key = s->name,
            .data_offset = (uint32_t)(base + offsetof(struct part, items)),
            .count_offset = (uint32_t)(base + offsetof(struct part, items_count)),
            .count_size = sizeof(uint32_t),
            .value = schema->items[n],
        };
        struct cyaml_schema_value *v = &schema->sections[n].value;
        v->flags = (enum cyaml_flag)(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL);
        if (s->many) {
            v->type = CYAML_SEQUENCE;
            v->sequence.entry = &schema->items[n];
            v->sequence.min = 0;
            v->sequence.max = CYAML_UNLIMITED;
        }
    }
    schema->top = (struct cyaml_schema_value){.type = CYAML_MAPPING,
                                              .flags = CYAML_FLAG_POINTER,
                                              .data_size = sizeof(struct file),
                                              .mapping = {.fields = schema->sections}};
}

static void problem(const struct reading *r, const char *key, const char *want, const char *got)
{
    (void)buf_addf(r->problems, "%s", r->section->name);
    if (r->section->many) {
        (void)buf_addf(r->problems, "[%zu]", r->ordinal + 1);
    }
    if (key) {
        (void)buf_addf(r->problems, ".%s", key);
    }
    (void)buf_addf(r->problems, ": %s", want);
    if (got) {
        (void)buf_addf(r->problems, ", not \"%.80s\"", got);
    }
    (void)buf_add_char(r->problems, '\n');
}

static bool shape_matches(const char *text, const char *shape)
{
    for (; *shape; text++, shape++) {
        if (*shape == '0' ? (*text < '0' || *text > '9') : *text != *shape) {
            return false;
        }
    }
    return *text == '\0';
}

static json_t *read_phone(const struct reading *r, const char *key, const char *text)
{
    struct phone phone;

    if (phone_parse(str_of(text), NULL, &phone) < 0) {
        problem(r, key, "want a phone number with + and country code", text);
        return NULL;
    }
    return json_string(phone.e164);
}

static json_t *read_int(const struct reading *r, const char *key, const char *text)
{
    int64_t v;

    if (str_to_i64(str_of(text), &v) < 0) {
        problem(r, key, "want a whole number", text);
        return NULL;
    }
    return json_integer(v);
}

/* A table of shapes that stay text in JSON. */
static json_t *read_shaped(const struct reading *r, const char *key, const char *text,
                           enum setup_kind kind)
{
    int64_t moment;
    bool good = true;
    const char *want = "";

    if (kind == SETUP_DATE) {
        good = shape_matches(text, "0000-00-00");
        want = "want a date such as 2026-11-22";
    } else if (kind == SETUP_CLOCK) {
        good = shape_matches(text, "00:00") || shape_matches(text, "00:00:00");
        want = "want a time of day such as 09:00";
    } else if (kind == SETUP_MOMENT) {
        good = clock_parse(str_of(text), &moment) == 0;
        want = "want a moment such as 2026-11-22T10:00:00Z";
    } else if (kind == SETUP_REGION) {
        good = strlen(text) == 2;
        want = "want two letters";
    }
    if (!good) {
        problem(r, key, want, text);
        return NULL;
    }
    return json_string(text);
}

static json_t *read_value(const struct reading *r, const char *key, const char *text,
                          enum setup_kind kind)
{
    double real;
    bool yes;

    switch (kind) {
    case SETUP_INT:
    case SETUP_INTS:
        return read_int(r, key, text);
    case SETUP_PHONE:
    case SETUP_PHONES:
        return read_phone(r, key, text);
    case SETUP_REAL:
        if (str_to_double(str_of(text), &real) == 0) {
            return json_real(real);
        }
        problem(r, key, "want a number", text);
        return NULL;
    case SETUP_BOOL:
        if (str_to_bool(str_of(text), &yes) == 0) {
            return json_boolean(yes);
        }
        problem(r, key, "want true or false", text);
        return NULL;
    case SETUP_TEXT:
    case SETUP_TEXTS:
    case SETUP_DATE:
    case SETUP_CLOCK:
    case SETUP_MOMENT:
    case SETUP_REGION:
        break;
    }
    return read_shaped(r, key, text, kind);
}

static json_t *read_list(const struct reading *r, const struct setup_field *f,
                         const struct slot *slot)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < slot->list_count; i++) {
        json_t *v = read_value(r, f->key, slot->list[i], f->kind);
        if (v) {
            (void)json_array_append_new(list, v);
        }
    }
    return list;
}

static json_t *read_item(const struct reading *r, const struct item *item)
{
    json_t *object = json_object();

    for (size_t i = 0; r->section->fields[i].key; i++) {
        const struct setup_field *f = &r->section->fields[i];
        const struct slot *slot = &item->slots[i];
        bool given = is_list(f->kind) ? slot->list != NULL : slot->text && slot->text[0] != '\0';
        if (!given) {
            if (f->required) {
                problem(r, f->key, "is missing", NULL);
            }
            continue;
        }
        json_t *v =
            is_list(f->kind) ? read_list(r, f, slot) : read_value(r, f->key, slot->text, f->kind);
        if (v) {
            (void)json_object_set_new(object, f->key, v);
        }
    }
    return object;
}

/* app.retry_policy_put wants the waits in an object of their own. */
static json_t *gather_waits(json_t *policy)
{
    json_t *out = json_object();
    json_t *waits = json_object();
    const char *key;
    json_t *v;

    json_object_foreach(policy, key, v)
    {
        (void)json_object_set(strcmp(key, "name") == 0 ? out : waits, key, v);
    }
    (void)json_object_set_new(out, "waits", waits);
    json_decref(policy);
    return out;
}

static json_t *read_part(struct reading *r, const struct part *part)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < part->texts_count; i++) {
        r->ordinal = i;
        json_t *v = read_value(r, NULL, part->texts[i], SETUP_REGION);
        if (v) {
            (void)json_array_append_new(list, v);
        }
    }
    uint32_t count = r->section->many ? part->items_count : (part->items ? 1 : 0);
    for (uint32_t i = 0; i < count; i++) {
        r->ordinal = i;
        json_t *v = read_item(r, &part->items[i]);
        (void)json_array_append_new(
            list, strcmp(r->section->name, "retry_policies") == 0 ? gather_waits(v) : v);
    }
    return list;
}

static json_t *to_json(const struct file *file, struct buf *problems)
{
    json_t *doc = json_object();

    for (size_t i = 0; setup_sections[i].name; i++) {
        struct reading r = {.problems = problems, .section = &setup_sections[i]};
        json_t *list = read_part(&r, &file->parts[i]);
        if (!r.section->many && json_array_size(list) == 1) {
            (void)json_object_set(doc, r.section->name, json_array_get(list, 0));
        } else if (json_array_size(list) > 0) {
            (void)json_object_set(doc, r.section->name, list);
        }
        json_decref(list);
    }
    return doc;
}

/* libcyaml names the line and the trail of keys. */
PRINTF_LIKE(3, 0)
static void on_log(cyaml_log_t level, void *arg, const char *fmt, va_list ap)
{
    (void)level;
    (void)buf_vaddf(arg, fmt, ap);
}

static int read_bytes(const char *path, struct buf *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 1;

    if (fd < 0) {
        return -errno;
    }
    while (n > 0) {
        char *room = buf_reserve(bytes, 65536);
        if (!room) {
            (void)close(fd);
            return -EMSGSIZE;
        }
        n = read(fd, room, 65536);
        buf_commit(bytes, n > 0 ? (size_t)n : 0);
    }
    int err = n < 0 ? -errno : 0;
    (void)close(fd);
    return err;
}

int setup_read(const char *path, json_t **doc, struct buf *problems)
{
    OWNED(buf_fini) struct buf bytes = {0};
    OWNED(json_free) json_t *read = NULL;
    struct schema schema = {0};
    struct cyaml_config config = {.log_fn = on_log,
                                  .log_ctx = problems,
                                  .log_level = CYAML_LOG_ERROR,
                                  .mem_fn = cyaml_mem,
                                  .flags = CYAML_CFG_NO_ALIAS};
    struct file *file = NULL;

    buf_init(&bytes, SETUP_BYTES_MAX);
    int err = read_bytes(path, &bytes);
    if (err < 0) {
        return err;
    }
    make_schema(&schema);
    cyaml_err_t bad = cyaml_load_data((const uint8_t *)buf_cstr(&bytes), bytes.len, &config,
                                      &schema.top, (cyaml_data_t **)&file, NULL);
    if (bad == CYAML_OK && file) {
        read = to_json(file, problems);
    } else {
        (void)buf_addf(problems, "%s\n",
                       bad == CYAML_OK ? "the file is empty" : cyaml_strerror(bad));
    }
    (void)cyaml_free(&config, &schema.top, file, 0);
    if (problems->len > 0) {
        return -EINVAL;
    }
    *doc = GIVE(read);
    return 0;
}

int setup_markdown(struct buf *out)
{
    static const char *const kinds[] = {"text",
                                        "whole number",
                                        "number",
                                        "true/false",
                                        "date",
                                        "time of day",
                                        "moment",
                                        "phone number",
                                        "country",
                                        "list of text",
                                        "list of whole numbers",
                                        "list of phone numbers"};

    (void)buf_add_cstr(out, "# The set-up file\n\nYAML (or JSON) for `dialwright setup FILE`. "
                            "Applying it again changes "
                            "only what differs.\nPrinted by `dialwright setup --describe`.\n");
    for (const struct setup_section *s = setup_sections; s->name; s++) {
        (void)buf_addf(out, "\n## `%s`%s\n\n%s\n", s->name, s->many ? " (a list)" : "", s->help);
        if (s->fields) {
            (void)buf_add_cstr(out, "\n| key | kind | meaning |\n|---|---|---|\n");
        }
        for (const struct setup_field *f = s->fields; f && f->key; f++) {
            (void)buf_addf(out, "| `%s`%s | %s | %s |\n", f->key, f->required ? " (needed)" : "",
                           kinds[f->kind], f->help);
        }
    }
    return buf_failed(out) ? -EMSGSIZE : 0;
}
