#include "voice/realtime/transcript_order.h"

#include "base/alloc.h"

void turns_init(struct turns *t)
{
    *t = (struct turns){.all = NULL};
    map_init(&t->by_id);
}

static void turn_free(struct turn *turn)
{
    xfree(turn->item_id);
    xfree(turn->before_id);
    buf_fini(&turn->text);
    xfree(turn);
}

void turns_fini(struct turns *t)
{
    for (size_t i = 0; i < t->count; i++) {
        turn_free(t->all[i]);
    }
    xfree(t->all);
    map_fini(&t->by_id);
    *t = (struct turns){.all = NULL};
}

/* Item ids are short; the map takes keys up to 64 bytes. A longer id is known by its end, where
 * the distinguishing part is. */
static struct str key_of(struct str item_id)
{
    return item_id.len <= 64 ? item_id : str_skip(item_id, item_id.len - 64);
}

struct turn *turns_get(const struct turns *t, struct str item_id)
{
    return item_id.len == 0 ? NULL : map_get(&t->by_id, key_of(item_id));
}

struct turn *turns_need(struct turns *t, struct str item_id)
{
    struct turn *turn = turns_get(t, item_id);
    if (turn != NULL) {
        return turn;
    }
    if (item_id.len == 0 || t->count == TURNS_MAX) {
        return NULL;
    }
    if (t->count == t->size) {
        t->size = t->size == 0 ? 16 : t->size * 2;
        t->all = xrealloc(t->all, t->size * sizeof *t->all);
    }
    turn = xzalloc(sizeof *turn);
    turn->item_id = xstrndup(item_id.p, item_id.len);
    buf_init(&turn->text, TURN_TEXT_MAX);
    t->all[t->count++] = turn;
    (void)map_put(&t->by_id, key_of(item_id), turn);
    return turn;
}

static enum voice_speaker speaker(const struct turn *turn)
{
    return turn->kind == TURN_AI ? VOICE_AI : VOICE_LEAD;
}

static void tell_final(struct turns *t, struct turn *turn)
{
    if (!turn->placed || !turn->final || turn->told_final) {
        return;
    }
    turn->told_final = true;
    if (turn->kind != TURN_NONE && t->on_text != NULL) {
        t->on_text(speaker(turn), turn->item_id, buf_str(&turn->text), true, t->arg);
    }
    buf_fini(&turn->text);
    buf_init(&turn->text, TURN_TEXT_MAX);
}

static void place(struct turns *t, struct turn *turn, struct turn *before)
{
    turn->placed = true;
    turn->before = before;
    t->last = turn;
    xfree(turn->before_id);
    turn->before_id = NULL;
    if (turn->kind == TURN_NONE) {
        return;
    }
    const struct turn *after = before;
    while (after != NULL && after->kind == TURN_NONE) {
        after = after->before;
    }
    if (t->on_turn != NULL) {
        t->on_turn(speaker(turn), turn->item_id, after == NULL ? "" : after->item_id, t->arg);
    }
    if (!turn->final && turn->text.len > 0 && t->on_text != NULL) {
        t->on_text(speaker(turn), turn->item_id, buf_str(&turn->text), false, t->arg);
    }
    tell_final(t, turn);
}

/* One waiting turn whose predecessor is placed by now, or NULL. */
static struct turn *find_due(struct turns *t, struct turn **before)
{
    for (size_t i = 0; i < t->count; i++) {
        struct turn *turn = t->all[i];
        if (turn->known && !turn->placed) {
            *before = turns_get(t, str_of(turn->before_id));
            if (*before != NULL && (*before)->placed) {
                return turn;
            }
        }
    }
    return NULL;
}

static void place_waiting(struct turns *t)
{
    struct turn *before = NULL;
    for (struct turn *turn; t->waiting > 0 && (turn = find_due(t, &before)) != NULL;) {
        t->waiting--;
        place(t, turn, before);
    }
}

void turns_hurry(struct turns *t)
{
    for (size_t i = 0; i < t->count && t->waiting > 0; i++) {
        if (t->all[i]->known && !t->all[i]->placed) {
            t->waiting--;
            place(t, t->all[i], t->last);
            place_waiting(t);
        }
    }
}

void turns_announce(struct turns *t, struct str item_id, enum turn_kind kind, struct str before,
                    bool before_known)
{
    struct turn *turn = turns_need(t, item_id);
    if (turn == NULL) {
        t->refused++;
        return;
    }
    if (turn->known) {
        return;
    }
    turn->known = true;
    turn->kind = kind;
    struct turn *previous = before_known ? turns_get(t, before) : t->last;
    if (!before_known || before.len == 0 || (previous != NULL && previous->placed)) {
        place(t, turn, previous);
        place_waiting(t);
        return;
    }
    turn->before_id = xstrndup(before.p, before.len);
    t->waiting++;
    if (t->waiting > TURNS_WAITING_MAX) {
        turns_hurry(t);
    }
}

void turns_add_text(struct turns *t, struct str item_id, struct str piece)
{
    struct turn *turn = turns_need(t, item_id);
    if (turn == NULL || turn->final || piece.len == 0) {
        return;
    }
    if (buf_add_str(&turn->text, piece) < 0) {
        return; /* over the limit: the end is cut */
    }
    if (turn->placed && turn->kind != TURN_NONE && t->on_text != NULL) {
        t->on_text(speaker(turn), turn->item_id, piece, false, t->arg);
    }
}

/* At most max bytes, never half of a UTF-8 character: the database would refuse it. */
static struct str cut(struct str s, size_t max)
{
    if (s.len <= max) {
        return s;
    }
    while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80) {
        max--;
    }
    return str_head(s, max);
}

void turns_end_text(struct turns *t, struct str item_id, struct str whole)
{
    struct turn *turn = turns_need(t, item_id);
    if (turn == NULL || turn->final) {
        return;
    }
    turn->final = true;
    if (whole.len > 0) {
        buf_clear(&turn->text);
        (void)buf_add_str(&turn->text, cut(whole, TURN_TEXT_MAX - 1));
    }
    tell_final(t, turn);
}

void turns_settle(struct turns *t)
{
    turns_hurry(t);
    for (size_t i = 0; i < t->count; i++) {
        if (t->all[i]->placed && !t->all[i]->final) {
            turns_end_text(t, str_of(t->all[i]->item_id), STR_NONE);
        }
    }
}
