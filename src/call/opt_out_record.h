/* opt_out_record.h -- one "never call me again" as a line of a file that outlives the process.
 *
 * A line is "o1 <32 hex digits of its SHA-256> <JSON object>", with a line feed before and behind
 * it, so that a record torn by a kill or a full disk spoils no other one. What does not match its
 * digest is no record: it is counted, and nothing is guessed from it.
 *
 * Owner   a plain value.
 * Thread  any.
 * Time    at_us wall time of the words.
 * Errors  opt_out_record_write: -EMSGSIZE; opt_out_record_read: -EINVAL. */
#ifndef CALL_OPT_OUT_RECORD_H
#define CALL_OPT_OUT_RECORD_H

#include "base/buf.h"
#include "base/uuid.h"

#define OPT_OUT_PHONE_SIZE  17 /* E.164 with its plus */
#define OPT_OUT_SOURCE_SIZE 16
#define OPT_OUT_WORDS_SIZE  2001
#define OPT_OUT_LINE_MAX    16384 /* words of 2000 bytes, each escaped as six, and the rest */

struct opt_out_record {
    struct uuid organization_id;
    struct uuid call_id;
    int64_t at_us;
    char phone[OPT_OUT_PHONE_SIZE]; /* "" when the call has none */
    char source[OPT_OUT_SOURCE_SIZE];
    char words[OPT_OUT_WORDS_SIZE];
};

int opt_out_record_write(const struct opt_out_record *record, struct buf *out) MUST_USE;
/* One line without its line feed. */
int opt_out_record_read(struct str line, struct opt_out_record *out) MUST_USE;

typedef void opt_out_record_fn(const struct opt_out_record *record, void *arg);
/* Every whole record of a file's text; returns how many lines were none. */
size_t opt_out_records_read(struct str text, opt_out_record_fn *on_record, void *arg);

#endif
