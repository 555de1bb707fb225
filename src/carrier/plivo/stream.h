/* stream.h -- the frames of Plivo's audio stream: read theirs, write ours.
 *
 * Plivo's pages, SDKs and samples differ in whether numbers are strings and where ids stand; every
 * form seen is read. What is not known is CARRIER_FRAME_OTHER, never an error.
 *
 * Owner   the frame's strings live in the scanner until its next message.
 * Thread  any; pure.
 * Errors  -EINVAL: not JSON, no event, or an event without what makes it one.
 * Source  docs/carrier-plivo.md, "Stream". */
#ifndef CARRIER_PLIVO_STREAM_H
#define CARRIER_PLIVO_STREAM_H

#include "carrier/carrier.h"

#define PLIVO_PLAY_HEAD                                                                            \
    "{\"event\":\"playAudio\",\"media\":{\"contentType\":\"audio/x-mulaw\",\"sampleRate\":8000,"   \
    "\"payload\":\""
#define PLIVO_PLAY_TAIL "\"}}"

int plivo_frame_read(struct jscan *scan, struct str message, struct carrier_frame *out) MUST_USE;
int plivo_checkpoint_write(const char *stream_id, const char *name, struct buf *out) MUST_USE;
int plivo_clear_write(const char *stream_id, struct buf *out) MUST_USE;
int plivo_dtmf_write(const char *digits, struct buf *out) MUST_USE;

#endif
