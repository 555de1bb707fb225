/* vad.h -- when somebody speaks: energy in 10 ms windows, with the session's three settings.
 *
 * Owner   embedded.
 * Thread  the loop's.
 * Units   milliseconds of audio fed since the start, whatever the wall clock says. */
#ifndef SIM_MODEL_VAD_H
#define SIM_MODEL_VAD_H

#include "base/macros.h"

#define VAD_WINDOW 80 /* bytes: 10 ms */

enum vad_event { VAD_NOTHING, VAD_STARTED, VAD_STOPPED };

struct vad {
    double threshold; /* 0..1 */
    int64_t prefix_ms;
    int64_t silence_ms;
    bool speaking;
    int64_t loud_ms;  /* in a row */
    int64_t quiet_ms; /* in a row */
    int64_t now_ms;
    uint8_t window[VAD_WINDOW];
    size_t filled;
};

void vad_init(struct vad *v, double threshold, int64_t prefix_ms, int64_t silence_ms);
/* Takes bytes up to the next event and says how many; at_ms is the event's time on the audio clock. */
enum vad_event vad_feed(struct vad *v, const uint8_t *ulaw, size_t len, size_t *used,
                        int64_t *at_ms);

#endif
