/* dial.h -- <Dial>: the second leg, the whispered briefing, the key, the bridge.
 *
 *   start -> rings -> answers -> hears confirmSound -> presses the key -> bridged -> over
 *              \---------\------------\--------------------\---------------> over
 *
 * Rings the first <Number>. The action URL is asked when the second leg is over while the first one
 * lives; callbackUrl hears of answer, connected and hangup.
 *
 * Owner   the call; dial_free() ends the second leg with its notices.
 * Thread  the loop's.
 * Source  protocols sheet of the carrier, section 4 "Dial". */
#ifndef SIM_CARRIER_DIAL_H
#define SIM_CARRIER_DIAL_H

#include "call.h"

void dial_start(struct call *call, const struct verb *verb);
bool dial_bridged(const struct dial *d);
/* 20 ms of both legs: what the lead said goes in, what the lead hears comes out. */
void dial_tick(struct dial *d, const uint8_t lead_said[G711_FRAME_BYTES],
               uint8_t lead_hears[G711_FRAME_BYTES]);
/* The first leg is over: the second is hung up and told about, no action is asked. */
void dial_free(struct dial **d);

#endif
