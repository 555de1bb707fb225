/* stream.h -- the carrier's end of the audio socket: a WebSocket client that plays and listens.
 *
 * Connects (three tries), says `start`, sends the person's 20 ms as `media`, plays `playAudio` from
 * a queue in real time, answers checkpoint with playedStream once all before it was played, and
 * clearAudio with clearedAudio. Ends when the call does or when the other side closes.
 *
 * Owner   the call; stream_free() is silent.
 * Thread  the loop's.
 * Limits  60 s of queued audio (more is dropped and counted), 64 checkpoints.
 * Source  protocols sheet of the carrier, section 5. */
#ifndef SIM_CARRIER_STREAM_H
#define SIM_CARRIER_STREAM_H

#include "call.h"

/* Starts for this <Stream>. True: the document waits (keepCallAlive) and goes on by exec_next(). */
bool stream_start(struct call *call, const struct verb *verb);
void stream_free(struct stream **s);
bool stream_open(const struct stream *s);
/* The next 20 ms for the person's ear; silence when nothing is queued. */
void stream_play(struct stream *s, uint8_t out[G711_FRAME_BYTES]);
/* The person's 20 ms to the other side. */
void stream_send(struct stream *s, const uint8_t in[G711_FRAME_BYTES]);

#endif
