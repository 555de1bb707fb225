/* leads.h -- a list of invented people as CSV: many countries, some bad rows, most of them awake.
 *
 * Of the rows at least 70 % (in fact about 85 %) are, at the moment given, inside the calling hours
 * of their own place with a margin on both sides; the others are asleep or at table, so that waiting
 * can be seen. About 5 % of the rows are bad on purpose: impossible numbers, repeated ones, missing
 * consent, unknown zones. Everything is a function of (count, seed, moment).
 *
 * Columns name,phone,email,timezone,consent_at,consent_evidence,consent_scope,company,interest
 *
 * Owner   places: places_load() to places_free(). The text belongs to the caller's buf.
 * Thread  any.
 * Errors  -EINVAL (bad places.json), -EMSGSIZE (buf full), -ERANGE (count), -ENOSPC (no number left). */
#ifndef SIM_PEOPLE_LEADS_H
#define SIM_PEOPLE_LEADS_H

#include "base/buf.h"

#define LEADS_MAX 10000

struct places;

enum lead_flaw { LEAD_GOOD, LEAD_BAD_NUMBER, LEAD_DUPLICATE, LEAD_NO_CONSENT, LEAD_BAD_ZONE };

struct places *places_load(const char *dir) MUST_USE; /* NULL after having said why */
void places_free(struct places **p);
size_t places_open(const struct places *p, int64_t wall_us); /* how many are inside their hours */
int leads_write(const struct places *p, size_t count, uint64_t seed, int64_t wall_us,
                struct buf *csv) MUST_USE;
/* The countries used, as a JSON array, for an operator who enables rules per country. */
int places_countries(const struct places *p, struct buf *json) MUST_USE;

#endif
