/* facts.h -- what the rules say about one transcript, asked for by the names schemas use.
 *
 * A transcript line is "AI: ...", "Lead: ...", "Agent: ..." with or without a number before it
 * ("[12] Lead: ...", "12. Lead: ...", "t12 Lead: ..."); without one, lines are counted from 1. The
 * words may stand as a quoted JSON string.
 *
 * Owner   facts_read() to facts_fini(). Words live as long as the rules and the facts.
 * Thread  any. */
#ifndef SIM_MODEL_FACTS_H
#define SIM_MODEL_FACTS_H

#include "base/json.h"

#define FACT_LINES_MAX 200
#define FACT_TEXT_SIZE 600

struct fact_line {
    bool lead;
    char number[24]; /* as it stood there, or the count */
    char text[FACT_TEXT_SIZE];
};

struct facts {
    struct fact_line *lines; /* in order */
    size_t count;
    size_t lead_count;
    const json_t *rule; /* the one that matched; NULL: nothing did */
    const struct fact_line *proof;
    char summary[400];
    char callback_at[40]; /* "": none */
};

/* wall_us: relative times are counted from it, in the first IANA zone that the text names. */
void facts_read(struct facts *f, const json_t *rules, struct str transcript, int64_t wall_us);
void facts_fini(struct facts *f);
/* name: the member; parent: what it stands in. NULL: not known. */
const char *facts_word(const struct facts *f, const char *name, const char *parent);
double facts_number(const struct facts *f, const char *name, const char *parent);
bool facts_flag(const struct facts *f, const char *name, const char *parent);
bool facts_has_list(const struct facts *f, const char *name, const char *parent);
bool facts_knows(const struct facts *f, const char *name, const char *parent);

#endif
