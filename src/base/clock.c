#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    int err = clock_gettime(id, &ts);
    assert(err == 0);
    return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

int64_t clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void clock_format(int64_t wall_us, char out[CLOCK_TEXT_SIZE])
{
    int64_t seconds = wall_us / US_PER_S;
    int64_t us = wall_us % US_PER_S;
    if (us < 0) {
        us += US_PER_S;
        seconds--;
    }
    /* Years of other than four digits have no RFC 3339 form: the nearest one that has. */
    seconds = i64_min(i64_max(seconds, -62135596800LL), 253402300799LL);
    time_t t = (time_t)seconds;
    struct tm tm;
    gmtime_r(&t, &tm);
    char text[80]; /* the compiler does not know how small a struct tm's numbers are */
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)us);
    str_copy_cut(str_of(text), out, CLOCK_TEXT_SIZE);
}

/* Cuts `count` digits off the front into *value. */
static bool take_digits(struct str *s, size_t count, int *value)
{
    if (s->len < count) {
        return false;
    }
    int v = 0;
    for (size_t i = 0; i < count; i++) {
        if (s->p[i] < '0' || s->p[i] > '9') {
            return false;
        }
        v = v * 10 + (s->p[i] - '0');
    }
    *value = v;
    *s = str_skip(*s, count);
    return true;
}

static bool take_char(struct str *s, const char *any_of)
{
    if (s->len == 0 || strchr(any_of, s->p[0]) == NULL || s->p[0] == '\0') {
        return false;
    }
    *s = str_skip(*s, 1);
    return true;
}

static bool take_fraction(struct str *s, int64_t *us)
{
    *us = 0;
    if (!take_char(s, ".")) {
        return true; /* there need be none */
    }
    int64_t unit = US_PER_S;
    size_t count = 0;
    for (int digit; take_digits(s, 1, &digit); count++) {
        unit /= 10; /* digits beyond microseconds fall away */
        *us += digit * unit;
    }
    return count > 0 && count <= 12;
}

static bool take_zone(struct str *s, int64_t *offset_s)
{
    *offset_s = 0;
    if (s->len == 0 || take_char(s, "Zz")) {
        return true;
    }
    bool west = s->p[0] == '-';
    int hours = 0;
    int minutes = 0;
    if (!take_char(s, "+-") || !take_digits(s, 2, &hours)) {
        return false;
    }
    if (s->len > 0) {
        take_char(s, ":");
        if (!take_digits(s, 2, &minutes)) {
            return false;
        }
    }
    if (hours > 18 || minutes > 59) {
        return false;
    }
    *offset_s = (west ? -1 : 1) * (hours * 3600LL + minutes * 60LL);
    return true;
}

static bool take_date_time(struct str *s, struct tm *tm)
{
    int year = 0;
    int month = 0;
    *tm = (struct tm){0};
    bool ok = take_digits(s, 4, &year) && take_char(s, "-") && take_digits(s, 2, &month) &&
              take_char(s, "-") && take_digits(s, 2, &tm->tm_mday) && take_char(s, "Tt ") &&
              take_digits(s, 2, &tm->tm_hour) && take_char(s, ":") &&
              take_digits(s, 2, &tm->tm_min) && take_char(s, ":") && take_digits(s, 2, &tm->tm_sec);
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    return ok && year >= 1 && tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= 59;
}

int clock_parse(struct str s, int64_t *wall_us)
{
    struct tm tm;
    int64_t us;
    int64_t offset_s;
    if (!take_date_time(&s, &tm) || !take_fraction(&s, &us) || !take_zone(&s, &offset_s) ||
        s.len != 0) {
        return -EINVAL;
    }
    struct tm given = tm;
    time_t seconds = timegm(&tm);
    if (tm.tm_mon != given.tm_mon || tm.tm_mday != given.tm_mday) {
        return -EINVAL; /* timegm() turns the 30th of February into March */
    }
    *wall_us = ((int64_t)seconds - offset_s) * US_PER_S + us;
    return 0;
}
