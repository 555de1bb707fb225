/* response.h -- one response: shared by respond.c (its life) and response_out.c (its events).
 *
 * Owner   the session: `active`, or the list of strays.
 * Thread  the loop's. */
#ifndef SIM_MODEL_RESPONSE_H
#define SIM_MODEL_RESPONSE_H

#include "session.h"

struct response {
    struct list link; /* in strays */
    struct session *session;
    struct timer timer;
    char id[ID_SIZE];
    char item[ID_SIZE];
    bool out_of_band;
    bool text_only;
    bool opened; /* the message item was announced */
    char *text;
    const struct speech *speech;
    size_t sent;
    size_t text_sent;
    const struct ai_turn *turn;
    json_t *forced; /* name of a function that must be called; NULL */
    bool no_tools;
    json_t *metadata;
    json_t *output; /* items, complete */
    int64_t text_in;
    int64_t audio_in;
};

/* details and metadata as in the protocol; details is taken over; over: with usage. */
void response_emit(struct response *r, const char *type, const char *status, json_t *details,
                   bool over);
void response_open_item(struct response *r);
void response_send_audio(struct response *r); /* the next piece */
void response_send_words(struct response *r); /* up to where the audio is */
void response_close_item(struct response *r, bool whole);
void response_call_tools(struct response *r);

#endif
