#include "call/transcript.h"

#include "base/alloc.h"

#include <string.h>

#define ORDINAL_STEP 1024

void transcript_init(struct transcript *t, transcript_emit_fn *emit, void *arg)
{
    memset(t, 0, sizeof *t);
    list_init(&t->turns);
    t->emit = emit;
    t->arg = arg;
}

void transcript_fini(struct transcript *t)
{
    while (!list_empty(&t->turns)) {
        struct turn *turn = LIST_ITEM(list_pop_front(&t->turns), struct turn, link);
        buf_fini(&turn->text);
        xfree(turn);
    }
}

static struct turn *turn_find(const struct transcript *t, const char *id)
{
    /* Newest first: that is where things happen. */
    for (struct list *it = t->turns.prev; it != &t->turns; it = it->prev) {
        struct turn *turn = LIST_ITEM(it, struct turn, link);
        if (strcmp(turn->id, id) == 0) {
            return turn;
        }
    }
    return NULL;
}

static struct turn *turn_for(struct transcript *t, enum voice_speaker who, const char *id)
{
    struct turn *turn = turn_find(t, id);
    if (turn != NULL) {
        return turn;
    }
    if (t->count >= TRANSCRIPT_TURNS || id[0] == '\0') {
        t->dropped++;
        return NULL;
    }
    turn = xzalloc(sizeof *turn);
    str_copy_cut(str_of(id), turn->id, sizeof turn->id);
    turn->who = who;
    turn->start_ms = -1;
    turn->end_ms = -1;
    turn->heard_ms = -1;
    turn->heard = PLAY_FULL;
    buf_init(&turn->text, TRANSCRIPT_BODY);
    list_push_back(&t->turns, &turn->link);
    t->count++;
    return turn;
}

/* The last placed turn at or before `it`; NULL: none. */
static struct turn *placed_before(const struct transcript *t, struct list *it)
{
    for (; it != &t->turns; it = it->prev) {
        struct turn *turn = LIST_ITEM(it, struct turn, link);
        if (turn->ordinal != 0) {
            return turn;
        }
    }
    return NULL;
}

static struct turn *placed_after(const struct transcript *t, struct list *it)
{
    for (; it != &t->turns; it = it->next) {
        struct turn *turn = LIST_ITEM(it, struct turn, link);
        if (turn->ordinal != 0) {
            return turn;
        }
    }
    return NULL;
}

/* Takes a place in the order right where the turn stands in the list. */
static void place(struct transcript *t, struct turn *turn)
{
    const struct turn *before = placed_before(t, turn->link.prev);
    const struct turn *after = placed_after(t, turn->link.next);
    int32_t low = before != NULL ? before->ordinal : 0;
    if (after != NULL && after->ordinal - low >= 2) {
        turn->ordinal = low + (after->ordinal - low) / 2;
        return;
    }
    /* At the end, or no number is left between the two: then behind all, which still is a place. */
    const struct turn *last = placed_before(t, t->turns.prev);
    turn->ordinal = (last != NULL ? last->ordinal : 0) + ORDINAL_STEP;
}

static int64_t total_of(const struct turn *turn)
{
    return turn->total_ms > 0 ? turn->total_ms : 1;
}

/* The share that was heard, cut back to the end of a word. */
static struct str heard_text(const struct turn *turn)
{
    struct str all = buf_str(&turn->text);
    if (turn->who != VOICE_AI || turn->heard != PLAY_CUT) {
        return all;
    }
    size_t len = (size_t)((int64_t)all.len * i64_max(0, turn->heard_ms) / total_of(turn));
    if (len >= all.len) {
        return all;
    }
    while (len > 0 && all.p[len] != ' ') {
        len--;
    }
    return str_trim(str_head(all, len));
}

static void emit(struct transcript *t, struct turn *turn)
{
    if (turn->ordinal == 0) {
        place(t, turn);
    }
    turn->emitted = true;
    t->emit(turn, heard_text(turn), t->arg);
}

static void settle(struct transcript *t, struct turn *turn)
{
    bool over = turn->who == VOICE_LEAD || turn->audio_over;
    if (turn->text_final && over && turn->ordinal != 0) {
        emit(t, turn);
    }
}

void transcript_turn(struct transcript *t, enum voice_speaker who, const char *id,
                     const char *after_id)
{
    struct turn *turn = turn_for(t, who, id);
    if (turn == NULL || turn->ordinal != 0) {
        return;
    }
    struct turn *after = after_id != NULL ? turn_find(t, after_id) : NULL;
    list_remove(&turn->link);
    if (after != NULL && after != turn) {
        list_push_front(&after->link, &turn->link);
    } else {
        list_push_back(&t->turns, &turn->link);
    }
    place(t, turn);
    settle(t, turn);
}

void transcript_text(struct transcript *t, enum voice_speaker who, const char *id, struct str text,
                     bool final)
{
    struct turn *turn = turn_for(t, who, id);
    if (turn == NULL) {
        return;
    }
    if (final && text.len > 0) {
        buf_clear(&turn->text); /* the final text is the whole one */
    }
    size_t room = TRANSCRIPT_BODY - 1 - turn->text.len;
    if (text.len > room) {
        text = str_head(text, room);
        while (text.len > 0 && ((uint8_t)text.p[text.len - 1] & 0xc0u) == 0x80u) {
            text.len--;
        }
        text.len -= text.len > 0 && (uint8_t)text.p[text.len - 1] >= 0xc0u ? 1 : 0;
    }
    (void)buf_add_str(&turn->text, text);
    turn->text_final = turn->text_final || final;
    settle(t, turn);
}

void transcript_speech(struct transcript *t, const char *id, int64_t start_ms, int64_t end_ms)
{
    struct turn *turn = turn_for(t, VOICE_LEAD, id);
    if (turn == NULL) {
        return;
    }
    turn->start_ms = start_ms >= 0 ? start_ms : turn->start_ms;
    turn->end_ms = end_ms >= 0 ? end_ms : turn->end_ms;
}

void transcript_heard(struct transcript *t, const char *id, enum play_heard heard, int64_t start_ms,
                      int64_t heard_ms, int64_t total_ms)
{
    struct turn *turn = turn_for(t, VOICE_AI, id);
    if (turn == NULL) {
        return;
    }
    turn->heard = heard;
    turn->start_ms = start_ms;
    turn->heard_ms = heard_ms;
    turn->total_ms = total_ms;
    turn->end_ms = start_ms >= 0 ? start_ms + heard_ms : -1;
    turn->audio_over = true;
    settle(t, turn);
}

bool transcript_settled(const struct transcript *t)
{
    LIST_EACH(it, &t->turns)
    {
        const struct turn *turn = LIST_ITEM(it, const struct turn, link);
        if (!turn->text_final) {
            return false;
        }
    }
    return true;
}

void transcript_finish(struct transcript *t)
{
    LIST_EACH(it, &t->turns)
    {
        struct turn *turn = LIST_ITEM(it, struct turn, link);
        if (turn->who == VOICE_AI && !turn->audio_over) {
            turn->heard = PLAY_NONE; /* said, but no audio of it ever left us */
            turn->heard_ms = 0;
        }
        if (!turn->emitted && turn->text.len > 0) {
            emit(t, turn);
        }
    }
}
