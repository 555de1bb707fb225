#include "answer_xml.h"

#include "base/alloc.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <string.h>

struct grammar {
    const char *name;
    const char *attributes; /* space before and after each */
    bool nested_only;
};

static const struct grammar grammars[VERB_COUNT] = {
    [VERB_SPEAK] = {"Speak", " voice language loop ", false},
    [VERB_PLAY] = {"Play", " loop ", false},
    [VERB_WAIT] = {"Wait", " length silence minSilence beep ", false},
    [VERB_HANGUP] = {"Hangup", " reason schedule ", false},
    [VERB_REDIRECT] = {"Redirect", " method ", false},
    [VERB_DTMF] = {"DTMF", " async ", false},
    [VERB_RECORD] = {"Record",
                     " action method fileFormat redirect timeout maxLength finishOnKey playBeep "
                     "recordSession startOnDialAnswer recordChannelType transcriptionType "
                     "transcriptionUrl transcriptionMethod callbackUrl callbackMethod ",
                     false},
    [VERB_DIAL] = {"Dial",
                   " action method timeout timeLimit callerId callerName hangupOnStar redirect "
                   "callbackUrl callbackMethod confirmSound confirmKey confirmTimeout dialMusic "
                   "digitsMatch digitsMatchBLeg sipHeaders callType ",
                   false},
    [VERB_STREAM] = {"Stream",
                     " bidirectional keepCallAlive contentType audioTrack streamTimeout "
                     "statusCallbackUrl statusCallbackMethod extraHeaders noiseCancellation "
                     "noiseCancellationLevel ",
                     false},
    [VERB_GET_DIGITS] = {"GetDigits",
                         " action method numDigits timeout digitTimeout finishOnKey retries "
                         "redirect playBeep validDigits invalidDigitsSound log ",
                         false},
    [VERB_GET_INPUT] = {"GetInput",
                        " action method inputType executionTimeout digitEndTimeout "
                        "speechEndTimeout startInputTimeout retries numDigits finishOnKey "
                        "language speechModel hints profanityFilter "
                        "interimSpeechResultsCallback interimSpeechResultsCallbackMethod "
                        "redirect log ",
                        false},
    [VERB_PRE_ANSWER] = {"PreAnswer", " ", false},
    [VERB_CONFERENCE] = {"Conference",
                         " muted enterSound exitSound maxMembers timeLimit hangupOnStar stayAlone "
                         "startConferenceOnEnter endConferenceOnExit waitSound record "
                         "recordFileFormat action method callbackUrl callbackMethod redirect "
                         "digitsMatch floorEvent relayDTMF ",
                         false},
    [VERB_MULTI_PARTY_CALL] = {"MultiPartyCall", " role ", false},
    [VERB_MESSAGE] = {"Message", " src dst type callbackUrl callbackMethod ", false},
    [VERB_NUMBER] = {"Number",
                     " sendDigits sendDigitsMode sendOnPreanswer sipHeaders callerId callerName ",
                     true},
    [VERB_USER] = {"User", " sipHeaders sipAuthUsername sipAuthPassword callerId callerName ",
                   true},
};

struct reading {
    struct answer *answer;
    char *error;
    size_t error_size;
};

static int refuse(const struct reading *r, const char *what, const char *which)
{
    (void)snprintf(r->error, r->error_size, "%s: %s", what, which);
    return -EINVAL;
}

static int kind_of(const char *name, bool nested, enum verb_kind *out)
{
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(grammars[i].name, name) == 0 && grammars[i].nested_only == nested) {
            *out = (enum verb_kind)i;
            return 0;
        }
    }
    return -EINVAL;
}

static bool may_nest(enum verb_kind outer, const char *inner, bool *nested_name)
{
    *nested_name = outer == VERB_DIAL;
    if (outer == VERB_DIAL) {
        return strcmp(inner, "Number") == 0 || strcmp(inner, "User") == 0;
    }
    return (outer == VERB_GET_DIGITS || outer == VERB_GET_INPUT || outer == VERB_PRE_ANSWER) &&
           (strcmp(inner, "Speak") == 0 || strcmp(inner, "Play") == 0 ||
            strcmp(inner, "Wait") == 0);
}

static void count_attributes(struct reading *r, const xmlNode *node, enum verb_kind kind)
{
    for (const xmlAttr *a = node->properties; a != NULL; a = a->next) {
        char wanted[64];
        (void)snprintf(wanted, sizeof wanted, " %s ", (const char *)a->name);
        if (strstr(grammars[kind].attributes, wanted) == NULL) {
            r->answer->unknown_attributes++;
        }
    }
}

static char *own_text(const xmlNode *node)
{
    for (const xmlNode *c = node->children; c != NULL; c = c->next) {
        struct str s = str_trim(str_of((const char *)c->content));
        if ((c->type == XML_TEXT_NODE || c->type == XML_CDATA_SECTION_NODE) && s.len > 0) {
            return str_dup(s);
        }
    }
    return xstrdup("");
}

static int read_children(struct reading *r, struct verb *v, const xmlNode *node);

static int read_verb(struct reading *r, struct verb *v, xmlNode *node, bool nested)
{
    if (kind_of((const char *)node->name, nested, &v->kind) < 0) {
        return refuse(r, "unknown element", (const char *)node->name);
    }
    v->node = node;
    v->text = own_text(node);
    count_attributes(r, node, v->kind);
    return read_children(r, v, node);
}

static int read_children(struct reading *r, struct verb *v, const xmlNode *node)
{
    for (xmlNode *c = node->children; c != NULL; c = c->next) {
        bool nested = false;
        if (c->type != XML_ELEMENT_NODE) {
            continue;
        }
        if (v->kind != VERB_SPEAK && !may_nest(v->kind, (const char *)c->name, &nested)) {
            return refuse(r, "element may not stand there", (const char *)c->name);
        }
        if (v->kind == VERB_SPEAK) {
            continue; /* speech markup */
        }
        if (v->child_count == XML_VERBS_MAX) {
            return -EMSGSIZE;
        }
        v->children = xrealloc(v->children, (v->child_count + 1) * sizeof *v->children);
        memset(&v->children[v->child_count], 0, sizeof *v->children);
        int err = read_verb(r, &v->children[v->child_count++], c, nested);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static int read_document(struct reading *r)
{
    xmlNode *root = xmlDocGetRootElement(r->answer->doc);

    if (root == NULL || strcmp((const char *)root->name, "Response") != 0) {
        return refuse(r, "root is not Response", root == NULL ? "" : (const char *)root->name);
    }
    r->answer->verbs = xcalloc(XML_VERBS_MAX, sizeof *r->answer->verbs);
    for (xmlNode *c = root->children; c != NULL; c = c->next) {
        if (c->type == XML_TEXT_NODE && str_trim(str_of((const char *)c->content)).len > 0) {
            return refuse(r, "text outside of an element", (const char *)c->content);
        }
        if (c->type != XML_ELEMENT_NODE) {
            continue;
        }
        if (r->answer->count == XML_VERBS_MAX) {
            return -EMSGSIZE;
        }
        int err = read_verb(r, &r->answer->verbs[r->answer->count++], c, false);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int xml_parse(struct answer **out, struct str text, char *error, size_t error_size)
{
    OWNED(xml_free) struct answer *a = xzalloc(sizeof *a);
    struct reading r = {a, error, error_size};

    if (text.len == 0 || text.len > XML_BYTES_MAX) {
        return refuse(&r, "document size", text.len == 0 ? "empty" : "over 100 KB");
    }
    a->doc = xmlReadMemory(text.p, (int)text.len, "answer.xml", NULL,
                           XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (a->doc == NULL || ((xmlDoc *)a->doc)->intSubset != NULL) {
        return refuse(&r, "not well-formed XML", a->doc == NULL ? "" : "document type");
    }
    int err = read_document(&r);
    if (err < 0) {
        return err;
    }
    *out = GIVE(a);
    return 0;
}

static void free_verb(struct verb *v)
{
    for (size_t i = 0; i < v->child_count; i++) {
        free_verb(&v->children[i]);
    }
    xfree(v->children);
    xfree(v->text);
}

void xml_free(struct answer **a)
{
    if (*a == NULL) {
        return;
    }
    for (size_t i = 0; i < (*a)->count; i++) {
        free_verb(&(*a)->verbs[i]);
    }
    xfree((*a)->verbs);
    if ((*a)->doc != NULL) {
        xmlFreeDoc((*a)->doc);
    }
    xfree(*a);
    *a = NULL;
}

const char *verb_attr(const struct verb *v, const char *name, const char *def, char *out,
                      size_t out_size)
{
    xmlChar *value = xmlGetProp(v->node, (const xmlChar *)name);

    if (value == NULL) {
        return def;
    }
    if (str_copy(str_trim(str_of((const char *)value)), out, out_size) < 0) {
        out[0] = '\0';
    }
    xmlFree(value);
    return out;
}

int64_t verb_attr_i64(const struct verb *v, const char *name, int64_t def)
{
    char text[32];
    int64_t n = def;

    return str_to_i64(str_of(verb_attr(v, name, "", text, sizeof text)), &n) < 0 ? def : n;
}

bool verb_attr_bool(const struct verb *v, const char *name, bool def)
{
    char text[16];
    bool b = def;

    return str_to_bool(str_of(verb_attr(v, name, "", text, sizeof text)), &b) < 0 ? def : b;
}

const char *verb_name(enum verb_kind kind)
{
    return grammars[kind].name;
}
