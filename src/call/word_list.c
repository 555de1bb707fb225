#include "call/word_list.h"

/* Punctuation beyond ASCII that transcription likes: quotes and dashes U+2010…U+203F, the danda. */
static size_t wide_mark(const char *p, size_t left)
{
    if (left >= 3 && (uint8_t)p[0] == 0xe2 && (uint8_t)p[1] == 0x80) {
        return 3;
    }
    if (left >= 3 && (uint8_t)p[0] == 0xe0 && (uint8_t)p[1] == 0xa5 &&
        ((uint8_t)p[2] == 0xa4 || (uint8_t)p[2] == 0xa5)) {
        return 3;
    }
    return left >= 2 && (uint8_t)p[0] == 0xc2 && (uint8_t)p[1] < 0xc0 ? 2 : 0;
}

/* The nukta U+093C, alone or as the second half of what U+095E (fa) decomposes into. */
static bool is_nukta(const char *p, size_t left)
{
    return left >= 3 && (uint8_t)p[0] == 0xe0 && (uint8_t)p[1] == 0xa4 && (uint8_t)p[2] == 0xbc;
}

static bool is_fa(const char *p, size_t left)
{
    return left >= 3 && (uint8_t)p[0] == 0xe0 && (uint8_t)p[1] == 0xa5 && (uint8_t)p[2] == 0x9e;
}

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           ((uint8_t)c & 0x80u) != 0;
}

static bool breaks(char c)
{
    return c == '.' || c == ',' || c == '!' || c == '?' || c == ';' || c == ':' ||
           (uint8_t)c == 0xe0; /* the danda, the only mark here that begins so */
}

static bool word_begin(struct word_list *w, bool broken)
{
    if (w->count == WORD_LIST_MAX) {
        return false;
    }
    w->broken[w->count] = broken;
    if (w->len > 0) {
        w->text[w->len++] = ' ';
    }
    w->start[w->count++] = w->len;
    return true;
}

/* One character of a word; returns how many bytes of it were read. */
static size_t take(struct word_list *w, const char *p, size_t left)
{
    if (is_nukta(p, left)) {
        return 3;
    }
    if (is_fa(p, left)) { /* U+092B */
        w->text[w->len++] = (char)0xe0;
        w->text[w->len++] = (char)0xa4;
        w->text[w->len++] = (char)0xab;
        return 3;
    }
    w->text[w->len++] = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
    return 1;
}

size_t word_list_read(struct str s, struct word_list *w)
{
    size_t i = 0;
    w->len = 0;
    w->count = 0;
    bool in_word = false;
    bool broken = false;
    while (i < s.len && w->len + 5 < WORD_TEXT_MAX) {
        size_t mark = wide_mark(s.p + i, s.len - i);
        if (mark > 0 || !word_char(s.p[i])) {
            broken = broken || breaks(s.p[i]);
            i += mark > 0 ? mark : 1;
            in_word = false;
            continue;
        }
        if (!in_word && !word_begin(w, broken)) {
            break;
        }
        in_word = true;
        broken = false;
        i += take(w, s.p + i, s.len - i);
    }
    w->start[w->count] = w->len + (w->count > 0 ? 1 : 0);
    w->text[w->len] = '\0';
    return i;
}

struct str word_at(const struct word_list *w, size_t i)
{
    return str_make(w->text + w->start[i], w->start[i + 1] - w->start[i] - 1);
}
