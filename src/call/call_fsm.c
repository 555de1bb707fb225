#include "call/call_fsm.h"

#include <assert.h>
#include <stdint.h>

#define NONE ((uint8_t)0xfe) /* must not happen */
#define LATE ((uint8_t)0xff) /* harmless after the fact */

// clang-format off
static const uint8_t next[CALL_PHASE_COUNT][CALL_EVENT_COUNT] = {
    /* phase          STARTED       SPEAKING      OPENED        FAREWELL      TRANSFER       DRAINED       LOST          FAILED        CANCEL        SETTLED */
    [CALL_WARMING]  = {CALL_JOINING, NONE,         NONE,         NONE,         NONE,          NONE,         CALL_LEAVING, CALL_LEAVING, CALL_LEAVING, NONE},
    [CALL_JOINING]  = {NONE,         CALL_OPENING, NONE,         CALL_CLOSING, NONE,          NONE,         CALL_LEAVING, CALL_LEAVING, CALL_LEAVING, NONE},
    [CALL_OPENING]  = {NONE,         LATE,         CALL_TALKING, CALL_CLOSING, NONE,          NONE,         CALL_LEAVING, CALL_LEAVING, CALL_LEAVING, NONE},
    [CALL_TALKING]  = {NONE,         NONE,         LATE,         CALL_CLOSING, CALL_HANDOVER, NONE,         CALL_LEAVING, CALL_LEAVING, CALL_LEAVING, NONE},
    [CALL_HANDOVER] = {NONE,         NONE,         LATE,         CALL_CLOSING, LATE,          CALL_LEAVING, CALL_LEAVING, CALL_LEAVING, CALL_LEAVING, NONE},
    [CALL_CLOSING]  = {NONE,         LATE,         LATE,         LATE,         LATE,          CALL_LEAVING, CALL_LEAVING, CALL_LEAVING, CALL_LEAVING, NONE},
    [CALL_LEAVING]  = {LATE,         LATE,         LATE,         LATE,         LATE,          LATE,         LATE,         LATE,         LATE,         CALL_OVER},
    [CALL_OVER]     = {LATE,         LATE,         LATE,         LATE,         LATE,          LATE,         LATE,         LATE,         LATE,         LATE},
};
// clang-format on
static_assert(CALL_PHASE_COUNT == 8,
              "a new phase needs a row above and one in docs/call-states.md");
static_assert(CALL_EVENT_COUNT == 10, "a new event needs a column above");

enum call_step call_fsm_step(enum call_phase *phase, enum call_event event)
{
    uint8_t to = next[*phase][event];
    if (to == LATE) {
        return CALL_STEP_LATE;
    }
    if (to == NONE) {
        return CALL_STEP_REFUSED;
    }
    *phase = (enum call_phase)to;
    return CALL_STEP_MOVED;
}

const char *call_phase_name(enum call_phase phase)
{
    static const char *const names[CALL_PHASE_COUNT] = {"warming",  "joining", "opening", "talking",
                                                        "handover", "closing", "leaving", "over"};
    return names[phase];
}

const char *call_event_name(enum call_event event)
{
    static const char *const names[CALL_EVENT_COUNT] = {
        "started", "speaking", "opened", "farewell", "transfer",
        "drained", "lost",     "failed", "cancel",   "settled"};
    return names[event];
}
