/* voice.h -- the AI voice as a call sees it: a session that hears base64 mu-law and speaks the
 * same.
 *
 * One folder per protocol fills in `struct voice`. The session owns its socket, the response
 * sequencer (one response at a time), the ordering of transcripts by item, and the bookkeeping of
 * usage. It knows nothing of carriers, playback or databases: what was *heard* is told to it.
 *
 * Contract voice_open(): refused => silent; accepted => exactly one of on_ready or on_closed first;
 *          on_closed is last and comes exactly once, but not after voice_free().
 * Owner   the call. voice_free() any time, also inside a callback (deferred to its end); silent.
 * Thread  the media loop it was opened on.
 * Time    *_ms are milliseconds of audio or of the loop's clock as named.
 * Errors  on_closed carries a struct fault: FAULT_BUSY (throttled), FAULT_BROKEN (account,
 *         configuration: stop dialing), FAULT_UNSURE (cut). on_trouble: recoverable, told for the
 *         record.
 * Source  docs/voice-realtime.md for the first one. */
#ifndef VOICE_VOICE_H
#define VOICE_VOICE_H

#include "base/buf.h"
#include "base/fault.h"
#include "net/http_client.h"

#define VOICE_ID_SIZE 128

struct voice_session;

struct voice_tool {
    const char *name;
    const char *description;
    const char *parameters; /* JSON schema text */
};

struct voice_pace {           /* each 0: default */
    int connect_tries;        /* handshakes in all, when trying again may help */
    uint32_t connect_wait_ms; /* before the second; doubled for each further one */
    uint32_t busy_wait_ms;    /* least wait after a throttled response */
    uint32_t ping_ms;
    uint32_t pong_ms; /* less than ping_ms */
};

struct voice_config {
    const char *url; /* operator's: wss://…/v1/realtime; ?model= is added unless it is there */
    const char *auth_header; /* "Authorization" (Bearer is put before the key) or another name */
    const char *api_key;
    const char *model;
    const char *transcribe_model;
    const char *voice;    /* "marin" … */
    const char *language; /* BCP 47, e.g. "en-US", for transcription (its first part) */
    const char *instructions;
    const char *lead_item; /* a quoted JSON user item about the lead, or NULL; never instructions */
    const struct voice_tool *tools;
    size_t tool_count;
    double vad_threshold;  /* 0: default 0.6 */
    int32_t silence_ms;    /* 0: default 500 */
    const char *safety_id; /* stable hash of the person, or NULL */
    uint32_t connect_timeout_ms;
    struct voice_pace pace;
};

/* How far something that the AI said was really heard. */
struct voice_usage {
    int64_t text_in, text_in_cached, audio_in, audio_in_cached, text_out, audio_out; /* tokens */
    int64_t transcribe_ms;
    int64_t cost_micros_usd; /* by the price table of the model; 0 when the model is not in it */
    bool estimated;          /* the socket died before the bill came */
};

enum voice_speaker { VOICE_AI, VOICE_LEAD };

struct voice_handlers {
    /* Connected and configured (session.update confirmed): may speak. */
    void (*on_ready)(void *arg);
    /* Audio to play: base64 of 8 kHz mu-law, valid during the call. Items play in the order they
     * come. */
    void (*on_audio)(const char *response_id, const char *item_id, struct str base64, void *arg);
    void (*on_audio_end)(const char *response_id, const char *item_id,
                         void *arg); /* item complete */
    void (*on_response_start)(const char *response_id, const char *tag,
                              void *arg); /* tag: ours or "" (VAD's) */
    /* status: completed cancelled failed incomplete. spoke: it had audio; called: tool calls.
     * response_id "": the model refused, or never confirmed, what was asked. One that failed
     * without a sound and is asked for again by the session is not told: the same tag just starts
     * once more. */
    void (*on_response_end)(const char *response_id, const char *tag, const char *status,
                            bool spoke, bool called, void *arg);
    void (*on_speech_start)(const char *item_id, int64_t audio_ms,
                            void *arg); /* the lead began to talk */
    void (*on_speech_stop)(const char *item_id, int64_t audio_ms, void *arg);
    /* A turn took its place in the order of the talk (text may follow later). after_id: "" = first.
     */
    void (*on_turn)(enum voice_speaker who, const char *item_id, const char *after_id, void *arg);
    /* Text of a turn. Not final: a further piece. final: the whole text, replacing the pieces
     * (empty when transcription failed), and nothing more will come. */
    void (*on_text)(enum voice_speaker who, const char *item_id, struct str text, bool final,
                    void *arg);
    /* A tool call, complete; answer with voice_tool_result() exactly once. */
    void (*on_tool)(const char *call_id, const char *name, struct str arguments, void *arg);
    /* key: the response's id, or the item's for its transcription; each comes once. */
    void (*on_usage)(const char *key, const struct voice_usage *usage, void *arg);
    void (*on_trouble)(const struct fault *fault, void *arg);
    void (*on_closed)(const struct fault *fault, void *arg);
    void *arg;
};

struct voice {
    const char *name;
    int (*open)(struct voice_session **out, struct loop *loop, struct http_client *http,
                const struct voice_config *config, const struct voice_handlers *handlers) MUST_USE;
    void (*free)(struct voice_session **s);
    /* The lead's audio, base64 mu-law exactly as the carrier sent it. Dropped (counted) before
     * ready. */
    int (*hear)(struct voice_session *s, struct str base64) MUST_USE;
    /* Speak: text verbatim (must be said word for word), or NULL: go on by the instructions given.
     * instructions: extra for this response, or NULL. tag: told back. Queued behind an active one.
     */
    int (*say_exactly)(struct voice_session *s, const char *text, const char *tag) MUST_USE;
    int (*respond)(struct voice_session *s, const char *instructions, const char *tag) MUST_USE;
    /* Tell the session of something already spoken by the daemon itself (cached prompt). */
    int (*note_spoken)(struct voice_session *s, const char *text) MUST_USE;
    int (*note_system)(struct voice_session *s, const char *text) MUST_USE;
    /* The lead interrupted: cancel what is being made, drop late deltas. */
    void (*cancel)(struct voice_session *s);
    /* The item was heard up to heard_ms of its audio (never more than was sent). */
    void (*truncate)(struct voice_session *s, const char *item_id, int64_t heard_ms);
    /* Automatic answers on the lead's speech (on at first): off while disclosure and greeting must
     * be heard in full. Switched on, it answers what the lead said in the last two seconds. */
    void (*set_turns)(struct voice_session *s, bool automatic);
    /* respond: make the AI go on with this result; else it is only told. */
    int (*tool_result)(struct voice_session *s, const char *call_id, struct str output,
                       bool respond) MUST_USE;
    /* Ask for the close frame; on_closed follows. */
    void (*close)(struct voice_session *s);
};

extern const struct voice voice_realtime;

#endif
