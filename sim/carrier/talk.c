/* talk.c -- the 20 ms clock of every answered call: what the person hears, and what it says. */
#include "call.h"
#include "dial.h"
#include "recorder.h"
#include "stream.h"

#include <string.h>

#define CATCH_UP_MAX 25 /* half a second: after a longer stall the audio is simply late */

static void hear(struct call *call, uint8_t heard[G711_FRAME_BYTES])
{
    memset(heard, (int)G711_SILENCE, G711_FRAME_BYTES);
    if (call->playing != NULL) {
        memcpy(heard, call->playing->ulaw + call->played_bytes, G711_FRAME_BYTES);
        call->played_bytes += G711_FRAME_BYTES;
    } else if (stream_open(call->stream)) {
        stream_play(call->stream, heard);
    }
}

static void tick(struct call *call)
{
    uint8_t heard[G711_FRAME_BYTES];
    uint8_t said[G711_FRAME_BYTES];

    hear(call, heard);
    if (call->dial != NULL) {
        dial_tick(call->dial, call->last_said, heard);
        if (call->state == CALL_OVER) {
            return;
        }
    }
    enum person_wish wish = person_tick(&call->person, heard, said);
    memcpy(call->last_said, said, sizeof said);
    if (stream_open(call->stream)) {
        stream_send(call->stream, said);
    }
    if (call->recorder != NULL) {
        recorder_add(call->recorder, said, heard);
    }
    if (wish == PERSON_HANGS_UP) {
        call_end(call, CAUSE_NORMAL, "Callee");
        return;
    }
    if (call->playing != NULL && call->played_bytes >= call->playing->len) {
        call->playing = NULL;
        exec_next(call);
    }
}

void talk_tick_all(void *arg)
{
    struct carrier *c = arg;
    int64_t now_us = loop_now_us(c->conf.loop);

    LIST_EACH_SAFE(it, &c->live)
    {
        struct call *call = LIST_ITEM(it, struct call, link);
        int64_t due = call->state == CALL_TALKING ? (now_us - call->answer_us) / 20000 : 0;
        if (due - call->ticks > CATCH_UP_MAX) {
            call->ticks = due - CATCH_UP_MAX;
        }
        while (call->state == CALL_TALKING && call->ticks < due) {
            call->ticks++;
            tick(call);
        }
    }
}
