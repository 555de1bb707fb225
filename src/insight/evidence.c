#include "insight/evidence.h"

#include "base/alloc.h"

#include <ctype.h>
#include <string.h>

/* One character of UTF-8; bytes that are none come back one at a time as themselves. */
static uint32_t take(struct str *s)
{
    size_t step = str_utf8_step(*s);
    const unsigned char *p = (const unsigned char *)s->p;
    uint32_t c = p[0];
    if (step == 2) {
        c = (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3f);
    } else if (step == 3) {
        c = (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
    } else if (step == 4) {
        c = (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 |
            (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
    }
    *s = str_skip(*s, step == 0 ? 1 : step);
    return c;
}

/* Lower case of the scripts that have it among those we phone in: Latin, Greek, Cyrillic. */
static uint32_t lower(uint32_t c)
{
    bool latin = c >= 0xc0 && c <= 0xde && c != 0xd7;
    bool greek = c >= 0x391 && c <= 0x3a9;
    bool cyrillic = c >= 0x410 && c <= 0x42f;
    if ((c >= 'A' && c <= 'Z') || latin || greek || cyrillic) {
        return c + 0x20;
    }
    if (c >= 0x400 && c <= 0x40f) {
        return c + 0x50;
    }
    /* Latin Extended-A: pairs, capital first; the order turns round in two stretches. */
    bool odd_first = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e);
    if (c >= 0x100 && c <= 0x17e && c != 0x130 && c != 0x138 && c != 0x149 && c != 0x178) {
        return (c & 1u) == (odd_first ? 1u : 0u) ? c + 1 : c;
    }
    return c;
}

static bool is_apostrophe(uint32_t c)
{
    return c == '\'' || c == '`' || c == 0x2019 || c == 0x2018 || c == 0xb4;
}

static bool is_word(uint32_t c)
{
    if (c < 0x80) {
        return isalnum((int)c) != 0;
    }
    bool latin_signs = c < 0xc0 && c != 0xaa && c != 0xb5 && c != 0xba;
    bool punctuation = (c >= 0x2000 && c <= 0x206f) || (c >= 0x3000 && c <= 0x303f) ||
                       (c >= 0xff00 && c <= 0xff0f) || (c >= 0xff1a && c <= 0xff20);
    return !latin_signs && !punctuation && c != 0xd7 && c != 0xf7 && c != 0xfffd;
}

static bool has_no_spaces(uint32_t c)
{
    return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x9fff) ||
           (c >= 0xe00 && c <= 0xe7f) || (c >= 0x20000 && c <= 0x2ffff);
}

static void put(struct buf *out, uint32_t c)
{
    char bytes[4];
    size_t len = 1;
    bytes[0] = (char)c;
    if (c >= 0x10000) {
        bytes[0] = (char)(0xf0 | c >> 18);
        bytes[1] = (char)(0x80 | (c >> 12 & 0x3f));
        bytes[2] = (char)(0x80 | (c >> 6 & 0x3f));
        bytes[3] = (char)(0x80 | (c & 0x3f));
        len = 4;
    } else if (c >= 0x800) {
        bytes[0] = (char)(0xe0 | c >> 12);
        bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
        bytes[2] = (char)(0x80 | (c & 0x3f));
        len = 3;
    } else if (c >= 0x80) {
        bytes[0] = (char)(0xc0 | c >> 6);
        bytes[1] = (char)(0x80 | (c & 0x3f));
        len = 2;
    }
    (void)buf_add(out, bytes, len);
}

void evidence_fold(struct str text, struct buf *out)
{
    bool gap = true; /* a blank is due before the next word */
    bool any = false;
    while (text.len > 0) {
        uint32_t c = take(&text);
        if (is_apostrophe(c)) {
            continue; /* don't and dont are one word */
        }
        if (!is_word(c)) {
            gap = true;
            continue;
        }
        if (gap || has_no_spaces(c)) {
            (void)buf_add_char(out, ' ');
        }
        put(out, lower(c));
        gap = has_no_spaces(c);
        any = true;
    }
    if (any) {
        (void)buf_add_char(out, ' ');
    }
}

void evidence_init(struct evidence *e, const struct insight_turn *turns, size_t count)
{
    *e = (struct evidence){.turns = turns, .count = count};
    buf_init(&e->folded, EVIDENCE_TEXT_MAX);
    e->starts = xcalloc(count + 1, sizeof *e->starts);
    for (size_t i = 0; i < count; i++) {
        e->starts[i] = e->folded.len;
        evidence_fold(turns[i].body, &e->folded);
    }
    e->starts[count] = e->folded.len;
}

void evidence_fini(struct evidence *e)
{
    buf_fini(&e->folded);
    xfree(e->starts);
    e->starts = NULL;
}

static bool turn_holds(const struct evidence *e, size_t i, struct str folded, enum evidence_of of)
{
    struct str words = str_make(e->folded.p + e->starts[i], e->starts[i + 1] - e->starts[i]);
    bool speaker = of == EVIDENCE_ANYBODY || e->turns[i].speaker == INSIGHT_LEAD;
    return speaker && words.len > 0 && str_contains(words, folded);
}

const struct insight_turn *evidence_find(const struct evidence *e, int64_t turn_number,
                                         struct str quote, enum evidence_of of)
{
    OWNED(buf_fini) struct buf folded;
    buf_init(&folded, EVIDENCE_QUOTE_MAX * 4);
    evidence_fold(str_head(quote, EVIDENCE_QUOTE_MAX), &folded);
    if (folded.len == 0 || quote.len > EVIDENCE_QUOTE_MAX) {
        return NULL;
    }
    bool in_range = turn_number >= 1 && (uint64_t)turn_number <= e->count;
    if (in_range && turn_holds(e, (size_t)turn_number - 1, buf_str(&folded), of)) {
        return &e->turns[turn_number - 1];
    }
    for (size_t i = 0; i < e->count; i++) {
        if (turn_holds(e, i, buf_str(&folded), of)) {
            return &e->turns[i];
        }
    }
    return NULL;
}

size_t evidence_lead_words(const struct insight_turn *turns, size_t count)
{
    OWNED(buf_fini) struct buf folded;
    buf_init(&folded, EVIDENCE_TEXT_MAX);
    for (size_t i = 0; i < count; i++) {
        if (turns[i].speaker == INSIGHT_LEAD) {
            evidence_fold(turns[i].body, &folded);
        }
    }
    size_t words = 0;
    for (size_t i = 1; i < folded.len; i++) {
        words += folded.p[i - 1] == ' ' && folded.p[i] != ' ' ? 1 : 0;
    }
    return words;
}
