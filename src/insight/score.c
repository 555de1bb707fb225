#include "insight/score.h"

#include <errno.h>

struct weight {
    const char *name;
    double min, max;
};

/* The names of app.default_weights(), sql/migrations/0011_score.sql. */
static const struct weight weights_known[] = {
    {"answered", 0, 100},
    {"answered_often", 0, 100},
    {"answered_often_from", 1, 100},
    {"sentiment", 0, 100},
    {"sentiment_over", -1, 1},
    {"interest_high", 0, 100},
    {"interest_medium", 0, 100},
    {"readiness_immediate", 0, 100},
    {"readiness_short_term", 0, 100},
    {"cap", 1, 100},
};

static const struct weight *find_weight(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(weights_known); i++) {
        if (str_eq_cstr(str_of(name), weights_known[i].name)) {
            return &weights_known[i];
        }
    }
    return NULL;
}

int score_weights_check(const json_t *weights, struct buf *problems)
{
    if (!json_is_object(weights) || json_object_size(weights) == 0) {
        (void)buf_add_cstr(problems, "weights: an object with at least one weight is needed\n");
        return -EINVAL;
    }
    int err = 0;
    for (void *at = json_object_iter((json_t *)(uintptr_t)weights); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)weights, at)) {
        const char *name = json_object_iter_key(at);
        const json_t *value = json_object_iter_value(at);
        const struct weight *known = find_weight(name);
        double number = json_number_value(value);
        if (known == NULL) {
            (void)buf_addf(problems, "%s: no such weight\n", name);
            err = -EINVAL;
        } else if (!json_is_number(value) || !(number >= known->min && number <= known->max)) {
            (void)buf_addf(problems, "%s: a number from %g to %g is needed\n", name, known->min,
                           known->max);
            err = -EINVAL;
        }
    }
    return err;
}
