/* doctor_live.h -- `doctor --live NUMBER`: one test call, through the queue, the gate and a running
 * daemon like every other call; there is no second way to dial.
 *
 * Owner   the command's struct cmd, borrowed for the run.
 * Thread  main.
 * Time    waits at most `--wait` seconds for a daemon to claim the call, then until it has ended.
 * Errors  as cmd.h: EXIT_REFUSED when the gate says no, EXIT_FAILED when nobody answered. */
#ifndef CLI_DOCTOR_LIVE_H
#define CLI_DOCTOR_LIVE_H

#include "cli/cmd.h"

struct live_wish {
    const char *number;
    const char *region;   /* of a number without +; may be NULL */
    const char *campaign; /* NULL: the only active one */
    const char *wait;     /* seconds as typed; NULL: the default */
};

enum exit_code doctor_live(struct cmd *cmd, const struct live_wish *wish);

#endif
