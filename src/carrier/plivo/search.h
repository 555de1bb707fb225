/* search.h -- what became of a call whose placing was unsure: every list the carrier keeps.
 *
 * Queued, then live, then ended: a call only moves that way, so one that moves meanwhile is met
 * later. Anything that is not a complete, consistent, well-understood list is a fault: "not seen"
 * may be taken for "never dialed", and then the person is dialed again.
 *
 * Contract as every _start of carrier.h.
 * Source  docs/carrier-plivo.md, "Looking for a call". */
#ifndef CARRIER_PLIVO_SEARCH_H
#define CARRIER_PLIVO_SEARCH_H

#include "carrier/carrier.h"

#define SEARCH_PAGE      20  /* the carrier's maximum */
#define SEARCH_PAGES_MAX 100 /* of one list */

int plivo_search_start(struct carrier_op **op, struct http_client *http,
                       const struct carrier_account *account, const struct carrier_search *search,
                       carrier_found_fn *on_done, void *arg) MUST_USE;

/* One page of each list, for tests and fuzzing. */
struct search_pair {
    char from_e164[20];
    char to_e164[20];
    int64_t since_us;
};
struct search_page {
    size_t count;  /* entries on the page */
    int64_t total; /* CDR: entries in all; -1: the list does not tell */
    char ids[SEARCH_PAGE][CARRIER_ID_SIZE];
};
typedef void search_sighting_fn(const struct carrier_sighting *sighting, void *arg);
typedef void search_id_fn(struct str call_id, void *arg);

/* -EINVAL: not understood, or at odds with itself; -EXDEV: somebody else's call is on it, so the
 * filter did not work. */
int search_read_ids(struct str body, struct search_page *page, search_id_fn *on_id,
                    void *arg) MUST_USE;
/* 0, or 1 when it is the wanted pair; *out is written for both. */
int search_read_one(struct str body, enum carrier_where where, const struct search_pair *pair,
                    struct carrier_sighting *out) MUST_USE;
int search_read_cdrs(struct str body, int64_t offset, const struct search_pair *pair,
                     struct search_page *page, search_sighting_fn *on_sighting, void *arg) MUST_USE;

#endif
