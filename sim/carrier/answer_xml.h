/* answer_xml.h -- the answer document: text to a checked list of verbs.
 *
 * Knows every element of the carrier's XML and its attributes; an element it does not know, a wrong
 * nesting or broken XML refuses the document (the call ends with 8011). An attribute it does not
 * know is kept out and counted, as the carrier ignores it.
 *
 * Owner   xml_parse() to xml_free().
 * Thread  any.
 * Limits  100 KB, XML_VERBS_MAX verbs. No DTD, no entities from outside, no network.
 * Errors  xml_parse: -EINVAL (error holds the reason), -EMSGSIZE. */
#ifndef SIM_CARRIER_ANSWER_XML_H
#define SIM_CARRIER_ANSWER_XML_H

#include "base/str.h"

#define XML_BYTES_MAX 102400
#define XML_VERBS_MAX 32

enum verb_kind {
    VERB_SPEAK,
    VERB_PLAY,
    VERB_WAIT,
    VERB_HANGUP,
    VERB_REDIRECT,
    VERB_DTMF,
    VERB_RECORD,
    VERB_DIAL,
    VERB_STREAM,
    VERB_GET_DIGITS,
    VERB_GET_INPUT,
    VERB_PRE_ANSWER,
    VERB_CONFERENCE,
    VERB_MULTI_PARTY_CALL,
    VERB_MESSAGE,
    VERB_NUMBER, /* inside Dial */
    VERB_USER,
    VERB_COUNT,
};

struct verb {
    enum verb_kind kind;
    char *text; /* trimmed; "" when none */
    void *node; /* xmlNode of the element, for attributes */
    struct verb *children;
    size_t child_count;
};

struct answer {
    void *doc; /* xmlDoc */
    struct verb *verbs;
    size_t count;
    int unknown_attributes;
};

int xml_parse(struct answer **out, struct str text, char *error, size_t error_size) MUST_USE;
void xml_free(struct answer **a);
/* The attribute's value in out, or def when it is not there; cut values are "". */
const char *verb_attr(const struct verb *v, const char *name, const char *def, char *out,
                      size_t out_size);
int64_t verb_attr_i64(const struct verb *v, const char *name, int64_t def);
bool verb_attr_bool(const struct verb *v, const char *name, bool def);
const char *verb_name(enum verb_kind kind);

#endif
