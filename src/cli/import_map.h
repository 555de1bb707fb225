/* import_map.h -- which column of a list is what: known names and their aliases, the rest
 * attributes.
 *
 * Owner   import_map_init() to import_map_fini(); names are copied.
 * Thread  read-only after init, then any.
 * Errors  -EINVAL: `why` says what is wrong with the header (no phone column, a name twice, too
 * many). */
#ifndef CLI_IMPORT_MAP_H
#define CLI_IMPORT_MAP_H

#include "base/json.h"
#include "cli/csv_rows.h"

enum import_column {
    COLUMN_ATTRIBUTE,
    COLUMN_NAME,
    COLUMN_FIRST_NAME,
    COLUMN_LAST_NAME,
    COLUMN_PHONE,
    COLUMN_EMAIL,
    COLUMN_TIMEZONE,
    COLUMN_CONSENT_AT,
    COLUMN_CONSENT_EVIDENCE,
    COLUMN_CONSENT_SCOPE,
    COLUMN_CONSENT_LEVEL,
    COLUMN_SOURCE,
    COLUMN_COUNT,
};

struct import_map {
    size_t count;
    enum import_column columns[CSV_FIELDS_MAX];
    char *names[CSV_FIELDS_MAX]; /* of the header, trimmed */
};

int import_map_init(struct import_map *map, const struct csv_row *header, struct buf *why) MUST_USE;
void import_map_fini(struct import_map *map);
json_t *import_map_json(const struct import_map *map) MUST_USE; /* {"header name": "what it is"} */

#endif
