#include "call/call_fsm.h"

#include <criterion/criterion.h>
#include <string.h>

/* The table once more, as people read it: "phase event -> phase"; every pair that is not here must be
 * late or refused, and then change nothing. docs/call-states.md shows the same. */
static const struct {
    enum call_phase from;
    enum call_event event;
    enum call_phase to;
} edges[] = {
    {CALL_WARMING, CALL_EV_STARTED, CALL_JOINING},
    {CALL_JOINING, CALL_EV_SPEAKING, CALL_OPENING},
    {CALL_OPENING, CALL_EV_OPENED, CALL_TALKING},
    {CALL_JOINING, CALL_EV_FAREWELL, CALL_CLOSING},
    {CALL_OPENING, CALL_EV_FAREWELL, CALL_CLOSING},
    {CALL_TALKING, CALL_EV_FAREWELL, CALL_CLOSING},
    {CALL_HANDOVER, CALL_EV_FAREWELL, CALL_CLOSING},
    {CALL_TALKING, CALL_EV_TRANSFER, CALL_HANDOVER},
    {CALL_HANDOVER, CALL_EV_DRAINED, CALL_LEAVING},
    {CALL_CLOSING, CALL_EV_DRAINED, CALL_LEAVING},
    {CALL_LEAVING, CALL_EV_SETTLED, CALL_OVER},
};

static enum call_phase expected(enum call_phase from, enum call_event event)
{
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        if (edges[i].from == from && edges[i].event == event) {
            return edges[i].to;
        }
    }
    bool ends = event == CALL_EV_LOST || event == CALL_EV_FAILED || event == CALL_EV_CANCEL;
    return ends && from < CALL_LEAVING ? CALL_LEAVING : from;
}

Test(call_fsm, every_pair)
{
    for (int from = 0; from < CALL_PHASE_COUNT; from++) {
        for (int event = 0; event < CALL_EVENT_COUNT; event++) {
            enum call_phase phase = (enum call_phase)from;
            enum call_step step = call_fsm_step(&phase, (enum call_event)event);
            enum call_phase to = expected((enum call_phase)from, (enum call_event)event);
            cr_expect_eq(phase, to, "%s %s", call_phase_name((enum call_phase)from),
                         call_event_name((enum call_event)event));
            cr_expect_eq(step == CALL_STEP_MOVED, to != (enum call_phase)from);
        }
    }
}

/* What comes from outside at any time (the carrier's end, ours, the model's) is never a surprise. */
Test(call_fsm, what_the_network_sends_is_never_refused)
{
    static const enum call_event outside[] = {CALL_EV_LOST, CALL_EV_FAILED, CALL_EV_CANCEL};
    for (int from = 0; from < CALL_PHASE_COUNT; from++) {
        for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
            enum call_phase phase = (enum call_phase)from;
            cr_expect_neq(call_fsm_step(&phase, outside[i]), CALL_STEP_REFUSED);
        }
    }
}

Test(call_fsm, after_the_end_everything_is_late)
{
    for (int event = 0; event < CALL_EVENT_COUNT; event++) {
        enum call_phase phase = CALL_OVER;
        cr_expect_eq(call_fsm_step(&phase, (enum call_event)event), CALL_STEP_LATE);
    }
}

Test(call_fsm, names_are_there_and_differ)
{
    for (int i = 0; i < CALL_PHASE_COUNT; i++) {
        for (int k = 0; k < i; k++) {
            cr_expect_str_neq(call_phase_name((enum call_phase)i),
                              call_phase_name((enum call_phase)k));
        }
    }
    for (int i = 0; i < CALL_EVENT_COUNT; i++) {
        cr_expect_gt(strlen(call_event_name((enum call_event)i)), 3);
    }
}
