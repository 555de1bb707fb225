#include "leads.h"

#include "base/clock.h"
#include "base/phone.h"
#include "zones.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ROWS    200
#define HOURS   168
#define CSV_MAX (1024 * 1024)
#define CELLS   9

/* An evaluator of its own: the rule table of the compliance sheet, not places.json. */
static bool legal_now(const char *country, const struct local_time *t)
{
    bool weekday = t->weekday <= 5;
    if (strcmp(country, "IN") == 0) {
        return t->weekday <= 6 && t->minute >= 600 && t->minute < 1140;
    }
    if (strcmp(country, "FR") == 0) {
        bool morning = t->minute >= 600 && t->minute < 780;
        bool afternoon = t->minute >= 840 && t->minute < 1200;
        return weekday && (morning || afternoon);
    }
    return t->minute >= 540 && t->minute < 1200;
}

/* RFC 4180, one line; none of our cells holds a line end. */
static size_t split(char *line, char *cells[CELLS])
{
    size_t n = 0;
    char *c = line;
    while (n < CELLS) {
        bool quoted = *c == '"';
        char *out = c += quoted ? 1 : 0;
        cells[n++] = out;
        while (*c != '\0' && (quoted || *c != ',')) {
            if (quoted && *c == '"' && c[1] != '"') {
                quoted = false;
                c++;
                continue;
            }
            c += quoted && *c == '"' ? 1 : 0;
            *out++ = *c++;
        }
        bool end = *c == '\0';
        *out = '\0';
        if (end) {
            break;
        }
        c++;
    }
    return n;
}

struct tally {
    size_t rows;
    size_t open;
    size_t bad_number;
    size_t duplicate;
    size_t no_consent;
    size_t bad_zone;
    size_t countries;
    char seen_country[64][3];
    char numbers[ROWS][20];
};

static bool repeated(struct tally *t, const char *phone)
{
    for (size_t i = 0; i < t->rows; i++) {
        if (strcmp(t->numbers[i], phone) == 0) {
            return true;
        }
    }
    return false;
}

static void count_country(struct tally *t, const char *region)
{
    for (size_t i = 0; i < t->countries; i++) {
        if (strcmp(t->seen_country[i], region) == 0) {
            return;
        }
    }
    cr_assert_lt(t->countries, COUNT_OF(t->seen_country));
    memcpy(t->seen_country[t->countries++], region, 3);
}

/* The number's own zones must be the zone claimed (by the clock, names have aliases). */
static void check_zone(const char *phone, const char *zone, int64_t wall_us)
{
    const char *zones[PHONE_ZONES_MAX];
    size_t n = phone_zones(phone, zones);
    struct local_time claimed;
    struct local_time own;
    cr_assert_eq(zone_local(zone, wall_us, &claimed), 0);
    cr_assert_eq(n, 1, "%s lies in %zu zones", phone, n);
    cr_assert_eq(zone_local(zones[0], wall_us, &own), 0, "%s", zones[0]);
    cr_assert_eq(own.offset_min, claimed.offset_min, "%s: %s is not %s", phone, zones[0], zone);
}

static void judge(struct tally *t, char *cells[CELLS], int64_t wall_us, bool deep)
{
    struct phone phone;
    struct local_time local;
    bool number_ok = phone_parse(str_of(cells[1]), NULL, &phone) == 0 && phone.valid;
    bool zone_ok = zone_local(cells[3], wall_us, &local) == 0;
    bool again = number_ok && repeated(t, phone.e164);
    (void)snprintf(t->numbers[t->rows], sizeof t->numbers[0], "%s", cells[1]);
    t->bad_number += number_ok ? 0 : 1;
    t->duplicate += again ? 1 : 0;
    t->no_consent += cells[4][0] == '\0' ? 1 : 0;
    t->bad_zone += zone_ok ? 0 : 1;
    t->rows++;
    if (!number_ok || !zone_ok || again || cells[4][0] == '\0') {
        return;
    }
    t->open += legal_now(phone.region, &local) ? 1 : 0;
    count_country(t, phone.region);
    if (deep) {
        check_zone(phone.e164, cells[3], wall_us);
    }
}

static void judge_list(struct buf *csv, struct tally *t, int64_t wall_us, bool deep)
{
    struct str rest = buf_str(csv);
    struct str line;
    char text[1024];
    char *cells[CELLS];
    cr_assert(str_split(&rest, '\n', &line));
    cr_assert(str_eq_cstr(line, "name,phone,email,timezone,consent_at,consent_evidence,"
                                "consent_scope,company,interest"));
    while (str_split(&rest, '\n', &line) && line.len > 0) {
        cr_assert_eq(str_copy(line, text, sizeof text), 0);
        cr_assert_eq(split(text, cells), CELLS, "%s", text);
        judge(t, cells, wall_us, deep);
    }
}

Test(leads, seven_in_ten_may_be_phoned_at_every_hour_of_a_week, .timeout = 120)
{
    struct places *places = places_load(SIM_PEOPLE_DIR);
    int64_t wall_us = 0;
    cr_assert_not_null(places);
    cr_assert_eq(clock_parse(STR("2026-11-22T00:17:00Z"), &wall_us), 0); /* a Sunday */
    for (int hour = 0; hour < HOURS; hour++, wall_us += 3600 * US_PER_S) {
        struct tally t = {.rows = 0};
        struct buf csv;
        buf_init(&csv, CSV_MAX);
        cr_assert_eq(leads_write(places, ROWS, (uint64_t)hour, wall_us, &csv), 0);
        judge_list(&csv, &t, wall_us, hour % 12 == 0);
        cr_expect_eq(t.rows, ROWS);
        cr_expect_geq(t.open, ROWS * 70 / 100, "hour %d: only %zu open", hour, t.open);
        cr_expect(t.bad_number > 0 && t.duplicate > 0 && t.no_consent > 0 && t.bad_zone > 0,
                  "hour %d: %zu %zu %zu %zu", hour, t.bad_number, t.duplicate, t.no_consent,
                  t.bad_zone);
        size_t bad = t.bad_number + t.duplicate + t.no_consent + t.bad_zone;
        cr_expect(bad >= 4 && bad <= ROWS / 8, "hour %d: %zu bad rows", hour, bad);
        cr_expect_geq(t.countries, 5, "hour %d: %zu countries", hour, t.countries);
        buf_fini(&csv);
    }
    places_free(&places);
}

Test(leads, same_seed_same_list)
{
    struct places *places = places_load(SIM_PEOPLE_DIR);
    struct buf one;
    struct buf two;
    struct buf three;
    buf_init(&one, CSV_MAX);
    buf_init(&two, CSV_MAX);
    buf_init(&three, CSV_MAX);
    cr_assert_eq(leads_write(places, 50, 7, 1795366800000000, &one), 0);
    cr_assert_eq(leads_write(places, 50, 7, 1795366800000000, &two), 0);
    cr_assert_eq(leads_write(places, 50, 8, 1795366800000000, &three), 0);
    cr_assert(str_eq(buf_str(&one), buf_str(&two)));
    cr_assert_not(str_eq(buf_str(&one), buf_str(&three)));
    cr_assert_lt(leads_write(places, LEADS_MAX + 1, 8, 1795366800000000, &three), 0);
    buf_fini(&one);
    buf_fini(&two);
    buf_fini(&three);
    places_free(&places);
}
