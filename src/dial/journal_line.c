#include "dial/journal_line.h"

#include "base/crypto.h"

#include <errno.h>
#include <string.h>

#define MAGIC      "dialwright-journal"
#define SUM_DIGITS 16
#define WORDS_MAX  12

/* Over the head and the line, so that a line copied into another segment is a foreign one. */
static int sum_of(const struct journal_head *head, struct str line, char out[SUM_DIGITS + 1])
{
    uint8_t digest[SHA256_BYTES];
    OWNED(buf_fini) struct buf text;
    buf_init(&text, 2 * JOURNAL_LINE_MAX);
    int err = journal_head_write(head, &text);
    err = err < 0 ? err : buf_add_str(&text, line);
    if (err < 0) {
        return err;
    }
    sha256(buf_str(&text), digest);
    hex_encode(digest, SUM_DIGITS / 2, out);
    return 0;
}

int journal_head_write(const struct journal_head *head, struct buf *out)
{
    char installation[UUID_TEXT_SIZE];
    char node[UUID_TEXT_SIZE];
    uuid_text(&head->installation_id, installation);
    uuid_text(&head->node_id, node);
    return buf_addf(out, MAGIC " 1 %s %s %s %lld\n", installation, node, head->system_id,
                    (long long)head->timeline);
}

/* Words between single spaces; how many, or -EINVAL when there are more than fit. */
static int split(struct str line, struct str words[WORDS_MAX])
{
    int count = 0;
    while (line.len > 0) {
        if (count == WORDS_MAX || !str_split(&line, ' ', &words[count])) {
            return -EINVAL;
        }
        count++;
    }
    return count;
}

static int read_number(struct str word, int64_t min, int64_t max, int64_t *out)
{
    return str_to_i64(word, out) == 0 && *out >= min && *out <= max ? 0 : -EINVAL;
}

int journal_head_read(struct str line, struct journal_head *out)
{
    struct str words[WORDS_MAX];
    struct journal_head head;
    if (line.len > JOURNAL_LINE_MAX || split(line, words) != 6 || !str_eq_cstr(words[0], MAGIC) ||
        !str_eq_cstr(words[1], "1") || uuid_parse(words[2], &head.installation_id) < 0 ||
        uuid_parse(words[3], &head.node_id) < 0 || words[4].len == 0 ||
        str_copy(words[4], head.system_id, sizeof head.system_id) < 0 ||
        read_number(words[5], 1, INT64_MAX, &head.timeline) < 0) {
        return -EINVAL;
    }
    *out = head;
    return 0;
}

static int add_sum(const struct journal_head *head, struct buf *line, struct buf *out)
{
    char sum[SUM_DIGITS + 1];
    int err = sum_of(head, buf_str(line), sum);
    return err < 0 ? err : buf_addf(out, STR_FMT "%s\n", STR_ARG(buf_str(line)), sum);
}

int journal_line_write(const struct journal_head *head, const struct journal_entry *e,
                       struct buf *out)
{
    OWNED(buf_fini) struct buf line;
    buf_init(&line, JOURNAL_LINE_MAX);
    if (uuid_is_nil(&e->call_id)) {
        int err = buf_addf(&line, "A %lld ", (long long)e->at_us);
        return err < 0 ? err : add_sum(head, &line, out);
    }
    char ids[5][UUID_TEXT_SIZE];
    uuid_text(&e->call_id, ids[0]);
    uuid_text(&e->organization_id, ids[1]);
    uuid_text(&e->queue_id, ids[2]);
    uuid_text(&e->carrier_account_id, ids[3]);
    uuid_text(&e->worker_id, ids[4]);
    int err =
        buf_addf(&line, "D %s %s %s %d %s %s %s %s %lld ", ids[0], ids[1], ids[2],
                 e->attempt_number, e->from_e164, e->to_e164, ids[3], ids[4], (long long)e->at_us);
    return err < 0 ? err : add_sum(head, &line, out);
}

static int read_e164(struct str word, char out[STORE_E164_SIZE])
{
    if (word.len < 7 || word.len >= STORE_E164_SIZE || word.p[0] != '+') {
        return -EINVAL;
    }
    for (size_t i = 1; i < word.len; i++) {
        if (word.p[i] < '0' || word.p[i] > '9') {
            return -EINVAL;
        }
    }
    return str_copy(word, out, STORE_E164_SIZE);
}

static int read_dial(const struct str *words, struct journal_entry *e)
{
    int64_t number;
    if (uuid_parse(words[1], &e->call_id) < 0 || uuid_is_nil(&e->call_id) ||
        uuid_parse(words[2], &e->organization_id) < 0 || uuid_parse(words[3], &e->queue_id) < 0 ||
        read_number(words[4], 1, INT32_MAX, &number) < 0 || read_e164(words[5], e->from_e164) < 0 ||
        read_e164(words[6], e->to_e164) < 0 || uuid_parse(words[7], &e->carrier_account_id) < 0 ||
        uuid_parse(words[8], &e->worker_id) < 0 ||
        read_number(words[9], 1, INT64_MAX, &e->at_us) < 0) {
        return -EINVAL;
    }
    e->attempt_number = (int32_t)number;
    return 0;
}

int journal_line_read(const struct journal_head *head, struct str line, struct journal_entry *out)
{
    struct str words[WORDS_MAX];
    struct journal_entry e = {.attempt_number = 0};
    char sum[SUM_DIGITS + 1];
    int count = line.len <= JOURNAL_LINE_MAX ? split(line, words) : -EINVAL;
    if (count < 3 || words[count - 1].len != SUM_DIGITS ||
        sum_of(head, str_head(line, line.len - SUM_DIGITS), sum) < 0 ||
        !str_eq_cstr(words[count - 1], sum)) {
        return -EINVAL;
    }
    bool dial = count == 11 && str_eq_cstr(words[0], "D");
    bool answer = count == 3 && str_eq_cstr(words[0], "A");
    if ((!dial && !answer) || (dial && read_dial(words, &e) < 0) ||
        (answer && read_number(words[1], 1, INT64_MAX, &e.at_us) < 0)) {
        return -EINVAL;
    }
    *out = e;
    return 0;
}

int journal_text_read(struct str text, struct journal_head *head, journal_entry_fn *on_entry,
                      void *arg)
{
    struct str line;
    int bad = 0;
    if (memchr(text.p != NULL ? text.p : "", '\n', text.len) == NULL ||
        !str_split(&text, '\n', &line) || journal_head_read(line, head) < 0) {
        return -EINVAL;
    }
    while (text.len > 0 && memchr(text.p, '\n', text.len) != NULL &&
           str_split(&text, '\n', &line)) {
        struct journal_entry entry;
        if (journal_line_read(head, line, &entry) == 0) {
            on_entry(&entry, arg);
        } else {
            bad++;
        }
    }
    return bad; /* what is left has no newline: it was being written when the machine stopped */
}
