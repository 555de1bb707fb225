#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#ifndef SIM_PEOPLE_DIR
#error "SIM_PEOPLE_DIR is set by the build"
#endif

static const char help[] =
    "dialwright-sim -- a telephone carrier, a voice model and people, simulated on real sockets\n"
    "\n"
    "  dialwright-sim serve --listen 127.0.0.1:PORT [options]\n"
    "  dialwright-sim people --count N --seed S --at 2026-11-23T10:00:00Z   > leads.csv\n"
    "  dialwright-sim limits        what the carrier promises about its delays, as JSON\n"
    "  dialwright-sim countries     the countries of the invented people, as JSON\n"
    "  dialwright-sim personas      who there is to be phoned\n"
    "\n"
    "  --listen ADDR:PORT    port 0 takes a free one and prints it (127.0.0.1:9090)\n"
    "  --public URL          where others reach this server (http://ADDR:PORT)\n"
    "  --auth-id ID          the carrier account (MASIMULATEDACCOUNT00)\n"
    "  --auth-token TOKEN    its token, which also signs the callbacks\n"
    "  --model-key KEY       the only key the model takes (any)\n"
    "  --ground-truth FILE   the carrier's own record, a JSON object a line, appended\n"
    "  --records DIR         where recordings are written (/tmp)\n"
    "  --people DIR          personas, fates, lines, places\n"
    "  --seed S              personas, delays and faults follow from it (1)\n"
    "  --faults PROFILE      none, demo, hostile\n"
    "  --fault NAME=P        one fault with its probability; may be given again\n"
    "  --cps N               calls per second that the carrier dials (20)\n"
    "  --ring MIN-MAX        milliseconds until people answer (300-1500)\n"
    "  --no-answer MS        the network gives up ringing after this (4000)\n"
    "  --cdr-lag MS          a finished call is in the records after this (1000)\n"
    "  --count N             rows of the list (200)\n"
    "  --at TIME             the moment for which the list is made (now)\n"
    "\n"
    "GET /sim/state on the server gives the counts of everything as JSON.\n";

enum {
    OPT_LISTEN = 1000,
    OPT_PUBLIC,
    OPT_AUTH_ID,
    OPT_AUTH_TOKEN,
    OPT_MODEL_KEY,
    OPT_TRUTH,
    OPT_RECORDS,
    OPT_PEOPLE,
    OPT_SEED,
    OPT_FAULTS,
    OPT_FAULT,
    OPT_CPS,
    OPT_RING,
    OPT_NO_ANSWER,
    OPT_CDR_LAG,
    OPT_COUNT,
    OPT_AT,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"public", required_argument, NULL, OPT_PUBLIC},
    {"auth-id", required_argument, NULL, OPT_AUTH_ID},
    {"auth-token", required_argument, NULL, OPT_AUTH_TOKEN},
    {"model-key", required_argument, NULL, OPT_MODEL_KEY},
    {"ground-truth", required_argument, NULL, OPT_TRUTH},
    {"records", required_argument, NULL, OPT_RECORDS},
    {"people", required_argument, NULL, OPT_PEOPLE},
    {"seed", required_argument, NULL, OPT_SEED},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"fault", required_argument, NULL, OPT_FAULT},
    {"cps", required_argument, NULL, OPT_CPS},
    {"ring", required_argument, NULL, OPT_RING},
    {"no-answer", required_argument, NULL, OPT_NO_ANSWER},
    {"cdr-lag", required_argument, NULL, OPT_CDR_LAG},
    {"count", required_argument, NULL, OPT_COUNT},
    {"at", required_argument, NULL, OPT_AT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

void options_help(void)
{
    (void)fputs(help, stdout);
}

static bool number(const char *text, int64_t low, int64_t high, int64_t *out)
{
    int64_t n = 0;

    if (str_to_i64(str_of(text), &n) < 0 || n < low || n > high) {
        return false;
    }
    *out = n;
    return true;
}

static bool range(const char *text, int64_t *low, int64_t *high)
{
    struct str rest = str_of(text);
    struct str first;

    return str_split(&rest, '-', &first) && str_to_i64(first, low) == 0 &&
           str_to_i64(rest, high) == 0 && *low >= 0 && *high >= *low && *high <= 60000;
}

static bool take_text(struct options *o, int which, const char *value)
{
    const char **const places[] = {&o->listen,    &o->public_url, &o->auth_id,    &o->auth_token,
                                   &o->model_key, &o->truth_path, &o->record_dir, &o->people_dir};

    if (which <= OPT_PEOPLE) {
        *places[which - OPT_LISTEN] = value;
        return true;
    }
    if (which == OPT_AT) {
        o->at = value;
        return true;
    }
    return false;
}

static bool take(struct options *o, int which, const char *value)
{
    int64_t n = 0;

    if (take_text(o, which, value)) {
        return true;
    }
    switch (which) {
    case OPT_SEED:
        if (!number(value, 0, INT64_MAX, &n)) {
            return false;
        }
        o->seed = (uint64_t)n;
        o->faults.seed = (uint64_t)n;
        return true;
    case OPT_FAULTS:
        return faults_profile(&o->faults, value) == 0;
    case OPT_FAULT:
        return faults_set(&o->faults, value) == 0;
    case OPT_CPS:
        return number(value, 1, 1000, &o->limits.calls_per_second);
    case OPT_RING:
        return range(value, &o->limits.ring_ms_min, &o->limits.ring_ms_max);
    case OPT_NO_ANSWER:
        return number(value, 100, 120000, &o->limits.no_answer_ms);
    case OPT_CDR_LAG:
        return number(value, 0, 600000, &o->limits.record_lag_ms);
    case OPT_COUNT:
        return number(value, 0, 10000, &o->count);
    default:
        return false;
    }
}

int options_read(struct options *o, int argc, char **argv)
{
    memset(o, 0, sizeof *o);
    o->listen = "127.0.0.1:9090";
    o->auth_id = "MASIMULATEDACCOUNT00";
    o->auth_token = "simulated-token-of-the-demo";
    o->record_dir = "/tmp";
    o->people_dir = SIM_PEOPLE_DIR;
    o->count = 200;
    o->seed = 1;
    o->faults.seed = 1;
    sim_limits_default(&o->limits);
    for (int which = 0; which >= 0;) {
        int at = optind;
        which = getopt_long(argc, argv, "", long_options, NULL);
        if (which == OPT_HELP) {
            return -1;
        }
        if (which >= 0 && (which == '?' || !take(o, which, optarg))) {
            if (which != '?') {
                (void)fprintf(stderr, "dialwright-sim: bad value: %s\n", argv[at]);
            }
            return 2;
        }
    }
    o->command = optind < argc ? argv[optind] : NULL;
    if (o->command == NULL || optind + 1 < argc) {
        (void)fputs("dialwright-sim: one command is needed; try --help\n", stderr);
        return 2;
    }
    return 0;
}
