#include "call/opt_out_words.h"

#include "base/alloc.h"
#include "call/word_list.h"

/* --- patterns -------------------------------------------------------------------------------------
 *
 * Words by blanks; a|b is either, a trailing ? makes a word optional. "don't" is "don t" here.
 *
 * PLAIN   may be excused by an hour around it, a name behind it, a negation before it
 * ALWAYS  says itself that it is for ever; only a negation before it excuses */
enum weight { PLAIN, ALWAYS };

struct pattern {
    enum weight weight;
    const char *words;
};

// clang-format off
#define EN_NOT   "do|don not|t"
#define HI_CALL  "कॉल|काल|फोन|call|phone|fone|kaal"
#define HI_NOT   "मत|न|ना|नहीं|mat|na|nahi|nahin"
#define HI_AGAIN "दोबारा|दुबारा|फिर|वापस|dobara|dubara|dobaara|phir|fir|wapas|vapas"
#define HI_DO    "करना|करो|करिए|करिये|कीजिए|कीजिये|कीजिएगा|करिएगा|करें|करे|किया|" \
                 "karna|karo|kariye|kijiye|kijie|kijiyega|kariyega|karen|karein|kare|kiya"
// clang-format on

static const struct pattern patterns[] = {
    /* English */
    {PLAIN, EN_NOT
     " ever? call|phone|ring|dial|contact|text|bother me|us|here|this again|anymore|any more?"},
    {PLAIN, EN_NOT " ever? call|phone|ring|dial this|my|our number|phone|line again?"},
    {PLAIN, EN_NOT " call|phone|ring again|anymore"},
    {PLAIN, EN_NOT " ever call|phone|ring|contact me|us|here?"},
    {PLAIN, "not to ever? call|phone|contact|bother me|us again|anymore?"},
    {PLAIN, "rather you did|didn not|t call"},
    {PLAIN, EN_NOT " you dare call|phone me|us? ever? again"},
    {PLAIN, "dont ever? call|phone|contact me|us? again|anymore"},
    {PLAIN,
     EN_NOT " want you|anyone|anybody|people to? call|calling|phoning|contacting|contact me|us"},
    {PLAIN, EN_NOT " want any? more? calls|call"},
    {PLAIN, EN_NOT " want to be called|contacted|phoned again|anymore?"},
    {PLAIN, EN_NOT " wish to be called|contacted|phoned"},
    {ALWAYS, "never ever? call|phone|ring|contact|bother me|us|here|this? again"},
    {PLAIN, "never ever? call|phone|ring|contact|dial me|us|here|again"},
    {PLAIN, "never ever? call|phone|ring|contact|dial this|my|our number|phone|line"},
    {PLAIN, "never want to hear from you"},
    {PLAIN, EN_NOT " want to hear from you again|anymore|any|ever"},
    {PLAIN,
     "stop|quit|cease calling|phoning|ringing|contacting|bothering|harassing me|us|here|this?"},
    {PLAIN, "stop|quit all? these|the|your calls"},
    {PLAIN, "stop with? the calls"},
    {PLAIN, "take|get|remove|delete|strike|cross me|us|my|this name|number? off|from of? "
            "your|the|this|that|all calling|call|phone|marketing? list|lists|database|system"},
    {PLAIN, "take|get|remove|delete my|this|our|the phone? number off|from|out"},
    {PLAIN, "take me|us off of? this? calling? list"},
    {PLAIN, "remove|delete|erase my|this|our phone? number|details|data|contact|name"},
    {PLAIN, "remove|delete me from"},
    {PLAIN, "unsubscribe me|us"},
    {PLAIN, "i want|need|wish|like|d to|like to? unsubscribe"},
    {PLAIN, "how do|can i|we unsubscribe"},
    {PLAIN, "how do|can i|we opt out"},
    {PLAIN, "how do|can i|we get off your|this|the list"},
    {PLAIN, "how do|can i|we stop these|this|the|your calls"},
    {PLAIN, "opt me|us out"},
    {PLAIN, "i want|need|wish to opt out"},
    {PLAIN, "i would|d like to opt out"},
    {PLAIN, "i am|m opting out"},
    {PLAIN, "put|add me|us|my|this number? on|to the|your|a internal? do not call"},
    {PLAIN, "put|add me|us|my|this number? on|to the|your|a internal? dnc"},
    {PLAIN, "lose|forget my|this number"},
    {PLAIN, "no more calls|phone|calling"},
    {PLAIN, "i revoke|withdraw my consent|permission"},
    {PLAIN, "leave me|us alone"},
    /* Hindi, as transcription writes it, and in Latin letters */
    {PLAIN, HI_AGAIN " से|se? कभी|kabhi? " HI_CALL " " HI_NOT " " HI_DO},
    {PLAIN, HI_AGAIN " से|se? कभी|kabhi? " HI_CALL " पर|par? " HI_DO " " HI_NOT},
    {PLAIN, "मुझे|मुझको|मेरे|हमें|हमको|mujhe|mujhko|hume|humein|humko|mere को|पास|ko|paas? " HI_AGAIN
            "? से|se? कभी|kabhi? भी|bhi? " HI_CALL " " HI_NOT " " HI_DO},
    {PLAIN, HI_CALL " " HI_NOT " " HI_DO " " HI_AGAIN},
    {PLAIN,
     "इस|is नंबर|नम्बर|number पर|pe|par " HI_AGAIN "? कभी|kabhi? " HI_CALL " " HI_NOT " " HI_DO},
    {ALWAYS, "कभी|kabhi भी|bhi? मुझे|mujhe? " HI_CALL " " HI_NOT " " HI_DO},
    {ALWAYS, "आज|अब|aaj|ab के|ke बाद|baad मुझे|mujhe? " HI_CALL " " HI_NOT " " HI_DO},
    {ALWAYS, "आगे|अब|आइंदा|aage|ab|aainda|ainda से|se? मुझे|mujhe? " HI_CALL " " HI_NOT " " HI_DO},
    {PLAIN,
     HI_CALL " करना|karna बंद|बन्द|band करो|कर|करिए|कीजिए|करें|kar|karo|kardo|kariye|kijiye|karen"},
    {PLAIN, HI_CALL " " HI_NOT " " HI_DO},
    {PLAIN, "बार|baar बार|baar " HI_CALL " " HI_NOT " " HI_DO},
    {PLAIN, HI_CALL " आना|ana|aana नहीं|nahi|nahin चाहिए|chahiye"},
    {PLAIN, "मेरा|हमारा|मेरे|mera|hamara|mere फोन|phone? नंबर|नम्बर|number|nambar को|ko? लिस्ट|list? "
            "से|se? हटा|हटाओ|हटाइए|डिलीट|निकाल|मिटा|hata|hatao|"
            "hataiye|delete|nikal|nikaal|mita"},
    {PLAIN, "लिस्ट|सूची|list में|mein|me? से|se मेरा|mera|mujhe? नाम|नंबर|naam|number? "
            "हटा|हटाओ|हटाइए|निकाल|निकालो|hata|hatao|hataiye|nikal|nikaal|"
            "nikalo"},
    {PLAIN, "मुझे|mujhe परेशान|तंग|pareshan|tang " HI_NOT " " HI_DO},
    /* German, French, Spanish */
    {PLAIN, "rufen|ruf sie|mich mich? nicht|nie mehr|wieder an"},
    {PLAIN, "nicht|nie mehr|wieder anrufen"},
    {PLAIN, "streichen|löschen|nehmen sie mich von|aus"},
    {PLAIN, "löschen sie meine nummer|daten"},
    {PLAIN, "ne m appelez|rappelez plus"},
    {PLAIN, "ne me rappelez|contactez plus"},
    {PLAIN, "arrêtez de m appeler"},
    {PLAIN, "retirez|enlevez moi de votre|la liste"},
    {PLAIN, "supprimez mon numéro"},
    {PLAIN, "no me llame|llamen|llames más|mas|nunca"},
    {PLAIN, "no me vuelva|vuelvan a llamar"},
    {PLAIN, "dejen|deje de llamarme"},
    {PLAIN, "bórreme|quíteme|sáqueme de su|la lista"},
};

/* Right behind the words: a wish about the hour, or about how to be addressed. */
static const char *const behind[] = {
    "before",
    "after",
    "until",
    "till",
    "at night",
    "at work",
    "at home",
    "at this|that time|hour",
    "so|this|that|too early|late",
    "today|tonight|tomorrow",
    "on sunday|sundays|saturday|saturdays|weekend|weekends|monday|friday|holidays",
    "on the weekend|weekends",
    "in|this|on the? morning|mornings|evening|evenings|afternoon|afternoons",
    "during",
    "while|when i",
    "unless",
    "than",
    "sir|madam|maam|mister|mr|mrs|ms|miss|dear|darling|honey|it|names|stupid|crazy|old|that|by",
    "ma am",
    "a|an",
};

/* Up to four words before, or right behind: an hour in Hindi, where the verb comes last. */
static const char *const hours[] = {
    "अभी",     "रात",  "सुबह", "शाम",  "दोपहर",  "आज",   "कल",    "बजे",     "संडे",      "रविवार",
    "समय",     "टाइम", "दिन", "ऑफिस", "मीटिंग",  "abhi", "raat",  "subah",  "shaam",   "sham",
    "dopahar", "aaj",  "kal", "baje", "sunday", "time", "samay", "office", "meeting", "din"};

/* Turns the words around when only `between` stands between it and them. */
static const char *const negations[] = {"don t",        "do not",
                                        "dont",         "didn t",
                                        "did not",      "never",
                                        "not",          "doesn t",
                                        "does not",     "haven t",
                                        "wouldn t",     "isn t",
                                        "नहीं कहा|बोला", "nahi|nahin kaha|bola"};
static const char *const between[] = {
    "say",  "said",  "saying", "tell",   "told",  "telling", "ask",    "asked", "asking",
    "mean", "meant", "want",   "wanted", "you",   "to",      "that",   "ever",  "please",
    "just", "them",  "have",   "need",   "going", "be",      "should", "कहा",   "बोला",
    "कि",   "की",    "kaha",   "bola",   "ki",    "i"};
#define BETWEEN_MAX 6
#define HOUR_NEAR   4

/* And before the negation, these turn it around again: "if you don't stop calling", "why don't you
 * stop calling". */
static const char *const restored[] = {"if", "unless", "why", "अगर", "agar", "क्यों", "kyon", "kyun"};

/* "You never call me", "they don't call me again": told of others, not asked of us. */
static const char *const others[] = {"they", "he", "she", "who", "nobody", "को", "ko"};
static const char *const of_you[] = {"never", "lose", "forget"};

/* --- matching ------------------------------------------------------------------------------------- */

/* Whether `word` is one of a|b|c. */
static bool one_of(struct str word, struct str alternatives)
{
    struct str one;
    while (str_split(&alternatives, '|', &one)) {
        if (str_eq(one, word)) {
            return true;
        }
    }
    return false;
}

/* Whether the pattern stands at word i; *end: the word behind it. Optional words are taken when they
 * are there and the rest fits, else left. */
static bool match(const struct word_list *w, size_t i, struct str pattern, size_t *end)
{
    struct str head;
    if (pattern.len == 0) {
        *end = i;
        return true;
    }
    (void)str_split(&pattern, ' ', &head);
    bool optional = str_ends(head, STR("?"));
    head = optional ? str_head(head, head.len - 1) : head;
    if (i < w->count && one_of(word_at(w, i), head) && match(w, i + 1, pattern, end)) {
        return true;
    }
    return optional && match(w, i, pattern, end);
}

static bool any_at(const struct word_list *w, size_t i, const char *const *list, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        size_t end;
        if (match(w, i, str_of(list[k]), &end)) {
            return true;
        }
    }
    return false;
}

#define ANY_AT(w, i, list) any_at((w), (i), (list), COUNT_OF(list))

static bool hour_near(const struct word_list *w, size_t from, size_t end)
{
    for (size_t i = from; i > 0 && from - i < HOUR_NEAR && !w->broken[i]; i--) {
        if (ANY_AT(w, i - 1, hours)) {
            return true;
        }
    }
    return end < w->count && !w->broken[end] && ANY_AT(w, end, hours);
}

static bool restored_before(const struct word_list *w, size_t i)
{
    for (size_t k = i > 3 ? i - 3 : 0; k < i; k++) {
        if (ANY_AT(w, k, restored)) {
            return true;
        }
    }
    return false;
}

/* A negation before the words with nothing but `between` in the middle. */
static bool turned_around(const struct word_list *w, size_t from)
{
    for (size_t i = from; i > 0 && from - i < BETWEEN_MAX && !w->broken[i]; i--) {
        size_t at = i - 1;
        if (ANY_AT(w, at, negations)) {
            return !restored_before(w, at);
        }
        if (at > 0 && ANY_AT(w, at - 1, negations)) { /* of two words */
            return !restored_before(w, at - 1);
        }
        if (!ANY_AT(w, at, between)) {
            return false;
        }
    }
    return false;
}

static bool told_of_others(const struct word_list *w, size_t from)
{
    if (from == 0) {
        return false;
    }
    bool you_never = str_eq(word_at(w, from - 1), STR("you")) && ANY_AT(w, from, of_you) &&
                     !(from > 1 && str_eq(word_at(w, from - 2), STR("want")));
    return you_never || ANY_AT(w, from - 1, others);
}

static bool opt_out_at(const struct word_list *w, size_t i)
{
    for (size_t k = 0; k < COUNT_OF(patterns); k++) {
        size_t end;
        if (!match(w, i, str_of(patterns[k].words), &end) || turned_around(w, i)) {
            continue;
        }
        bool excused = (end < w->count && !w->broken[end] && ANY_AT(w, end, behind)) ||
                       hour_near(w, i, end) || told_of_others(w, i);
        if (patterns[k].weight == ALWAYS || !excused) {
            return true;
        }
    }
    return false;
}

/* Who talks on beyond the list's size is read in pieces that overlap by more than a pattern. */
#define AGAIN_BYTES 300
#define PIECES_MAX  8 /* some ten minutes without a breath; a piece costs milliseconds at worst */

bool words_opt_out(struct str text)
{
    struct word_list *w = xmalloc(sizeof *w);
    bool found = false;
    for (int piece = 0; piece < PIECES_MAX && text.len > 0 && !found; piece++) {
        size_t read = word_list_read(text, w);
        for (size_t i = 0; i < w->count && !found; i++) {
            found = opt_out_at(w, i);
        }
        text = str_skip(text, read == text.len ? read : read - AGAIN_BYTES);
    }
    xfree(w);
    return found;
}
