#include "carrier/plivo/xml.h"

#include "base/crypto.h"
#include "carrier/plivo/words.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/xmlwriter.h>
#include <stdio.h>
#include <string.h>

/* Five more tries on whatever goes wrong: the default is one, and none on 4xx or 5xx. */
#define RETRY_FRAGMENT "#rc=5&rp=all"
#define URL_MAX        1024
#define TEXT_MAX       3000 /* of one Speak */
#define XML_MAX        (64 * 1024)

int plivo_callback_url(const struct carrier_urls *urls, const char *kind,
                       const struct carrier_identity *id, enum plivo_callback how, struct buf *out)
{
    buf_addf(out, "%s/carrier/plivo/%s/", urls->public_url, kind);
    int err = identity_write(urls, kind, id, out);
    if (err < 0) {
        return err;
    }
    buf_add_cstr(out, how == PLIVO_CALLBACK_RETRIED ? RETRY_FRAGMENT : "");
    return buf_failed(out) ? -EMSGSIZE : 0;
}

/* One document being written; the first failure sticks. */
struct doc {
    xmlTextWriterPtr writer;
    const struct carrier_urls *urls;
    const struct carrier_instruction *what;
    int err;
};

static void note(struct doc *d, int rc)
{
    if (rc < 0 && d->err == 0) {
        d->err = -EMSGSIZE;
    }
}

static void open_tag(struct doc *d, const char *name)
{
    note(d, xmlTextWriterStartElement(d->writer, BAD_CAST name));
}

static void close_tag(struct doc *d)
{
    note(d, xmlTextWriterEndElement(d->writer));
}

static void attribute(struct doc *d, const char *name, const char *value)
{
    note(d, xmlTextWriterWriteAttribute(d->writer, BAD_CAST name, BAD_CAST value));
}

static void attribute_number(struct doc *d, const char *name, uint32_t value)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%" PRIu32, value);
    assert(len > 0 && (size_t)len < sizeof text);
    attribute(d, name, text);
}

static void callback(struct doc *d, const char *name, const char *method, const char *kind,
                     enum plivo_callback how)
{
    OWNED(buf_fini) struct buf url;
    buf_init(&url, URL_MAX);
    int err = plivo_callback_url(d->urls, kind, &d->what->identity, how, &url);
    if (err < 0) {
        d->err = d->err == 0 ? err : d->err;
        return;
    }
    if (name == NULL) {
        note(d, xmlTextWriterWriteString(d->writer, BAD_CAST buf_cstr(&url)));
        return;
    }
    attribute(d, name, buf_cstr(&url));
    if (method != NULL) {
        attribute(d, method, "POST");
    }
}

/* Text for a voice: well-formed UTF-8 without control characters, which XML cannot carry. */
static void spoken(struct doc *d, const char *text)
{
    struct str s = str_of(text);
    OWNED(buf_fini) struct buf clean;
    buf_init(&clean, TEXT_MAX + 1);
    while (s.len > 0) {
        size_t step = str_utf8_step(s);
        unsigned char c = (unsigned char)s.p[0];
        bool noncharacter = step == 3 && (memcmp(s.p, "\xEF\xBF\xBE", 3) == 0 ||
                                          memcmp(s.p, "\xEF\xBF\xBF", 3) == 0);
        if (step == 0 || noncharacter || c < ' ' || c == 0x7F) {
            buf_add_char(&clean, ' ');
            step = step == 0 ? 1 : step;
        } else {
            buf_add(&clean, s.p, step);
        }
        s = str_skip(s, step);
    }
    if (buf_failed(&clean)) {
        d->err = -EMSGSIZE;
        return;
    }
    note(d, xmlTextWriterWriteString(d->writer, BAD_CAST buf_cstr(&clean)));
}

/* The languages of the plain voices; others need a named voice, and a wrong pair is cause 8011. */
static const struct voice {
    const char *language;
    const char *voice;
} voices[] = {
    {"en-US", "WOMAN"},       {"en-GB", "WOMAN"},         {"en-AU", "WOMAN"}, {"da-DK", "WOMAN"},
    {"nl-NL", "WOMAN"},       {"fr-FR", "WOMAN"},         {"fr-CA", "WOMAN"}, {"de-DE", "WOMAN"},
    {"it-IT", "WOMAN"},       {"pl-PL", "WOMAN"},         {"pt-PT", "WOMAN"}, {"pt-BR", "WOMAN"},
    {"ru-RU", "WOMAN"},       {"es-ES", "WOMAN"},         {"es-US", "WOMAN"}, {"sv-SE", "WOMAN"},
    {"hi-IN", "Polly.Aditi"}, {"en-IN", "Polly.Raveena"},
};

static const struct voice *find_voice(const char *language)
{
    struct str wanted = str_of(language);
    for (size_t i = 0; i < COUNT_OF(voices); i++) {
        if (str_eq_nocase(wanted, str_of(voices[i].language))) {
            return &voices[i];
        }
    }
    for (size_t i = 0; i < COUNT_OF(voices) && wanted.len >= 2; i++) {
        if (str_eq_nocase(str_head(wanted, 2), str_head(str_of(voices[i].language), 2))) {
            return &voices[i];
        }
    }
    return &voices[0];
}

static void speak(struct doc *d)
{
    const struct voice *voice = find_voice(d->what->language);
    open_tag(d, "Speak");
    attribute(d, "voice", voice->voice);
    attribute(d, "language", voice->language);
    spoken(d, d->what->text);
    close_tag(d);
}

static void hang_up(struct doc *d)
{
    open_tag(d, "Hangup");
    close_tag(d);
}

/* keepCallAlive makes Redirect wait until the stream is over. contentType is always said: Plivo's
 * pages name two different defaults. */
static void stream(struct doc *d)
{
    struct str base = str_of(d->urls->public_url);
    struct str token = str_of(d->what->media_token);
    ptrdiff_t colon = str_find_char(base, ':');
    OWNED(buf_fini) struct buf url;
    buf_init(&url, URL_MAX);
    if (colon < 0 || !plivo_id_ok(token)) {
        d->err = -EINVAL;
        return;
    }
    buf_add_cstr(&url, str_starts(base, STR("https:")) ? "wss" : "ws");
    buf_add_str(&url, str_skip(base, (size_t)colon));
    buf_add_cstr(&url, "/media/");
    buf_add_str(&url, token);
    open_tag(d, "Stream");
    attribute(d, "bidirectional", "true");
    attribute(d, "keepCallAlive", "true");
    attribute(d, "contentType", "audio/x-mulaw;rate=8000");
    if (d->what->time_limit_s > 0) {
        attribute_number(d, "streamTimeout", d->what->time_limit_s);
    }
    /* Not one of the URLs that take the retry fragment. */
    callback(d, "statusCallbackUrl", "statusCallbackMethod", "stream", PLIVO_CALLBACK_ONCE);
    note(d, xmlTextWriterWriteString(d->writer, BAD_CAST buf_cstr(&url)));
    close_tag(d);
    open_tag(d, "Redirect");
    attribute(d, "method", "POST");
    callback(d, NULL, NULL, "after", PLIVO_CALLBACK_RETRIED);
    close_tag(d);
    if (buf_failed(&url)) {
        d->err = -EMSGSIZE;
    }
}

/* Before Dial, or it would start after the talk. maxLength: its default ends a recording at 60 s.
 */
static void record(struct doc *d)
{
    open_tag(d, "Record");
    attribute(d, "recordSession", "true");
    attribute(d, "startOnDialAnswer", "true");
    attribute(d, "redirect", "false");
    attribute(d, "fileFormat", "wav");
    attribute(d, "recordChannelType", "stereo");
    attribute_number(d, "maxLength", d->what->time_limit_s > 0 ? d->what->time_limit_s : 14400);
    callback(d, "callbackUrl", "callbackMethod", "recording", PLIVO_CALLBACK_RETRIED);
    close_tag(d);
}

static void agent(struct doc *d)
{
    char to[20];
    char caller_id[20];
    plivo_number(str_of(d->what->agent_e164), to);
    plivo_number(str_of(d->what->caller_id_e164), caller_id);
    if (to[0] == '\0') {
        d->err = -EINVAL;
        return;
    }
    if (d->what->record) {
        record(d);
    }
    open_tag(d, "Dial");
    callback(d, "action", "method", "agent-action", PLIVO_CALLBACK_RETRIED);
    callback(d, "callbackUrl", "callbackMethod", "agent-event", PLIVO_CALLBACK_RETRIED);
    callback(d, "confirmSound", NULL, "agent-whisper", PLIVO_CALLBACK_RETRIED);
    attribute(d, "confirmKey", "1");
    attribute_number(d, "timeout", d->what->ring_timeout_s > 0 ? d->what->ring_timeout_s : 30);
    if (d->what->time_limit_s > 0) {
        attribute_number(d, "timeLimit", d->what->time_limit_s);
    }
    if (caller_id[0] != '\0') {
        attribute(d, "callerId", caller_id);
    }
    note(d, xmlTextWriterWriteElement(d->writer, BAD_CAST "Number", BAD_CAST to));
    close_tag(d);
}

static void write_body(struct doc *d)
{
    switch (d->what->next) {
    case CARRIER_NEXT_HANGUP:
        hang_up(d);
        return;
    case CARRIER_NEXT_STREAM:
        stream(d);
        return;
    case CARRIER_NEXT_AGENT:
        agent(d);
        return;
    case CARRIER_NEXT_SAY_END:
        speak(d);
        hang_up(d);
        return;
    case CARRIER_NEXT_WHISPER:
        speak(d);
        return;
    case CARRIER_NEXT_NOTHING:
        return;
    }
    d->err = -EINVAL;
}

int plivo_instruct(const struct carrier_urls *urls, const struct carrier_instruction *what,
                   struct buf *out)
{
    xmlBufferPtr memory = xmlBufferCreate();
    assert(memory != NULL);
    struct doc d = {.writer = xmlNewTextWriterMemory(memory, 0), .urls = urls, .what = what};
    assert(d.writer != NULL);
    note(&d, xmlTextWriterStartDocument(d.writer, "1.0", "UTF-8", NULL));
    open_tag(&d, "Response");
    write_body(&d);
    close_tag(&d);
    note(&d, xmlTextWriterEndDocument(d.writer));
    xmlFreeTextWriter(d.writer); /* flushes */
    if (d.err == 0) {
        d.err = buf_add(out, xmlBufferContent(memory), (size_t)xmlBufferLength(memory));
    }
    xmlBufferFree(memory);
    return d.err;
}
