/* person.h -- somebody on the phone: hears 20 ms, says 20 ms, decides what to do next.
 *
 * A person knows only what its ear got: it goes on in its script when it has heard the AI's answer
 * through the carrier, asks again when it heard something else, interrupts while it hears, and puts
 * the phone down when nothing comes. It has no other channel to the AI side.
 *
 *   opening --heard something--> says step 0 --> waits for the answer --heard--> says step 1 ... --> end
 *   hold (dial music) --> bridged: lines in turn with the other person --> puts the phone down
 *
 * Owner   embedded in a call's leg.
 * Thread  the loop's.
 * Time    one call of person_tick() is 20 ms; it has no other clock. */
#ifndef SIM_PEOPLE_PERSON_H
#define SIM_PEOPLE_PERSON_H

#include "book.h"
#include "g711.h"
#include "hearing.h"

enum person_wish { PERSON_STAYS, PERSON_HANGS_UP };
enum person_mode { PERSON_SCRIPT, PERSON_HELD, PERSON_BRIDGED };

struct person {
    const struct book *book;
    const struct persona *persona; /* NULL: an agent */
    enum person_mode mode;
    enum speech_voice voice;
    struct hearing ear;
    const struct speech *saying;
    size_t said_bytes;
    size_t step; /* the next one to say */
    const char *lines[BRIDGE_LINES_MAX];
    size_t line_count;
    size_t line;
    bool talks_first;
    int64_t beep_left_ms;
    int64_t now_ms;
    int64_t quiet_ms; /* since the other side was last heard, or since we spoke */
    int64_t heard_ms; /* how much of the other side was heard in all */
    int64_t mode_since_ms;
    int repeats;
};

void person_init_lead(struct person *p, const struct book *book, const struct persona *persona);
void person_init_agent(struct person *p, const struct book *book);
enum person_wish person_tick(struct person *p, const uint8_t in[G711_FRAME_BYTES],
                             uint8_t out[G711_FRAME_BYTES]);
void person_set_mode(struct person *p, enum person_mode mode);

#endif
