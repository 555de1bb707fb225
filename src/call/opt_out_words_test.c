#include "call/opt_out_words.h"

#include "base/buf.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const asked[] = {
    "Don't call me again.",
    "don’t call me again",
    "Please, do not call me anymore!",
    "do not call me any more, thanks",
    "Don't ever call me again",
    "Don't ever call here",
    "Dont call me again",
    "Do not contact me again.",
    "Don't you dare call me again",
    "Don't bother me again",
    "Don't phone me again, will you",
    "don't call this number again",
    "Do not call this number",
    "No. Don't call me again!",
    "Not interested, don't call me again",
    "I said don't call me again",
    "I told you not to call me again",
    "We asked you people not to call us",
    "I don't want you to call me",
    "I don't want you calling me",
    "I do not want any more calls",
    "I don't want any calls",
    "I don't want to be called again",
    "I don't want to be called.",
    "I don't want to hear from you again",
    "I never want to hear from you",
    "I do not wish to be contacted",
    "Never call me again",
    "never ever call me again",
    "I want you to never call this number",
    "Never call here!",
    "You never call me again, understood?",
    "Look, STOP CALLING ME, okay?",
    "I said stop calling.",
    "Stop phoning me",
    "stop contacting us",
    "Quit calling me",
    "Stop calling me now!",
    "Stop calling me every day",
    "stop harassing me",
    "Stop these calls.",
    "If you don't stop calling me I will call the police",
    "Why don't you stop calling me",
    "Can't you stop calling me?",
    "Won't you people stop calling",
    "Are you interested? I do not. Stop calling me.",
    "I'm not. Stop calling.",
    "I did not order anything, stop calling me",
    "Take me off your list.",
    "Take me off of your list",
    "Take me off your calling list, please",
    "get me off this list",
    "Can you remove me from your list please",
    "remove me from the calling list",
    "Remove us from your database",
    "please delete my number",
    "take my number off",
    "Remove my phone number from your system",
    "delete my data",
    "I'd like to unsubscribe",
    "I want to unsubscribe",
    "unsubscribe me",
    "How do I opt out?",
    "How can I get off your list?",
    "how do I stop these calls",
    "I want to opt out",
    "I would like to opt out",
    "opt me out please",
    "I'm opting out.",
    "Put me on your do-not-call list, now.",
    "Add my number to the do not call registry",
    "put us on the DNC",
    "Lose my number.",
    "Forget this number",
    "No more calls, please",
    "I revoke my consent",
    "Just leave me alone",
    "I'd rather you didn't call",
    "Stop calling me. After this I block you.",
    /* Hindi */
    "मुझे दोबारा कॉल मत करना।",
    "मुझे दोबारा कॉल मत करिए",
    "दोबारा कॉल मत कीजिए",
    "दोबारा फोन मत करना",
    "दोबारा फ़ोन मत करना",
    "दुबारा काल मत करना भैया",
    "मुझे फोन मत करो",
    "मुझे कॉल न करें",
    "मेरे को कॉल मत करो",
    "हमें कॉल मत कीजिए",
    "फिर से कॉल मत करना",
    "फिर कभी कॉल मत करना",
    "आगे से कॉल मत करना",
    "आज के बाद कॉल मत करना",
    "अब से मुझे कॉल मत करना",
    "कभी कॉल मत करना",
    "कभी भी मुझे फोन मत कीजिएगा",
    "इस नंबर पर कॉल मत करना",
    "इस नंबर पर दोबारा कॉल मत कीजिए",
    "भाई, कॉल करना बंद करो",
    "फोन करना बंद कीजिए",
    "बार बार कॉल मत करो",
    "मेरा नंबर हटा दो",
    "मेरा नंबर लिस्ट से हटा दीजिए",
    "मेरा नंबर डिलीट कर दो",
    "लिस्ट से मेरा नाम हटा दीजिए",
    "मुझे परेशान मत करो",
    "नहीं, कॉल मत करो",
    "कॉल मत करिए प्लीज़",
    "Bhai mujhe dobara call mat karna",
    "dobara call mat karo",
    "mujhe dubara phone mat karna",
    "mujhe call mat kijiye",
    "phone mat karna dobara",
    "aage se call mat karna",
    "aaj ke baad phone mat karna",
    "is number par call mat karna",
    "call karna band karo",
    "phone karna band kijiye",
    "mera number hata do",
    "mera number list se hata dijiye",
    "mera number delete kar do",
    "list se mera naam hata do",
    "mujhe call nahi chahiye, call mat karo",
    "mujhe pareshan mat karo",
    "fir kabhi call na karen",
    /* German, French, Spanish */
    "Rufen Sie mich nicht mehr an!",
    "Bitte nicht mehr anrufen",
    "Löschen Sie meine Nummer",
    "Ne m'appelez plus.",
    "Arrêtez de m'appeler",
    "No me llamen más, por favor",
    "Deje de llamarme",
};

Test(opt_out_words, are_understood)
{
    for (size_t i = 0; i < COUNT_OF(asked); i++) {
        cr_expect(words_opt_out(str_of(asked[i])), "not heard: '%s'", asked[i]);
    }
    cr_assert_geq(COUNT_OF(asked), 120);
}

static const char *const other_wishes[] = {
    "",
    "Yes.",
    "No.",
    "Stop.",
    "Stop, let me think.",
    "I'm not interested.",
    "Not now, I am driving.",
    "Can you call me again?",
    "Please call me again tomorrow",
    "Never mind, call me later.",
    "Don't hesitate to call me again",
    "Why don't you call me again next week",
    /* the hour, not the calls */
    "Don't call me again before noon.",
    "Please stop calling at night, mornings are fine.",
    "Do not call again today, tomorrow is better.",
    "Don't call me at work",
    "Stop calling me at work, use my mobile",
    "Never call me before ten",
    "no more calls after six please",
    "Don't ever call me before nine",
    "Stop calling us on Sundays",
    "Stop calling me while I am in meetings",
    "I don't want to be called in the evening",
    "I don't want any calls today",
    "No more calls than necessary",
    /* negations */
    "Don't stop calling me",
    "Please do not stop calling",
    "Never stop calling me!",
    "I never said stop calling me",
    "I didn't say stop calling",
    "I did not tell you to stop calling me",
    "I don't want you to stop calling me",
    "I am not asking you to stop calling me",
    "I didn't say don't call me again",
    "I never said that you should never call me again",
    "Don't take me off your list",
    "Please don't remove me from the list",
    "Do not delete my number",
    "don't remove my number",
    "Don't unsubscribe me",
    "I don't want to unsubscribe",
    "I do not want to opt out",
    "Do not opt me out",
    "Don't put me on the do not call list",
    "don't lose my number",
    "Don't leave me alone with this",
    /* of others, of names, of something else */
    "They don't call me again and again",
    "You never call me",
    "You never call me back",
    "He never calls me",
    "Did you lose my number?",
    "Stop calling me sir",
    "Please stop calling me ma'am, I am a man",
    "Stop calling me Mr. Miller",
    "stop calling me that",
    "Stop calling it cheap",
    "My list of calls is long",
    "recalling memory",
    "I want to option out of the blue one",
    "Is this a recorded call? How do I stop the recording?",
    "Put me on the list",
    "add me to your calling list",
    "I don't call that cheap",
    "do not call it a discount",
    /* Hindi */
    "कल दोबारा कॉल करना",
    "मुझे दोबारा कॉल करो",
    "रात को कॉल मत करना",
    "मुझे अभी कॉल मत करो, शाम को करना",
    "अभी कॉल मत करो",
    "सुबह कॉल मत करना",
    "आज कॉल मत करो, कल करो",
    "रविवार को फोन मत करना",
    "पाँच बजे से पहले कॉल मत करना",
    "ऑफिस के समय कॉल मत करना",
    "कॉल करना बंद मत करो",
    "मैंने नहीं कहा कि कॉल करना बंद करो",
    "मेरा नंबर मत हटाना",
    "मेरा नंबर मत हटाओ",
    "कॉल मत काटना",
    "फोन मत रखना",
    "मम्मी को कॉल मत करना",
    "मुझे कॉल चाहिए",
    "चिंता मत करो",
    "kal dobara call karna",
    "raat ko call mat karna",
    "abhi call mat karo",
    "aaj phone mat karo kal karo",
    "sunday ko call mat karna",
    "subah call mat karna please",
    "call karna band mat karo",
    "maine nahi kaha ki call karna band karo",
    "mera number mat hatana",
    "phone mat kaatna",
    "mummy ko call mat karna",
    "mujhe call karo",
    "chinta mat karo",
    /* others */
    "Rufen Sie mich morgen an",
    "Appelez-moi demain",
    "Llámeme mañana",
};

Test(opt_out_words, other_wishes_are_not_opt_outs)
{
    for (size_t i = 0; i < COUNT_OF(other_wishes); i++) {
        cr_expect_not(words_opt_out(str_of(other_wishes[i])), "false alarm: '%s'", other_wishes[i]);
    }
    cr_assert_geq(COUNT_OF(other_wishes), 90);
}

/* Four hundred words before, at every place around the ends of the pieces that are read at once. */
Test(opt_out_words, who_talks_for_minutes_is_heard_to_the_end)
{
    for (size_t before = 380; before < 1200; before++) {
        OWNED(buf_fini) struct buf text;
        buf_init(&text, 65536);
        for (size_t i = 0; i < before; i++) {
            (void)buf_add_cstr(&text, i % 7 == 0 ? "और " : "well ");
        }
        (void)buf_add_cstr(&text, "please stop calling me and so on and on");
        cr_expect(words_opt_out(buf_str(&text)), "behind %zu words", before);
    }
}

Test(opt_out_words, long_texts_are_bounded)
{
    static char text[100000];
    memset(text, 'a', sizeof text);
    cr_expect_not(words_opt_out(str_make(text, sizeof text)));
    for (size_t i = 0; i < sizeof text; i += 2) {
        text[i] = ' ';
    }
    cr_expect_not(words_opt_out(str_make(text, sizeof text)));
    for (size_t i = 0; i + 5 < sizeof text; i += 5) { /* the worst for the patterns */
        memcpy(text + i, "do t ", 5);
    }
    cr_expect_not(words_opt_out(str_make(text, sizeof text)));
    memcpy(text, "stop calling me ", 16);
    cr_expect(words_opt_out(str_make(text, sizeof text)));
}
