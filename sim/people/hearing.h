/* hearing.h -- what has been heard on one line: utterances, and how much of each.
 *
 * Fed with the bytes of one direction of a call, in order. Keeps the last few utterances since the
 * last hearing_forget(); an utterance that is spoken again later is a new entry.
 *
 * Owner   embedded in a person, a session or a test.
 * Thread  the loop's.
 * Limits  HEARING_MAX utterances; the oldest is dropped. */
#ifndef SIM_PEOPLE_HEARING_H
#define SIM_PEOPLE_HEARING_H

#include "marker.h"

#define HEARING_MAX 8

struct heard {
    uint32_t id;
    uint16_t blocks_total;
    uint16_t blocks_heard;
    uint16_t last_index;
    bool answered; /* the listener has reacted to it */
};

struct hearing {
    struct marker_ear ear;
    struct heard said[HEARING_MAX]; /* in the order they began */
    size_t count;
};

void hearing_feed(struct hearing *h, const uint8_t *ulaw, size_t len);
void hearing_forget(struct hearing *h);        /* the list; the ear keeps its place in the stream */
struct heard *hearing_last(struct hearing *h); /* NULL when nothing was heard */
struct heard *hearing_find(struct hearing *h, uint32_t id); /* the latest of that id; NULL */
/* Whole: all but a block or two; most: enough to understand the sentence. */
bool heard_whole(const struct heard *s);
bool heard_most(const struct heard *s);

#endif
