/* setup_file.h -- reads a set-up file (YAML, and so JSON) into the object that app.setup_apply
 * takes.
 *
 * The file's shape is one table (setup_fields.c): section, key, kind. An unknown key, a wrong kind
 * or a number that is no phone number is a problem that names its place; all of them are listed at
 * once. docs/setup-file.md is printed from the same table.
 *
 * Owner   *doc is the caller's; json_free().
 * Thread  any.
 * Limits  SETUP_BYTES_MAX; no aliases, so a small file cannot grow large.
 * Errors  -ENOENT and other errno of open(); -EMSGSIZE; -EINVAL, then `problems` has a line for
 * each. */
#ifndef CLI_SETUP_FILE_H
#define CLI_SETUP_FILE_H

#include "base/json.h"

#define SETUP_BYTES_MAX (8 * 1024 * 1024)

enum setup_kind {
    SETUP_TEXT,
    SETUP_INT,
    SETUP_REAL,
    SETUP_BOOL,
    SETUP_DATE,   /* 2026-11-22 */
    SETUP_CLOCK,  /* 09:00 */
    SETUP_MOMENT, /* RFC 3339 */
    SETUP_PHONE,  /* stored as E.164 */
    SETUP_REGION, /* two letters */
    SETUP_TEXTS,
    SETUP_INTS,
    SETUP_PHONES,
};

struct setup_field {
    const char *key;
    enum setup_kind kind;
    bool required;
    const char *help;
};

struct setup_section {
    const char *name;
    bool many; /* a list of these */
    const char *help;
    const struct setup_field *fields; /* ends with a row without a key; NULL: plain texts */
};

#define SETUP_FIELDS_MAX   48
#define SETUP_SECTIONS_MAX 16
extern const struct setup_section setup_sections[]; /* ends with a row without a name */

int setup_read(const char *path, json_t **doc, struct buf *problems) MUST_USE;
int setup_markdown(struct buf *out); /* docs/setup-file.md */

#endif
