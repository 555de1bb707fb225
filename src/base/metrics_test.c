#include "base/metrics.h"

#include "base/alloc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>

static void *count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        metric_add("claims_total", NULL, 1);
    }
    return NULL;
}

Test(metrics, counts_from_several_threads)
{
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    cr_expect_eq(metric_read("claims_total", NULL), 40000);
    cr_expect_eq(metric_read("dialwright_claims_total", NULL), 40000, "with its prefix too");
}

Test(metrics, text)
{
    OWNED(buf_fini) struct buf out;
    buf_init(&out, 1000000);
    metric_add("places_total", "placed", 2);
    metric_add("places_total", "no such value", 1);
    metric_set("db_up", NULL, 1);
    metric_observe_ms("place_seconds", 3);
    metric_observe_ms("place_seconds", 100000);
    cr_assert_eq(metrics_write(&out), 0);
    static const char *const rows[] = {
        "# TYPE dialwright_places_total counter\n",
        "dialwright_places_total{result=\"placed\"} 2\n",
        "dialwright_places_total{result=\"not_placed\"} 0\n",
        "dialwright_places_total{result=\"other\"} 1\n",
        "dialwright_db_up 1\n",
        "dialwright_place_seconds_bucket{le=\"0.002\"} 0\n",
        "dialwright_place_seconds_bucket{le=\"0.005\"} 1\n",
        "dialwright_place_seconds_bucket{le=\"60\"} 1\n",
        "dialwright_place_seconds_bucket{le=\"+Inf\"} 2\n",
        "dialwright_place_seconds_sum 100.003\n",
        "dialwright_place_seconds_count 2\n",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        cr_expect(str_contains(buf_str(&out), str_of(rows[i])), "%s", rows[i]);
    }
    cr_expect_eq(metric_read("place_seconds", NULL), 2);
    OWNED(buf_fini) struct buf small;
    buf_init(&small, 100);
    cr_expect_eq(metrics_write(&small), -EMSGSIZE);
}

Test(metrics, unknown_names_are_counted)
{
    metric_add("no_such_series", NULL, 5);
    metric_observe_ms("claims_total", 5);
    cr_expect_eq(metric_read("metric_unknown_total", NULL), 6);
}
