#include "base/metrics.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define PREFIX     "dialwright_"
#define VALUES_MAX 24 /* label values of one series, and one more for "other" */
#define SERIES_MAX 128

enum kind { COUNTER, GAUGE, HISTOGRAM };

struct series {
    const char *name; /* PREFIX is added when it is written, and may be given when it is counted */
    enum kind kind;
    const char *label;  /* NULL: none */
    const char *values; /* separated by blanks; what is not listed counts as "other" */
    const char *help;
};

/* Every series, sorted by room. tools/check_metrics.py compares the names used with this table. */
// clang-format off
static const struct series table[] = {
    {"metric_unknown_total", COUNTER, NULL, NULL, "Counts under a name that is not in the table: a mistake of ours."},
#include "base/metrics_table.h"
};
// clang-format on

static const int64_t bounds_ms[] = {1,   2,    5,    10,   20,    50,    100,  200,
                                    500, 1000, 2000, 5000, 10000, 30000, 60000};

struct histogram {
    atomic_int_fast64_t counts[COUNT_OF(bounds_ms) + 1];
    atomic_int_fast64_t sum_ms;
};

static atomic_int_fast64_t numbers[COUNT_OF(table)][VALUES_MAX];
static struct histogram histograms[COUNT_OF(table)];
static_assert(COUNT_OF(table) <= SERIES_MAX, "so many series are looked up one by one");

static size_t find(const char *name)
{
    if (strncmp(name, PREFIX, sizeof PREFIX - 1) == 0) {
        name += sizeof PREFIX - 1;
    }
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (table[i].name[0] == name[0] && strcmp(table[i].name, name) == 0) {
            return i;
        }
    }
    return COUNT_OF(table);
}

/* Which of the series' values this is; 0 is "other", or the only one there is. */
static size_t value_index(const struct series *series, const char *label)
{
    struct str rest = str_of(series->values);
    struct str word;
    for (size_t i = 1; label != NULL && i < VALUES_MAX && str_split(&rest, ' ', &word); i++) {
        if (str_eq_cstr(word, label)) {
            return i;
        }
    }
    return 0;
}

static atomic_int_fast64_t *number(const char *name, const char *label)
{
    size_t at = find(name);
    if (at == COUNT_OF(table)) {
        return &numbers[0][0];
    }
    return &numbers[at][value_index(&table[at], label)];
}

void metric_add(const char *name, const char *label, int64_t delta)
{
    atomic_fetch_add_explicit(number(name, label), delta, memory_order_relaxed);
}

void metric_set(const char *name, const char *label, int64_t value)
{
    atomic_store_explicit(number(name, label), value, memory_order_relaxed);
}

int64_t metric_read(const char *name, const char *label)
{
    size_t at = find(name);
    if (at < COUNT_OF(table) && table[at].kind == HISTOGRAM) {
        int64_t count = 0;
        for (size_t i = 0; i < COUNT_OF(histograms[at].counts); i++) {
            count += atomic_load_explicit(&histograms[at].counts[i], memory_order_relaxed);
        }
        return count;
    }
    return atomic_load_explicit(number(name, label), memory_order_relaxed);
}

void metric_observe_ms(const char *name, int64_t ms)
{
    size_t at = find(name);
    if (at == COUNT_OF(table) || table[at].kind != HISTOGRAM) {
        metric_add(table[0].name, NULL, 1);
        return;
    }
    size_t bucket = 0;
    while (bucket < COUNT_OF(bounds_ms) && ms > bounds_ms[bucket]) {
        bucket++;
    }
    atomic_fetch_add_explicit(&histograms[at].counts[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histograms[at].sum_ms, ms, memory_order_relaxed);
}

static void write_histogram(struct buf *out, size_t at)
{
    const char *name = table[at].name;
    int64_t count = 0;
    for (size_t i = 0; i < COUNT_OF(histograms[at].counts); i++) {
        count += atomic_load_explicit(&histograms[at].counts[i], memory_order_relaxed);
        if (i < COUNT_OF(bounds_ms)) {
            (void)buf_addf(out, PREFIX "%s_bucket{le=\"%g\"} %lld\n", name,
                           (double)bounds_ms[i] / 1000.0, (long long)count);
        } else {
            (void)buf_addf(out, PREFIX "%s_bucket{le=\"+Inf\"} %lld\n", name, (long long)count);
        }
    }
    int64_t sum_ms = atomic_load_explicit(&histograms[at].sum_ms, memory_order_relaxed);
    (void)buf_addf(out, PREFIX "%s_sum %.3f\n" PREFIX "%s_count %lld\n", name,
                   (double)sum_ms / 1000.0, name, (long long)count);
}

static void write_labelled(struct buf *out, size_t at)
{
    struct str rest = str_of(table[at].values);
    struct str word;
    for (size_t i = 1; i < VALUES_MAX && str_split(&rest, ' ', &word); i++) {
        int64_t value = atomic_load_explicit(&numbers[at][i], memory_order_relaxed);
        (void)buf_addf(out, PREFIX "%s{%s=\"" STR_FMT "\"} %lld\n", table[at].name, table[at].label,
                       STR_ARG(word), (long long)value);
    }
    int64_t other = atomic_load_explicit(&numbers[at][0], memory_order_relaxed);
    if (other != 0) {
        (void)buf_addf(out, PREFIX "%s{%s=\"other\"} %lld\n", table[at].name, table[at].label,
                       (long long)other);
    }
}

int metrics_write(struct buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    for (size_t at = 0; at < COUNT_OF(table); at++) {
        (void)buf_addf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", table[at].name,
                       table[at].help, table[at].name, kinds[table[at].kind]);
        if (table[at].kind == HISTOGRAM) {
            write_histogram(out, at);
        } else if (table[at].label != NULL) {
            write_labelled(out, at);
        } else {
            (void)buf_addf(out, PREFIX "%s %lld\n", table[at].name,
                           (long long)atomic_load_explicit(&numbers[at][0], memory_order_relaxed));
        }
    }
    return buf_failed(out) ? -EMSGSIZE : 0;
}
