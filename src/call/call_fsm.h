/* call_fsm.h -- the phases of a talk as the media side sees it, and the only door between them.
 *
 * Not the status of the call log (that automaton is in the database); docs/call-states.md draws
 * both.
 *
 * Owner   a plain value in struct call.
 * Thread  any.
 * Errors  CALL_STEP_REFUSED: our own code asked for an edge that does not exist; counted and
 * logged. CALL_STEP_LATE: harmless after the fact. Nothing the network sends can assert. */
#ifndef CALL_CALL_FSM_H
#define CALL_CALL_FSM_H

enum call_phase {
    CALL_WARMING, /* it rings; the model is being connected and configured */
    CALL_JOINING, /* the stream started, the opening cannot be spoken yet */
    CALL_OPENING, /* disclosure and greeting are spoken: nobody interrupts them */
    CALL_TALKING,
    CALL_HANDOVER, /* the hand-over line is spoken, then the carrier rings an agent */
    CALL_CLOSING,  /* the goodbye is spoken */
    CALL_LEAVING,  /* no sound any more: late transcripts and the recording are gathered */
    CALL_OVER,
    CALL_PHASE_COUNT
};

enum call_event {
    CALL_EV_STARTED,  /* the carrier's `start` named this call */
    CALL_EV_SPEAKING, /* the opening was ordered or is played */
    CALL_EV_OPENED,   /* it was heard to its end, said what it had to, and the model is ready */
    CALL_EV_FAREWELL, /* somebody decided that it is time to say goodbye */
    CALL_EV_TRANSFER, /* a human will take over */
    CALL_EV_DRAINED,  /* the last words were heard, or waited for long enough */
    CALL_EV_LOST,     /* the carrier's socket is gone */
    CALL_EV_FAILED,   /* the model is gone, or did not say what had to be said */
    CALL_EV_CANCEL,   /* the control side ends it */
    CALL_EV_SETTLED,  /* nothing is left to gather */
    CALL_EVENT_COUNT
};

enum call_step { CALL_STEP_MOVED, CALL_STEP_LATE, CALL_STEP_REFUSED };

enum call_step call_fsm_step(enum call_phase *phase, enum call_event event);
const char *call_phase_name(enum call_phase phase);
const char *call_event_name(enum call_event event);

#endif
