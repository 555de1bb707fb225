#include "base/log.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "base/json.h"
#include "base/limits.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define KEY_BYTES_MAX 64
#define RATE_SLOTS    64

/* One event name's lines in the running second. Two names in one slot share a budget: the worst
 * that follows is a line counted instead of written. */
struct rate {
    int64_t second;
    uint32_t lines;
    uint32_t withheld;
};

static atomic_int log_level_now = LOG_INFO;
static uint8_t phone_key[KEY_BYTES_MAX]; /* written once, by log_init() before there are threads */
static size_t phone_key_len;
static struct rate rates[RATE_SLOTS];
static pthread_mutex_t rates_mutex = PTHREAD_MUTEX_INITIALIZER;

void log_init(enum log_level level, struct str phone_hash_key)
{
    atomic_store(&log_level_now, (int)level);
    phone_key_len = phone_hash_key.len < sizeof phone_key ? phone_hash_key.len : sizeof phone_key;
    if (phone_key_len > 0) {
        memcpy(phone_key, phone_hash_key.p, phone_key_len);
    }
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    static_assert(COUNT_OF(names) == LOG_DEBUG + 1, "each level has its word");
    return names[level];
}

int log_level_parse(struct str s, enum log_level *out)
{
    for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        if (str_eq_nocase(s, str_of(level_name((enum log_level)level)))) {
            *out = (enum log_level)level;
            return 0;
        }
    }
    return -EINVAL;
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* The last two digits for people, a keyed hash to find one number's lines again. */
static void add_phone(struct buf *line, struct str number)
{
    uint8_t mac[SHA256_BYTES];
    char hash[17];
    hmac_sha256(str_make((const char *)phone_key, phone_key_len), number, mac);
    hex_encode(mac, 8, hash);
    struct str tail = number.len > 4 ? str_skip(number, number.len - 2) : STR_NONE;
    char text[32] = "**";
    str_copy_cut(tail, text + 2, sizeof text - 2);
    (void)buf_add_json_str(line, str_of(text));
    (void)buf_addf(line, ",\"phone_hash\":\"%s\"", hash);
}

static void add_value(struct buf *line, const struct log_field *field)
{
    char text[UUID_TEXT_SIZE];
    switch (field->kind) {
    case LOG_KIND_STR:
        if (field->s.p == NULL) {
            (void)buf_add_cstr(line, "null");
        } else {
            (void)buf_add_json_str(line, str_head(field->s, LOG_LINE_MAX / 4));
        }
        break;
    case LOG_KIND_I64:
        (void)buf_addf(line, "%lld", (long long)field->i);
        break;
    case LOG_KIND_F64: /* JSON has no word for the others */
        (void)buf_addf(line, "%.6g", isfinite(field->f) ? field->f : 0.0);
        break;
    case LOG_KIND_BOOL:
        (void)buf_add_cstr(line, field->i != 0 ? "true" : "false");
        break;
    case LOG_KIND_PHONE:
        add_phone(line, field->s);
        break;
    case LOG_KIND_UUID:
        if (field->u == NULL) {
            (void)buf_add_cstr(line, "null");
        } else {
            uuid_text(field->u, text);
            (void)buf_addf(line, "\"%s\"", text);
        }
        break;
    }
}

static void write_line(int64_t now_us, const char *level, const char *name,
                       const struct log_field *fields, size_t count)
{
    char at[CLOCK_TEXT_SIZE];
    clock_format(now_us, at);
    OWNED(buf_fini) struct buf line;
    buf_init(&line, LOG_LINE_MAX);
    (void)buf_addf(&line, "{\"at\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"", at, level, name);
    for (size_t i = 0; i < count; i++) {
        size_t before = line.len;
        (void)buf_add_cstr(&line, ",");
        (void)buf_add_json_str(&line, str_of(fields[i].name));
        (void)buf_add_cstr(&line, ":");
        add_value(&line, &fields[i]);
        /* Room for the end is kept: a line that is cut is still JSON. */
        if (buf_failed(&line) || line.len > LOG_LINE_MAX - 32) {
            line.len = before;
            line.failed = false;
            (void)buf_add_cstr(&line, ",\"cut\":true");
            break;
        }
    }
    (void)buf_add_cstr(&line, "}\n");
    /* One write: lines of several threads do not mix. A log that cannot be written has no one to
     * tell. */
    ssize_t done = write(STDERR_FILENO, line.p, line.len);
    (void)done;
}

/* Whether this line may be written; *withheld gets how many of its name were not, a second ago. */
static bool within_rate(const char *name, int64_t second, uint32_t *withheld)
{
    size_t slot = 5381;
    for (const char *c = name; *c != '\0'; c++) {
        slot = slot * 33 + (unsigned char)*c;
    }
    struct rate *rate = &rates[slot % RATE_SLOTS];
    *withheld = 0;
    pthread_mutex_lock(&rates_mutex);
    if (rate->second != second) {
        *withheld = rate->withheld;
        *rate = (struct rate){.second = second};
    }
    bool allowed = rate->lines < LOG_BURST;
    if (allowed) {
        rate->lines++;
    } else {
        rate->withheld++;
    }
    pthread_mutex_unlock(&rates_mutex);
    return allowed;
}

void log_write(enum log_level level, const char *name, const struct log_field *fields, size_t count)
{
    int64_t now_us = clock_wall_us(); /* a line's time is real, also beside a virtual clock */
    uint32_t withheld;
    bool allowed = within_rate(name, now_us / US_PER_S, &withheld);
    if (withheld > 0) {
        const struct log_field lost[] = {LOG_STR("name", name), LOG_I64("lines", withheld)};
        write_line(now_us, level_name(LOG_WARN), "log.withheld", lost, COUNT_OF(lost));
    }
    if (allowed) {
        write_line(now_us, level_name(level), name, fields, count);
    }
}
