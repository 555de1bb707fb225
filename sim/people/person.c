#include "person.h"

#include <math.h>
#include <string.h>

#define TICK_MS          20
#define PAUSE_MS         600  /* quiet after an answer before it is our turn */
#define OPENING_PAUSE_MS 1200 /* after the opening: it may come in two pieces */
#define AGENT_PAUSE_MS   500
#define PUZZLED_MS       2500 /* heard something that is no answer: asks again after this */
#define LONELY_MS        6000 /* nothing comes at all */
#define FAREWELL_MS      8000 /* waits that long for the other side to put the phone down */
#define HOLD_MAX_MS      60000
#define REPEATS_MAX      2
#define BEEP_MS          400
#define BEEP_HZ          1000.0

void person_init_lead(struct person *p, const struct book *book, const struct persona *persona)
{
    memset(p, 0, sizeof *p);
    p->book = book;
    p->persona = persona;
    p->voice = VOICE_PERSON;
    p->line_count = persona->with_agent_count;
    memcpy(p->lines, persona->with_agent, sizeof p->lines);
}

void person_init_agent(struct person *p, const struct book *book)
{
    memset(p, 0, sizeof *p);
    p->book = book;
    p->voice = VOICE_AGENT;
    p->mode = PERSON_HELD;
    p->talks_first = true;
    p->line_count = book_agent_lines(book, p->lines);
}

void person_set_mode(struct person *p, enum person_mode mode)
{
    p->mode = mode;
    p->mode_since_ms = p->now_ms;
    p->quiet_ms = 0;
    p->saying = NULL;
    hearing_forget(&p->ear);
}

static void begin(struct person *p, const struct speech *line)
{
    p->saying = line;
    p->said_bytes = 0;
}

static void say_step(struct person *p, size_t index)
{
    const struct step *s = &p->persona->steps[index];

    begin(p, speech_mark(book_speech(p->book), p->voice, str_of(s->say), s->say_id));
    p->step = index + 1;
}

static void say_line(struct person *p)
{
    begin(p, speech_say(book_speech(p->book), p->voice, str_of(p->lines[p->line++])));
}

static void repeat_step(struct person *p)
{
    p->repeats++;
    say_step(p, p->step == 0 ? 0 : p->step - 1);
}

static bool heard_line(struct person *p, const char *text)
{
    struct heard *s = hearing_find(&p->ear, speech_id(VOICE_AI, str_of(text)));

    return s != NULL && heard_most(s);
}

/* Has the AI said what answers our last line, to its end, and is it quiet now? */
static bool answer_came(struct person *p)
{
    const struct ai_turn *ai = &p->persona->steps[p->step - 1].ai;

    if (ai->then != NULL && heard_line(p, ai->then->say)) {
        return p->quiet_ms >= PAUSE_MS;
    }
    if (ai->otherwise != NULL && heard_line(p, ai->otherwise->say)) {
        return p->quiet_ms >= PAUSE_MS;
    }
    /* With a second half to come, the first half alone is an answer only after a while. */
    return heard_line(p, ai->say) && p->quiet_ms >= (ai->then != NULL ? PUZZLED_MS : PAUSE_MS);
}

static bool wants_to_barge(struct person *p)
{
    if (p->step == 0 || p->step >= p->persona->step_count || p->quiet_ms > 0) {
        return false;
    }
    int64_t barge_ms = p->persona->steps[p->step].barge_ms;
    struct heard *s = hearing_find(&p->ear, p->persona->steps[p->step - 1].reply_id);
    return barge_ms >= 0 && s != NULL && s->blocks_heard * TICK_MS >= barge_ms;
}

static enum person_wish decide_opening(struct person *p)
{
    struct heard *last = hearing_last(&p->ear);
    bool heard = last != NULL && heard_most(last) && p->quiet_ms >= OPENING_PAUSE_MS;

    if (p->persona->step_count > 0 && (heard || p->quiet_ms >= LONELY_MS)) {
        say_step(p, 0);
    }
    return PERSON_STAYS;
}

static enum person_wish decide_end(struct person *p)
{
    if (answer_came(p)) {
        bool leaves = p->persona->hangs_up_last || p->quiet_ms >= FAREWELL_MS;
        return leaves ? PERSON_HANGS_UP : PERSON_STAYS;
    }
    if (p->quiet_ms < FAREWELL_MS) {
        return PERSON_STAYS;
    }
    if (p->repeats >= REPEATS_MAX) {
        return PERSON_HANGS_UP;
    }
    repeat_step(p);
    return PERSON_STAYS;
}

static enum person_wish decide_script(struct person *p)
{
    if (p->step == 0) {
        return decide_opening(p);
    }
    if (wants_to_barge(p)) {
        say_step(p, p->step);
        return PERSON_STAYS;
    }
    if (p->step == p->persona->step_count && hearing_last(&p->ear) == NULL) {
        return decide_end(p);
    }
    struct heard *last = hearing_last(&p->ear);
    bool answered = answer_came(p);
    bool asked_again = !answered && heard_line(p, book_line(p->book, "repeat"));
    bool puzzled = !answered && last != NULL && p->quiet_ms >= PUZZLED_MS;
    bool lonely = last == NULL && p->quiet_ms >= LONELY_MS;
    if (answered && p->step < p->persona->step_count) {
        say_step(p, p->step);
    } else if (((asked_again && p->quiet_ms >= PAUSE_MS) || puzzled || lonely) &&
               p->repeats < REPEATS_MAX) {
        repeat_step(p);
    } else if (p->step == p->persona->step_count || p->repeats >= REPEATS_MAX) {
        return decide_end(p);
    }
    return PERSON_STAYS;
}

/* A machine says its greeting whatever happens, beeps, and listens. */
static enum person_wish decide_machine(struct person *p)
{
    if (p->step == 0 && p->now_ms >= PAUSE_MS) {
        say_step(p, 0);
        p->beep_left_ms = BEEP_MS;
    }
    return PERSON_STAYS;
}

static enum person_wish decide_bridged(struct person *p)
{
    struct heard *last = hearing_last(&p->ear);
    bool first = p->talks_first && p->line == 0 && p->now_ms - p->mode_since_ms >= PAUSE_MS;
    bool turn = last != NULL && heard_most(last) && p->quiet_ms >= AGENT_PAUSE_MS;

    if ((first || turn) && p->line < p->line_count) {
        say_line(p);
        return PERSON_STAYS;
    }
    bool done = p->line == p->line_count && p->voice == VOICE_PERSON && p->quiet_ms >= PAUSE_MS &&
                (p->line_count > 0 || turn);
    return done || p->quiet_ms >= 2 * FAREWELL_MS ? PERSON_HANGS_UP : PERSON_STAYS;
}

static enum person_wish decide(struct person *p)
{
    if (p->mode == PERSON_HELD) {
        return p->now_ms - p->mode_since_ms >= HOLD_MAX_MS ? PERSON_HANGS_UP : PERSON_STAYS;
    }
    if (p->mode == PERSON_BRIDGED) {
        return decide_bridged(p);
    }
    if (p->persona == NULL) {
        return PERSON_STAYS; /* an agent that is not bridged yet has no script */
    }
    if (p->persona->machine) {
        return decide_machine(p);
    }
    return p->persona->step_count == 0 ? PERSON_STAYS : decide_script(p);
}

static void beep(struct person *p, uint8_t out[G711_FRAME_BYTES])
{
    for (int i = 0; i < G711_FRAME_BYTES; i++) {
        out[i] = g711_encode((int16_t)(9000.0 * sin(2.0 * M_PI * BEEP_HZ * i / 8000.0)));
    }
    p->beep_left_ms -= TICK_MS;
}

static void listen(struct person *p, const uint8_t in[G711_FRAME_BYTES])
{
    hearing_feed(&p->ear, in, G711_FRAME_BYTES);
    if (g711_is_silence(in, G711_FRAME_BYTES)) {
        p->quiet_ms += TICK_MS;
    } else {
        p->quiet_ms = 0;
        p->heard_ms += TICK_MS;
    }
}

static void speak(struct person *p, uint8_t out[G711_FRAME_BYTES])
{
    memcpy(out, p->saying->ulaw + p->said_bytes, G711_FRAME_BYTES);
    p->said_bytes += G711_FRAME_BYTES;
    if (p->said_bytes >= p->saying->len) {
        p->saying = NULL;
        p->quiet_ms = 0;
        hearing_forget(&p->ear); /* what counts is what comes after we spoke */
    }
}

enum person_wish person_tick(struct person *p, const uint8_t in[G711_FRAME_BYTES],
                             uint8_t out[G711_FRAME_BYTES])
{
    memset(out, (int)G711_SILENCE, G711_FRAME_BYTES);
    p->now_ms += TICK_MS;
    listen(p, in);
    if (p->saying != NULL) {
        speak(p, out);
        return PERSON_STAYS;
    }
    if (p->beep_left_ms > 0 && p->step > 0) {
        beep(p, out);
        return PERSON_STAYS;
    }
    if (p->persona != NULL && p->mode == PERSON_SCRIPT) {
        int64_t after_ms = p->persona->hang_up_after_heard_ms;
        if (p->now_ms >= p->persona->max_ms || (after_ms >= 0 && p->heard_ms >= after_ms)) {
            return PERSON_HANGS_UP;
        }
    }
    enum person_wish wish = decide(p);
    if (p->saying != NULL) {
        speak(p, out);
    }
    return wish;
}
