/* options.h -- the command line of dialwright-sim.
 *
 * Owner   plain values; texts point into argv.
 * Thread  main.
 * Errors  options_read: 0, or the exit status after having said why (2), or -1: help was asked for. */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include "faults/faults.h"
#include "sim_limits.h"

struct options {
    const char *command; /* serve, people, limits, countries, personas */
    const char *listen;
    const char *public_url;
    const char *auth_id;
    const char *auth_token;
    const char *model_key;
    const char *truth_path;
    const char *record_dir;
    const char *people_dir;
    const char *at;
    int64_t count;
    uint64_t seed;
    struct sim_limits limits;
    struct faults faults;
};

int options_read(struct options *o, int argc, char **argv) MUST_USE;
void options_help(void);

#endif
