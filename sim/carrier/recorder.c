#include "recorder.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define URL_MAX_BYTES 2049
#define BYTES_MAX     (3600 * 8000)
#define WAV_HEAD      44

struct recorder {
    struct call *call;
    struct recording *recording;
    char callback_url[URL_MAX_BYTES];
    char callback_method[8];
    bool running;
    int64_t bytes_max;
    uint8_t *said;
    uint8_t *heard;
    size_t len;
    size_t size;
};

static void record_fields(const struct recording *rec, struct form *f, bool over)
{
    form_add(f, "RecordUrl", rec->url);
    form_add(f, "RecordingID", rec->id);
    form_addf(f, "RecordingDuration", "%lld",
              over ? (long long)(rec->duration_ms + 500) / 1000 : -1LL);
    form_addf(f, "RecordingDurationMs", "%lld", over ? (long long)rec->duration_ms : -1LL);
    form_addf(f, "RecordingStartMs", "%lld",
              over ? (long long)(rec->start_wall_us / US_PER_MS) : -1LL);
    form_addf(f, "RecordingEndMs", "%lld", over ? (long long)(rec->end_wall_us / US_PER_MS) : -1LL);
}

void recorder_start(struct call *call, const struct verb *verb)
{
    struct carrier *c = call->carrier;
    char text[URL_MAX_BYTES];
    char method[8];
    struct form f;

    if (call->recorder != NULL) {
        return; /* one at a time */
    }
    struct recorder *r = xzalloc(sizeof *r);
    struct recording *rec = xzalloc(sizeof *rec);
    call->recorder = r;
    r->call = call;
    r->recording = rec;
    struct uuid id = uuid_make(loop_wall_us(c->conf.loop));
    uuid_text(&id, rec->id);
    memcpy(rec->call_uuid, call->uuid, sizeof rec->call_uuid);
    (void)snprintf(rec->url, sizeof rec->url, "%s/sim/recordings/%s.wav", c->conf.public_url,
                   rec->id);
    (void)snprintf(rec->path, sizeof rec->path, "%s/%s.wav", c->conf.record_dir, rec->id);
    (void)snprintf(r->callback_url, sizeof r->callback_url, "%s",
                   verb_attr(verb, "callbackUrl", "", text, sizeof text));
    (void)snprintf(r->callback_method, sizeof r->callback_method, "%s",
                   verb_attr(verb, "callbackMethod", "POST", method, sizeof method));
    r->bytes_max = i64_min(verb_attr_i64(verb, "maxLength", 60) * 8000, BYTES_MAX);
    r->running = !verb_attr_bool(verb, "startOnDialAnswer", false);
    rec->start_wall_us = loop_wall_us(c->conf.loop);
    const char *action = verb_attr(verb, "action", "", text, sizeof text);
    if (action[0] != '\0') {
        form_init(&f);
        call_standard_fields(call, &f, "Record", "in-progress");
        record_fields(rec, &f, false);
        hook_post(call, HOOK_RECORDING, action,
                  verb_attr(verb, "method", "POST", method, sizeof method), &f, NULL);
    }
}

void recorder_dial_answered(struct recorder *r)
{
    if (r != NULL && !r->running) {
        r->running = true;
        r->recording->start_wall_us = loop_wall_us(r->call->carrier->conf.loop);
    }
}

void recorder_add(struct recorder *r, const uint8_t said[G711_FRAME_BYTES],
                  const uint8_t heard[G711_FRAME_BYTES])
{
    if (!r->running || (int64_t)r->len >= r->bytes_max) {
        return;
    }
    if (r->len + G711_FRAME_BYTES > r->size) {
        r->size = r->size == 0 ? 64000 : r->size * 2;
        r->said = xrealloc(r->said, r->size);
        r->heard = xrealloc(r->heard, r->size);
    }
    memcpy(r->said + r->len, said, G711_FRAME_BYTES);
    memcpy(r->heard + r->len, heard, G711_FRAME_BYTES);
    r->len += G711_FRAME_BYTES;
}

static void put32(uint8_t *p, uint32_t n)
{
    p[0] = (uint8_t)n;
    p[1] = (uint8_t)(n >> 8);
    p[2] = (uint8_t)(n >> 16);
    p[3] = (uint8_t)(n >> 24);
}

/* 16-bit PCM, two channels: left the person, right what the person heard. */
static int write_wav(const struct recorder *r)
{
    uint32_t data = (uint32_t)r->len * 4;
    size_t size = WAV_HEAD + data;
    uint8_t *wav = xzalloc(size);
    uint8_t *p = wav + WAV_HEAD;

    memcpy(wav, "RIFF....WAVEfmt ", 16);
    put32(wav + 4, 36 + data);
    put32(wav + 16, 16);
    put32(wav + 20, 1 | (2 << 16)); /* PCM, two channels */
    put32(wav + 24, 8000);
    put32(wav + 28, 32000);
    put32(wav + 32, 4 | (16 << 16));
    memcpy(wav + 36, "data", 4);
    put32(wav + 40, data);
    for (size_t i = 0; i < r->len; i++, p += 4) {
        uint16_t left = (uint16_t)g711_decode(r->said[i]);
        uint16_t right = (uint16_t)g711_decode(r->heard[i]);
        put32(p, (uint32_t)left | ((uint32_t)right << 16));
    }
    int fd = open(r->recording->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int err = fd < 0 ? -errno : 0;
    if (fd >= 0) {
        err = write(fd, wav, size) == (ssize_t)size ? 0 : -EIO;
        (void)close(fd);
    }
    xfree(wav);
    return err;
}

void recorder_end(struct recorder **r)
{
    if (*r == NULL) {
        return;
    }
    struct recorder *one = *r;
    struct call *call = one->call;
    struct recording *rec = one->recording;
    struct form f;

    rec->end_wall_us = loop_wall_us(call->carrier->conf.loop);
    rec->duration_ms = (int64_t)one->len / G711_BYTES_PER_MS;
    if (one->len > 0 && write_wav(one) == 0) {
        list_push_back(&call->carrier->recordings, &rec->link);
        one->recording = NULL;
        form_init(&f);
        call_standard_fields(call, &f, "RecordStop", "completed");
        record_fields(rec, &f, true);
        hook_post(call, HOOK_RECORDING, one->callback_url, one->callback_method, &f, NULL);
    }
    recorder_free(r);
}

void recorder_free(struct recorder **r)
{
    if (*r == NULL) {
        return;
    }
    xfree((*r)->recording);
    xfree((*r)->said);
    xfree((*r)->heard);
    xfree(*r);
    *r = NULL;
}

const struct recording *recording_find(const struct carrier *c, struct str id)
{
    LIST_EACH(it, &c->recordings)
    {
        struct recording *rec = LIST_ITEM(it, struct recording, link);
        if (str_eq_cstr(id, rec->id)) {
            return rec;
        }
    }
    return NULL;
}

void recordings_free(struct carrier *c)
{
    LIST_EACH_SAFE(it, &c->recordings)
    {
        list_remove(it);
        xfree(LIST_ITEM(it, struct recording, link));
    }
}
