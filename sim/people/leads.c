#include "leads.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "dice.h"
#include "persona.h"
#include "zones.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PLACES_MAX    128
#define OPEN_SHARE    88 /* per cent drawn from places that are open now */
#define FLAW_PER_1000 55
#define LEAD_MIN      15 /* open for at least so long already ... */
#define LAST_MIN      60 /* ... and for so long still */
#define NUMBER_SIZE   20
#define TRIES_MAX     400

struct place {
    const char *country;
    const char *zone;
    const char *prefix;
    const char *names;
    int digits;
    int64_t weight;
    const json_t *rule;
};

struct places {
    json_t *source;
    struct place at[PLACES_MAX];
    size_t count;
};

struct lead {
    char name[96];
    char phone[NUMBER_SIZE];
    char email[128];
    const char *zone;
    const char *company;
    const char *interest;
    const char *consent;
    char consent_at[CLOCK_TEXT_SIZE];
};

struct draft {
    const struct places *places;
    bool open[PLACES_MAX];
    uint64_t seed;
    int64_t wall_us;
    struct map taken;
};

static int read_place(struct places *p, const json_t *j)
{
    struct place *at = &p->at[p->count];

    at->country = persona_text(j, "country", NULL);
    at->zone = persona_text(j, "zone", NULL);
    at->prefix = persona_text(j, "prefix", NULL);
    at->names = persona_text(j, "names", "en");
    at->digits = (int)json_get_i64(j, "digits", 0);
    at->weight = json_get_i64(j, "weight", 1);
    at->rule = json_object_get(json_object_get(p->source, "rules"), persona_text(j, "rule", ""));
    if (at->country == NULL || at->zone == NULL || at->prefix == NULL || at->rule == NULL ||
        at->digits < 1 || at->digits > 8) {
        return -EINVAL;
    }
    p->count++;
    return 0;
}

struct places *places_load(const char *dir)
{
    struct places *p = xzalloc(sizeof *p);
    const json_t *j;
    size_t i;

    p->source = persona_read_json(dir, "places.json");
    json_array_foreach(json_object_get(p->source, "places"), i, j)
    {
        if (i >= PLACES_MAX || read_place(p, j) < 0) {
            (void)fprintf(stderr, "dialwright-sim: places.json: place %zu is incomplete\n", i);
            places_free(&p);
            return NULL;
        }
    }
    if (p->count == 0) {
        places_free(&p);
    }
    return p;
}

void places_free(struct places **p)
{
    if (*p != NULL) {
        json_free(&(*p)->source);
        xfree(*p);
        *p = NULL;
    }
}

static bool place_is_open(const struct place *at, int64_t wall_us)
{
    const json_t *hours;
    size_t i;
    struct local_time t;

    if (zone_local(at->zone, wall_us, &t) < 0 ||
        strchr(persona_text(at->rule, "days", ""), '0' + t.weekday) == NULL) {
        return false;
    }
    json_array_foreach(json_object_get(at->rule, "hours"), i, hours)
    {
        json_int_t from = json_integer_value(json_array_get(hours, 0));
        json_int_t to = json_integer_value(json_array_get(hours, 1));
        if (t.minute >= from + LEAD_MIN && t.minute < to - LAST_MIN) {
            return true;
        }
    }
    return false;
}

size_t places_open(const struct places *p, int64_t wall_us)
{
    size_t open = 0;

    for (size_t i = 0; i < p->count; i++) {
        open += place_is_open(&p->at[i], wall_us) ? 1 : 0;
    }
    return open;
}

static const struct place *draw_place(const struct draft *d, struct str key, uint64_t nth)
{
    bool want_open = dice_between(d->seed, "awake", key, 0, 0, 99) < OPEN_SHARE;
    int64_t total = 0;

    for (size_t i = 0; i < d->places->count; i++) {
        total += d->open[i] == want_open ? d->places->at[i].weight : 0;
    }
    if (d->places->count == 0) {
        return NULL; /* the table is never empty: places.json is checked when it is read */
    }
    if (total == 0) {
        return &d->places->at[nth % d->places->count];
    }
    int64_t left = dice_between(d->seed, "place", key, nth, 0, total - 1);
    for (size_t i = 0; i < d->places->count; i++) {
        left -= d->open[i] == want_open ? d->places->at[i].weight : 0;
        if (left < 0) {
            return &d->places->at[i];
        }
    }
    return &d->places->at[0];
}

static const char *pick(const struct draft *d, const json_t *array, const char *what,
                        struct str key)
{
    size_t count = json_array_size(array);

    if (count == 0) {
        return "";
    }
    return json_string_value(
        json_array_get(array, (size_t)(dice_roll(d->seed, what, key, 0) % count)));
}

/* A number nobody in the list has yet. */
static const struct place *draw_number(struct draft *d, struct str key, struct lead *lead)
{
    for (uint64_t nth = 0; nth < TRIES_MAX; nth++) {
        const struct place *at = draw_place(d, key, nth);
        int64_t range = 1;
        for (int i = 0; i < at->digits; i++) {
            range *= 10;
        }
        int64_t tail = dice_between(d->seed, "number", key, nth, 0, range - 1);
        (void)snprintf(lead->phone, sizeof lead->phone, "%s%0*lld", at->prefix, at->digits,
                       (long long)tail);
        if (map_get(&d->taken, str_of(lead->phone)) == NULL) {
            (void)map_put(&d->taken, str_of(lead->phone), d);
            return at;
        }
    }
    return NULL;
}

static void make_email(struct lead *lead, size_t index)
{
    char word[64];
    size_t n = 0;

    for (const char *c = lead->name; *c != '\0' && n + 1 < sizeof word; c++) {
        if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z')) {
            word[n++] = (char)(*c | 0x20);
        } else if (*c == ' ') {
            word[n++] = '.';
        }
    }
    word[n] = '\0';
    (void)snprintf(lead->email, sizeof lead->email, "%s%zu@example.com", word, index);
}

static int make_lead(struct draft *d, size_t index, struct lead *lead)
{
    char text[24];
    (void)snprintf(text, sizeof text, "row%zu", index);
    struct str key = str_of(text);
    const struct place *at = draw_number(d, key, lead);

    if (at == NULL) {
        return -ENOSPC;
    }
    const json_t *names = json_object_get(json_object_get(d->places->source, "names"), at->names);
    (void)snprintf(lead->name, sizeof lead->name, "%s %s",
                   pick(d, json_object_get(names, "first"), "first", key),
                   pick(d, json_object_get(names, "last"), "last", key));
    make_email(lead, index);
    lead->zone = at->zone;
    lead->company = pick(d, json_object_get(d->places->source, "companies"), "company", key);
    lead->interest = pick(d, json_object_get(d->places->source, "interests"), "interest", key);
    lead->consent = pick(d, json_object_get(d->places->source, "consents"), "consent", key);
    int64_t days = dice_between(d->seed, "consent day", key, 0, 2, 300);
    int64_t moment_us = d->wall_us - days * 86400 * US_PER_S;
    clock_format(moment_us - moment_us % (60 * US_PER_S), lead->consent_at);
    lead->consent_at[19] = 'Z'; /* whole seconds are enough */
    lead->consent_at[20] = '\0';
    return 0;
}

/* RFC 4180: quotes where a comma, a quote or a line end makes them needed. */
static void add_cell(struct buf *csv, const char *text, char end)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        (void)buf_add_cstr(csv, text);
    } else {
        (void)buf_add_char(csv, '"');
        for (const char *c = text; *c != '\0'; c++) {
            if (*c == '"') {
                (void)buf_add_char(csv, '"');
            }
            (void)buf_add_char(csv, *c);
        }
        (void)buf_add_char(csv, '"');
    }
    (void)buf_add_char(csv, end);
}

static void add_row(struct buf *csv, const struct lead *lead, const char *phone)
{
    add_cell(csv, lead->name, ',');
    add_cell(csv, phone, ',');
    add_cell(csv, lead->email, ',');
    add_cell(csv, lead->zone, ',');
    add_cell(csv, lead->consent_at, ',');
    add_cell(csv, lead->consent, ',');
    add_cell(csv, lead->consent[0] == '\0' ? "" : "ai_voice", ',');
    add_cell(csv, lead->company, ',');
    add_cell(csv, lead->interest, '\n');
}

static enum lead_flaw flaw_of(const struct draft *d, size_t index, size_t count)
{
    char text[24];

    /* Even a short list shows one of each kind. */
    if (count >= 20 && index >= 5 && index < 9) {
        return (enum lead_flaw)(index - 4);
    }
    (void)snprintf(text, sizeof text, "row%zu", index);
    if (index < 9 || dice_between(d->seed, "flaw", str_of(text), 0, 0, 999) >= FLAW_PER_1000 - 20) {
        return LEAD_GOOD;
    }
    return (enum lead_flaw)dice_between(d->seed, "which flaw", str_of(text), 0, 1, 4);
}

static void write_lead(struct buf *csv, struct lead *lead, enum lead_flaw flaw, size_t index,
                       const char *first_phone)
{
    static const char *const bad[] = {"+1 555 12", "call me", "+999123456789", "0000000000"};

    switch (flaw) {
    case LEAD_BAD_NUMBER:
        add_row(csv, lead, bad[index % COUNT_OF(bad)]);
        return;
    case LEAD_DUPLICATE:
        add_row(csv, lead, first_phone);
        return;
    case LEAD_NO_CONSENT:
        lead->consent = "";
        lead->consent_at[0] = '\0';
        break;
    case LEAD_BAD_ZONE:
        lead->zone = index % 2 == 0 ? "Mars/Olympus_Mons" : "Atlantis/Capital";
        break;
    case LEAD_GOOD:
        break;
    }
    add_row(csv, lead, lead->phone);
}

int leads_write(const struct places *p, size_t count, uint64_t seed, int64_t wall_us,
                struct buf *csv)
{
    struct draft d = {.places = p, .seed = seed, .wall_us = wall_us};
    char first_phone[NUMBER_SIZE] = "";
    int err = 0;

    if (count > LEADS_MAX) {
        return -ERANGE;
    }
    map_init(&d.taken);
    for (size_t i = 0; i < p->count; i++) {
        d.open[i] = place_is_open(&p->at[i], wall_us);
    }
    (void)buf_add_cstr(csv, "name,phone,email,timezone,consent_at,consent_evidence,consent_scope,"
                            "company,interest\n");
    for (size_t i = 0; i < count && err == 0; i++) {
        struct lead lead = {.zone = NULL};
        err = make_lead(&d, i, &lead);
        if (err == 0) {
            write_lead(csv, &lead, flaw_of(&d, i, count), i, first_phone);
        }
        if (i == 0) {
            (void)memcpy(first_phone, lead.phone, sizeof first_phone);
        }
    }
    map_fini(&d.taken);
    if (err == 0 && buf_failed(csv)) {
        err = -EMSGSIZE;
    }
    return err;
}

int places_countries(const struct places *p, struct buf *json)
{
    OWNED(json_free) json_t *list = json_array();

    for (size_t i = 0; i < p->count; i++) {
        bool listed = false;
        for (size_t k = 0; k < i && !listed; k++) {
            listed = strcmp(p->at[k].country, p->at[i].country) == 0;
        }
        if (!listed) {
            (void)json_array_append_new(list, json_string(p->at[i].country));
        }
    }
    return json_dump(list, json);
}
