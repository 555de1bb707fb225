#include "faults.h"

#include "people/dice.h"

#include <errno.h>
#include <string.h>

static const char *const names[FAULT_COUNT] = {
    [FAULT_HOOK_LOST] = "hook_lost",
    [FAULT_HOOK_DOUBLED] = "hook_doubled",
    [FAULT_HOOK_LATE] = "hook_late",
    [FAULT_HOOK_REORDERED] = "hook_reordered",
    [FAULT_HOOK_FORGED] = "hook_forged",
    [FAULT_HOOK_REPLAYED] = "hook_replayed",
    [FAULT_POST_5XX_DIALED] = "post_5xx_dialed",
    [FAULT_POST_5XX] = "post_5xx",
    [FAULT_POST_CUT_DIALED] = "post_cut_dialed",
    [FAULT_POST_CUT] = "post_cut",
    [FAULT_POST_SLOW_DIALED] = "post_slow_dialed",
    [FAULT_POST_429] = "post_429",
    [FAULT_STREAM_CUT] = "stream_cut",
    [FAULT_MODEL_REFUSED] = "model_refused",
    [FAULT_MODEL_CUT] = "model_cut",
    [FAULT_MODEL_ERROR] = "model_error",
    [FAULT_TRANSCRIPT_LATE] = "transcript_late",
    [FAULT_TRANSCRIPT_FAILED] = "transcript_failed",
    [FAULT_ANALYSIS_429] = "analysis_429",
    [FAULT_ANALYSIS_500] = "analysis_500",
    [FAULT_ANALYSIS_CUT] = "analysis_cut",
};

struct profile {
    const char *name;
    double chance[FAULT_COUNT];
};

static const struct profile profiles[] = {
    {"none", {0}},
    {"demo",
     {[FAULT_HOOK_LOST] = 0.06,
      [FAULT_HOOK_DOUBLED] = 0.10,
      [FAULT_HOOK_LATE] = 0.06,
      [FAULT_HOOK_REORDERED] = 0.06,
      [FAULT_HOOK_FORGED] = 0.05,
      [FAULT_HOOK_REPLAYED] = 0.05,
      [FAULT_POST_5XX_DIALED] = 0.04,
      [FAULT_POST_5XX] = 0.03,
      [FAULT_POST_CUT_DIALED] = 0.02,
      [FAULT_POST_CUT] = 0.02,
      [FAULT_STREAM_CUT] = 0.03,
      [FAULT_MODEL_REFUSED] = 0.01,
      [FAULT_MODEL_CUT] = 0.02,
      [FAULT_MODEL_ERROR] = 0.03,
      [FAULT_TRANSCRIPT_LATE] = 0.15,
      [FAULT_TRANSCRIPT_FAILED] = 0.02,
      [FAULT_ANALYSIS_429] = 0.05,
      [FAULT_ANALYSIS_500] = 0.05,
      [FAULT_ANALYSIS_CUT] = 0.03}},
    {"hostile", {[FAULT_HOOK_LOST] = 0.15,        [FAULT_HOOK_DOUBLED] = 0.20,
                 [FAULT_HOOK_LATE] = 0.15,        [FAULT_HOOK_REORDERED] = 0.30,
                 [FAULT_HOOK_FORGED] = 0.20,      [FAULT_HOOK_REPLAYED] = 0.20,
                 [FAULT_POST_5XX_DIALED] = 0.08,  [FAULT_POST_5XX] = 0.06,
                 [FAULT_POST_CUT_DIALED] = 0.08,  [FAULT_POST_CUT] = 0.06,
                 [FAULT_POST_SLOW_DIALED] = 0.04, [FAULT_POST_429] = 0.03,
                 [FAULT_STREAM_CUT] = 0.08,       [FAULT_MODEL_REFUSED] = 0.05,
                 [FAULT_MODEL_CUT] = 0.06,        [FAULT_MODEL_ERROR] = 0.10,
                 [FAULT_TRANSCRIPT_LATE] = 0.40,  [FAULT_TRANSCRIPT_FAILED] = 0.08,
                 [FAULT_ANALYSIS_429] = 0.15,     [FAULT_ANALYSIS_500] = 0.15,
                 [FAULT_ANALYSIS_CUT] = 0.10}},
};

int faults_profile(struct faults *f, const char *name)
{
    for (size_t i = 0; i < COUNT_OF(profiles); i++) {
        if (strcmp(profiles[i].name, name) == 0) {
            memcpy(f->chance, profiles[i].chance, sizeof f->chance);
            return 0;
        }
    }
    return -EINVAL;
}

int faults_set(struct faults *f, const char *name_eq_chance)
{
    struct str rest = str_of(name_eq_chance);
    struct str name;
    double chance = 0;

    if (!str_split(&rest, '=', &name) || str_to_double(rest, &chance) < 0 || chance < 0 ||
        chance > 1) {
        return -EINVAL;
    }
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        if (str_eq_cstr(name, names[i])) {
            f->chance[i] = chance;
            return 0;
        }
    }
    return -EINVAL;
}

bool fault_strikes(struct faults *f, enum fault_kind kind, struct str key, uint64_t nth)
{
    if (f->chance[kind] <= 0 || dice_unit(f->seed, names[kind], key, nth) >= f->chance[kind]) {
        return false;
    }
    f->struck[kind]++;
    return true;
}

const char *fault_kind_name(enum fault_kind kind)
{
    return names[kind];
}

json_t *faults_report(const struct faults *f)
{
    json_t *report = json_object();

    for (size_t i = 0; i < FAULT_COUNT; i++) {
        if (f->chance[i] > 0) {
            (void)json_object_set_new(report, names[i], json_integer(f->struck[i]));
        }
    }
    return report;
}
