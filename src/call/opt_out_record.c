#include "call/opt_out_record.h"

#include "base/crypto.h"
#include "base/json.h"

#include <errno.h>

#define MARK         "o1 "
#define DIGEST_CHARS 32
#define DIGEST_BYTES (DIGEST_CHARS / 2)

static void digest_of(struct str json, char out[DIGEST_CHARS + 1])
{
    uint8_t digest[SHA256_BYTES];
    sha256(json, digest);
    hex_encode(digest, DIGEST_BYTES, out);
}

int opt_out_record_write(const struct opt_out_record *record, struct buf *out)
{
    char id[UUID_TEXT_SIZE];
    char digest[DIGEST_CHARS + 1];
    OWNED(buf_fini) struct buf json;
    buf_init(&json, OPT_OUT_LINE_MAX);
    uuid_text(&record->organization_id, id);
    buf_addf(&json, "{\"organization\":\"%s\"", id);
    uuid_text(&record->call_id, id);
    buf_addf(&json, ",\"call\":\"%s\",\"at_us\":%lld,\"phone\":", id, (long long)record->at_us);
    (void)buf_add_json_str(&json, str_of(record->phone));
    buf_add_cstr(&json, ",\"source\":");
    (void)buf_add_json_str(&json, str_of(record->source));
    buf_add_cstr(&json, ",\"words\":");
    (void)buf_add_json_str(&json, str_of(record->words));
    buf_add_char(&json, '}');
    if (buf_failed(&json)) {
        return -EMSGSIZE;
    }
    digest_of(buf_str(&json), digest);
    return buf_addf(out, "\n" MARK "%s %s\n", digest, buf_cstr(&json));
}

static int members_read(const json_t *v, struct opt_out_record *out)
{
    const json_t *at = json_get(v, "at_us");
    struct str words = json_get_str(v, "words");
    if (!json_is_integer(at) ||
        uuid_parse(json_get_str(v, "organization"), &out->organization_id) != 0 ||
        uuid_parse(json_get_str(v, "call"), &out->call_id) != 0 ||
        str_copy(json_get_str(v, "phone"), out->phone, sizeof out->phone) != 0 ||
        str_copy(json_get_str(v, "source"), out->source, sizeof out->source) != 0) {
        return -EINVAL;
    }
    out->at_us = json_integer_value(at);
    str_copy_cut(words, out->words, sizeof out->words);
    return out->source[0] != '\0' ? 0 : -EINVAL;
}

int opt_out_record_read(struct str line, struct opt_out_record *out)
{
    char digest[DIGEST_CHARS + 1];
    struct opt_out_record record = {.at_us = 0};
    OWNED(json_free) json_t *v = NULL;
    struct str mark = STR(MARK);
    if (line.len > OPT_OUT_LINE_MAX || line.len < mark.len + DIGEST_CHARS + 1 ||
        !str_starts(line, mark) || line.p[mark.len + DIGEST_CHARS] != ' ') {
        return -EINVAL;
    }
    struct str said = str_head(str_skip(line, mark.len), DIGEST_CHARS);
    struct str json = str_skip(line, mark.len + DIGEST_CHARS + 1);
    digest_of(json, digest);
    if (!str_eq(said, str_of(digest)) || json_parse(json, &v) < 0 || !json_is_object(v) ||
        members_read(v, &record) < 0) {
        return -EINVAL;
    }
    *out = record;
    return 0;
}

size_t opt_out_records_read(struct str text, opt_out_record_fn *on_record, void *arg)
{
    size_t torn = 0;
    struct str line;
    while (str_split(&text, '\n', &line)) {
        struct opt_out_record record;
        if (line.len == 0) {
            continue;
        }
        if (opt_out_record_read(line, &record) < 0) {
            torn++;
            continue;
        }
        on_record(&record, arg);
    }
    return torn;
}
