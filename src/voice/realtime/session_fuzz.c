#include "net/http_client.h"
#include "voice/realtime/session.h"

/* A whole session against any sequence of events, one a line; a line "!" is an interruption. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct voice_config config = {
    .url = "ws://127.0.0.1:9/r",
    .auth_header = "api-key",
    .api_key = "k",
    .model = "m",
    .transcribe_model = "t",
    .voice = "marin",
    .instructions = "talk",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct loop *loop = loop_new(LOOP_VIRTUAL);
    struct http_client *http = http_client_new(loop, NULL);
    struct voice_handlers none = {.arg = NULL};
    struct voice_session *s = NULL;
    int err = voice_realtime.open(&s, loop, http, &config, &none);
    assert(err == 0);
    s->state = RT_READY;
    struct str rest = str_make((const char *)data, size);
    struct str line = STR_NONE;
    while (str_split(&rest, '\n', &line)) {
        if (str_eq(line, STR("!"))) {
            voice_realtime.cancel(s);
        } else {
            rt_on_message(s, line, false);
        }
    }
    voice_realtime.free(&s);
    http_client_free(&http);
    loop_free(&loop);
    return 0;
}
