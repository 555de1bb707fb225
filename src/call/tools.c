#include "call/tools.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAST_GRACE_US (60 * US_PER_S)

static const struct voice_tool declared[TOOL_COUNT] = {
    [TOOL_TRANSFER] =
        {"transfer_to_human",
         "Hand this call to a human colleague, when the person asks for one or is ready to buy. "
         "Say "
         "one short sentence first. If nobody is free you will be told; then offer a callback.",
         "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
         "\"reason\":{\"type\":\"string\",\"maxLength\":200,\"description\":\"why, in a few "
         "words\"},"
         "\"summary\":{\"type\":\"string\",\"maxLength\":500,\"description\":\"what the colleague "
         "must know\"}},\"required\":[\"reason\",\"summary\"]}"},
    [TOOL_CALLBACK] =
        {"schedule_callback",
         "Book a call back at a time that the person named. Repeat the time that is returned.",
         "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
         "\"when\":{\"type\":\"string\",\"maxLength\":40,\"description\":\"ISO 8601 date and time "
         "in "
         "the person's own zone with its offset, e.g. 2026-11-23T15:00:00+05:30\"},"
         "\"note\":{\"type\":\"string\",\"maxLength\":500}},\"required\":[\"when\"]}"},
    [TOOL_DO_NOT_CALL] =
        {"mark_do_not_call",
         "The person does not want to be called again, in whatever words. Call this at once.",
         "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
         "\"words\":{\"type\":\"string\",\"maxLength\":500,\"description\":\"what they said\"}},"
         "\"required\":[\"words\"]}"},
    [TOOL_END_CALL] =
        {"end_call",
         "The talk is over and goodbye was said; or it is the wrong person, or a machine.",
         "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
         "\"reason\":{\"type\":\"string\",\"enum\":[\"completed\",\"not_interested\","
         "\"wrong_number\",\"voicemail\",\"callback\",\"do_not_call\"]},"
         "\"note\":{\"type\":\"string\",\"maxLength\":500}},\"required\":[\"reason\"]}"},
    [TOOL_NOTE_INTEREST] =
        {"note_interest",
         "Note how interested the person is and what became clear so far. Say nothing about it.",
         "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
         "\"level\":{\"type\":\"string\",\"enum\":[\"high\",\"medium\",\"low\",\"none\"]},"
         "\"budget\":{\"type\":\"string\",\"maxLength\":100},"
         "\"timeline\":{\"type\":\"string\",\"maxLength\":100},"
         "\"notes\":{\"type\":\"string\",\"maxLength\":500},"
         "\"disposition\":{\"type\":\"string\",\"enum\":[\"interested\",\"qualified\","
         "\"not_interested\",\"no_decision\",\"converted\"]}},\"required\":[\"level\"]}"},
};

uint32_t tools_always(void)
{
    return 1u << TOOL_DO_NOT_CALL | 1u << TOOL_END_CALL;
}

bool tool_named(struct str name, enum tool_id *out)
{
    for (unsigned i = 0; i < TOOL_COUNT; i++) {
        if (str_eq_cstr(name, declared[i].name)) {
            *out = (enum tool_id)i;
            return true;
        }
    }
    return false;
}

size_t tools_declare(uint32_t allowed, struct voice_tool out[TOOL_COUNT])
{
    size_t count = 0;
    for (unsigned i = 0; i < TOOL_COUNT; i++) {
        if ((allowed & 1u << i) != 0) {
            out[count++] = declared[i];
        }
    }
    return count;
}

/* --- taming text ------------------------------------------------------------------------------ */

/* A character that may not reach a prompt or a screen: C0 and C1 controls, direction and joining
 * marks (U+200B-200F, 202A-202E, 2060-2069), the byte order mark. */
static bool is_wild(const char *p, size_t size)
{
    const uint8_t *c = (const uint8_t *)p;
    if (size == 1) {
        return c[0] < 0x20 || c[0] == 0x7f;
    }
    if (size == 2) {
        return c[0] == 0xc2 && c[1] < 0xa0;
    }
    if (size != 3) {
        return false;
    }
    if (c[0] == 0xe2 && c[1] == 0x80) {
        return (c[2] >= 0x8b && c[2] <= 0x8f) || (c[2] >= 0xaa && c[2] <= 0xae);
    }
    return (c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa0 && c[2] <= 0xa9) ||
           (c[0] == 0xef && c[1] == 0xbb && c[2] == 0xbf);
}

void text_tame(struct str s, char *dst, size_t dst_size)
{
    size_t n = 0;
    bool space = true; /* swallows leading white space, joins runs of it */
    while (s.len > 0) {
        size_t size = str_utf8_step(s);
        bool blank = size == 0 || is_wild(s.p, size) || s.p[0] == ' ';
        if (n + (blank ? 1 : size) >= dst_size) {
            break;
        }
        if (!blank) {
            memcpy(dst + n, s.p, size);
            n += size;
        } else if (!space) {
            dst[n++] = ' ';
        }
        space = blank;
        s = str_skip(s, size == 0 ? 1 : size);
    }
    n -= n > 0 && dst[n - 1] == ' ' ? 1 : 0;
    dst[n] = '\0';
}

/* --- reading arguments ------------------------------------------------------------------------ */

struct member {
    const char *name;
    size_t bytes_max;           /* of a text */
    const char *const *choices; /* or one of these */
    bool required;
};

static const char *const levels[] = {"high", "medium", "low", "none", NULL};
static const char *const dispositions[] = {"interested",  "qualified", "not_interested",
                                           "no_decision", "converted", NULL};
static const char *const endings[] = {
    "completed", "not_interested", "wrong_number", "voicemail", "callback", "do_not_call", NULL};

static const struct member members[TOOL_COUNT][6] = {
    [TOOL_TRANSFER] = {{"reason", 800, NULL, true}, {"summary", 2000, NULL, true}},
    [TOOL_CALLBACK] = {{"when", 40, NULL, true}, {"note", 2000, NULL, false}},
    [TOOL_DO_NOT_CALL] = {{"words", 2000, NULL, true}},
    [TOOL_END_CALL] = {{"reason", 0, endings, true}, {"note", 2000, NULL, false}},
    [TOOL_NOTE_INTEREST] = {{"level", 0, levels, true},
                            {"budget", 400, NULL, false},
                            {"timeline", 400, NULL, false},
                            {"notes", 2000, NULL, false},
                            {"disposition", 0, dispositions, false}},
};

static const char *choice_of(const char *const *choices, struct str word)
{
    for (; *choices != NULL; choices++) {
        if (str_eq_cstr(word, *choices)) {
            return *choices;
        }
    }
    return NULL;
}

static const struct member *member_named(enum tool_id id, const char *name)
{
    for (const struct member *m = members[id]; m->name != NULL; m++) {
        if (strcmp(m->name, name) == 0) {
            return m;
        }
    }
    return NULL;
}

static int member_check(const struct member *m, const json_t *value, char why[TOOL_WHY_SIZE])
{
    if (!json_is_string(value)) {
        (void)snprintf(why, TOOL_WHY_SIZE, "%s must be a string", m->name);
        return -EINVAL;
    }
    struct str s = str_make(json_string_value(value), json_string_length(value));
    if (m->choices != NULL && choice_of(m->choices, s) == NULL) {
        (void)snprintf(why, TOOL_WHY_SIZE, "%s is not one of the allowed words", m->name);
        return -EINVAL;
    }
    if (m->choices == NULL && s.len > m->bytes_max) {
        (void)snprintf(why, TOOL_WHY_SIZE, "%s is too long", m->name);
        return -EINVAL;
    }
    if (m->choices == NULL && m->required && str_trim(s).len == 0) {
        (void)snprintf(why, TOOL_WHY_SIZE, "%s is empty", m->name);
        return -EINVAL;
    }
    return 0;
}

/* Members known, of the right type and size; null counts as absent, as models write it. */
static int shape_check(enum tool_id id, json_t *args, char why[TOOL_WHY_SIZE])
{
    const char *key;
    json_t *value;
    json_object_foreach(args, key, value)
    {
        const struct member *m = member_named(id, key);
        if (m == NULL) {
            (void)snprintf(why, TOOL_WHY_SIZE, "unknown member in the arguments");
            return -EINVAL;
        }
        if (json_is_null(value) && !m->required) {
            continue;
        }
        int err = member_check(m, value, why);
        if (err < 0) {
            return err;
        }
    }
    for (const struct member *m = members[id]; m->name != NULL; m++) {
        if (m->required && json_get(args, m->name) == NULL) {
            (void)snprintf(why, TOOL_WHY_SIZE, "%s is missing", m->name);
            return -EINVAL;
        }
    }
    return 0;
}

static bool names_offset(struct str when)
{
    ptrdiff_t t = str_find_char(when, 'T');
    t = t >= 0 ? t : str_find_char(when, ' ');
    struct str clock = t >= 0 ? str_skip(when, (size_t)t) : STR_NONE;
    return str_find_char(clock, 'Z') >= 0 || str_find_char(clock, 'z') >= 0 ||
           str_find_char(clock, '+') >= 0 || str_find_char(clock, '-') >= 0;
}

static int read_callback(const json_t *args, const struct tool_clock *clock, struct tool_call *out,
                         char why[TOOL_WHY_SIZE])
{
    struct str when = str_trim(json_get_str(args, "when"));
    char seconds[48];
    int64_t due_us = 0;
    /* "2026-11-23T15:00" is what people and models write; the parser wants seconds. */
    if (when.len == 16 && str_copy(when, seconds, sizeof seconds - 3) == 0) {
        memcpy(seconds + 16, ":00", 4);
        when = str_of(seconds);
    }
    bool offset = names_offset(when);
    if (clock_parse(when, &due_us) != 0 || (!offset && !clock->offset_known)) {
        (void)snprintf(why, TOOL_WHY_SIZE,
                       "when must be ISO 8601 with offset, e.g. "
                       "2026-11-23T15:00:00+00:00");
        return -EINVAL;
    }
    if (!offset) {
        due_us -= clock->utc_offset_s * US_PER_S;
    }
    if (due_us < clock->wall_us - PAST_GRACE_US) {
        (void)snprintf(why, TOOL_WHY_SIZE, "that time is in the past");
        return -EINVAL;
    }
    if (due_us > clock->wall_us + TOOL_CALLBACK_MAX * US_PER_S) {
        (void)snprintf(why, TOOL_WHY_SIZE, "that time is too far in the future");
        return -EINVAL;
    }
    out->due_us = due_us;
    text_tame(json_get_str(args, "note"), out->reason, sizeof out->reason);
    return 0;
}

static void read_end_call(const json_t *args, struct tool_call *out)
{
    static const struct {
        const char *word;
        enum call_end end;
        const char *disposition;
    } table[] = {
        {"completed", CALL_END_COMPLETED, NULL},
        {"not_interested", CALL_END_COMPLETED, "not_interested"},
        {"wrong_number", CALL_END_WRONG_NUMBER, "wrong_number"},
        {"voicemail", CALL_END_VOICEMAIL, NULL},
        {"callback", CALL_END_COMPLETED, NULL},
        {"do_not_call", CALL_END_OPTED_OUT, "do_not_call"},
    };
    static_assert(COUNT_OF(table) == COUNT_OF(endings) - 1, "one row a word");
    struct str reason = json_get_str(args, "reason");
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (str_eq_cstr(reason, table[i].word)) {
            out->end = table[i].end;
            out->disposition = table[i].disposition;
        }
    }
    text_tame(json_get_str(args, "note"), out->reason, sizeof out->reason);
}

static void patch_text(json_t *patch, const json_t *args, const char *from, const char *to)
{
    char text[TOOL_TEXT_SIZE];
    text_tame(json_get_str(args, from), text, sizeof text);
    if (text[0] != '\0') {
        json_set_str(patch, to, str_of(text));
    }
}

static int read_interest(const json_t *args, struct tool_call *out)
{
    OWNED(json_free) json_t *patch = json_object();
    patch_text(patch, args, "level", "interest_level");
    patch_text(patch, args, "budget", "budget");
    patch_text(patch, args, "timeline", "timeline");
    patch_text(patch, args, "notes", "notes");
    patch_text(patch, args, "disposition", "disposition");
    out->disposition = choice_of(dispositions, json_get_str(args, "disposition"));
    OWNED(buf_fini) struct buf text;
    buf_init(&text, sizeof out->patch);
    if (json_dump(patch, &text) < 0) {
        return -EINVAL;
    }
    return str_copy(buf_str(&text), out->patch, sizeof out->patch) == 0 ? 0 : -EINVAL;
}

/* Members sorted, so that a repetition with another order of members is the same. */
static void key_make(enum tool_id id, const json_t *args, uint8_t key[32])
{
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 16384);
    buf_addf(&text, "%d", (int)id);
    for (const struct member *m = members[id]; m->name != NULL; m++) {
        struct str s = json_get_str(args, m->name);
        buf_addf(&text, "|%zu|", s.len);
        buf_add_str(&text, s);
    }
    sha256(buf_str(&text), key);
}

int tool_read(uint32_t allowed, const char *name, struct str arguments,
              const struct tool_clock *clock, struct tool_call *out, char why[TOOL_WHY_SIZE])
{
    enum tool_id id = TOOL_COUNT;
    if (!tool_named(str_of(name), &id) || (allowed & 1u << id) == 0) {
        (void)snprintf(why, TOOL_WHY_SIZE, "there is no such tool");
        return -ENOENT;
    }
    OWNED(json_free) json_t *args = NULL;
    if (json_parse(arguments, &args) != 0 || !json_is_object(args)) {
        (void)snprintf(why, TOOL_WHY_SIZE, "the arguments are not a JSON object");
        return -EINVAL;
    }
    int err = shape_check(id, args, why);
    if (err < 0) {
        return err;
    }
    memset(out, 0, sizeof *out);
    out->id = id;
    key_make(id, args, out->key);
    switch (id) {
    case TOOL_TRANSFER:
        text_tame(json_get_str(args, "reason"), out->reason, sizeof out->reason);
        text_tame(json_get_str(args, "summary"), out->summary, sizeof out->summary);
        return 0;
    case TOOL_CALLBACK:
        return read_callback(args, clock, out, why);
    case TOOL_DO_NOT_CALL:
        text_tame(json_get_str(args, "words"), out->reason, sizeof out->reason);
        return 0;
    case TOOL_END_CALL:
        read_end_call(args, out);
        return 0;
    case TOOL_NOTE_INTEREST:
        return read_interest(args, out);
    case TOOL_COUNT:
        break;
    }
    return -ENOENT;
}
