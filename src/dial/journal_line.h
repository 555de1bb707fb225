/* journal_line.h -- one line of the dial journal: an attempt that is about to be POSTed, written and read.
 *
 *     dialwright-journal 1 <installation> <node> <system> <timeline>\n                       the first line
 *     D <attempt> <organization> <job> <number> <from> <to> <account> <worker> <moment us> <sum>\n
 *     A <moment us> <sum>\n                           the database answered then
 *
 * The sum is the first 64 bits of the SHA-256 of what stands before it, the first line's ids included, so that a
 * torn or foreign line is told from a whole one. Text, so that a person can read it when nothing else works.
 *
 * Owner   plain values.
 * Thread  any.
 * Errors  -EINVAL: not one of our lines, whole and unharmed. */
#ifndef DIAL_JOURNAL_LINE_H
#define DIAL_JOURNAL_LINE_H

#include "base/buf.h"
#include "base/uuid.h"
#include "store/store_dial.h"

#define JOURNAL_LINE_MAX 400

struct journal_head {
    struct uuid installation_id;
    struct uuid node_id; /* the process that writes this segment */
    char system_id[24];  /* and the history of the database that it wrote on */
    int64_t timeline;
};

struct journal_entry {
    struct uuid call_id; /* nil: only the moment, at which the database answered */
    struct uuid organization_id;
    struct uuid queue_id;
    struct uuid carrier_account_id;
    struct uuid worker_id;
    char from_e164[STORE_E164_SIZE];
    char to_e164[STORE_E164_SIZE];
    int32_t attempt_number;
    int64_t at_us; /* wall */
};

int journal_head_write(const struct journal_head *head, struct buf *out) MUST_USE;
int journal_head_read(struct str line, struct journal_head *out) MUST_USE; /* without its newline */
int journal_line_write(const struct journal_head *head, const struct journal_entry *entry,
                       struct buf *out) MUST_USE;
int journal_line_read(const struct journal_head *head, struct str line,
                      struct journal_entry *out) MUST_USE;

/* A whole segment: on_entry for every good line. Returns how many lines were bad: a torn one at the end is none. */
typedef void journal_entry_fn(const struct journal_entry *entry, void *arg);
int journal_text_read(struct str text, struct journal_head *head, journal_entry_fn *on_entry,
                      void *arg) MUST_USE; /* -EINVAL: no head */

#endif
