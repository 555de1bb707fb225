/* recorder.h -- the carrier's own recording of a call (<Record recordSession>): what the person said
 * and what the person heard, as a stereo WAV served over HTTP.
 *
 * Owner   recorder: the call, from the verb to its end. Recording: the carrier.
 * Thread  the loop's. The file is written at the end of the call, in one go.
 * Limits  maxLength of the verb; one hour. */
#ifndef SIM_CARRIER_RECORDER_H
#define SIM_CARRIER_RECORDER_H

#include "call.h"

struct recording {
    struct list link;
    char id[UUID_TEXT_SIZE];
    char call_uuid[UUID_TEXT_SIZE];
    char url[512];
    char path[512];
    int64_t duration_ms;
    int64_t start_wall_us;
    int64_t end_wall_us;
};

void recorder_start(struct call *call, const struct verb *verb);
void recorder_dial_answered(struct recorder *r); /* startOnDialAnswer */
void recorder_add(struct recorder *r, const uint8_t said[G711_FRAME_BYTES],
                  const uint8_t heard[G711_FRAME_BYTES]);
/* Writes the file, tells the callback, frees. */
void recorder_end(struct recorder **r);
void recorder_free(struct recorder **r);                                        /* silent */
const struct recording *recording_find(const struct carrier *c, struct str id); /* NULL */
void recordings_free(struct carrier *c);

#endif
