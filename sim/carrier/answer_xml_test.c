#include "answer_xml.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct answer *parse(const char *text, int *err)
{
    struct answer *a = NULL;
    char error[160] = "";
    *err = xml_parse(&a, str_of(text), error, sizeof error);
    cr_assert((*err == 0) == (a != NULL));
    cr_assert((*err == 0) == (error[0] == '\0'), "%s", error);
    return a;
}

Test(answer_xml, a_stream_and_what_follows)
{
    int err = 0;
    char text[64];
    struct answer *a =
        parse("<?xml version=\"1.0\"?>\n<Response>\n <Stream bidirectional=\"true\" "
              "keepCallAlive=\"true\" contentType=\"audio/x-mulaw;rate=8000\">\n"
              " wss://h/media/t?a=1&amp;b=2 </Stream>\n<Redirect>https://h/after</Redirect>"
              "</Response>",
              &err);
    cr_assert_eq(err, 0);
    cr_assert_eq(a->count, 2);
    cr_assert_eq(a->verbs[0].kind, VERB_STREAM);
    cr_assert_str_eq(a->verbs[0].text, "wss://h/media/t?a=1&b=2");
    cr_assert(verb_attr_bool(&a->verbs[0], "keepCallAlive", false));
    cr_assert_str_eq(verb_attr(&a->verbs[0], "contentType", "", text, sizeof text),
                     "audio/x-mulaw;rate=8000");
    cr_assert_eq(verb_attr_i64(&a->verbs[0], "streamTimeout", 86400), 86400);
    cr_assert_eq(a->verbs[1].kind, VERB_REDIRECT);
    cr_assert_eq(a->unknown_attributes, 0);
    xml_free(&a);
}

Test(answer_xml, a_dial_with_its_number)
{
    int err = 0;
    char text[64];
    struct answer *a =
        parse("<Response><Record recordSession=\"true\" startOnDialAnswer=\"true\"/>"
              "<Dial action=\"https://h/a\" confirmKey=\"1\" timeout=\"20\" colour=\"red\">"
              "<Number>+14155550199</Number></Dial><Hangup/></Response>",
              &err);
    cr_assert_eq(err, 0);
    cr_assert_eq(a->count, 3);
    cr_assert_eq(a->verbs[1].child_count, 1);
    cr_assert_str_eq(a->verbs[1].children[0].text, "+14155550199");
    cr_assert_str_eq(verb_attr(&a->verbs[1], "confirmKey", "", text, sizeof text), "1");
    cr_assert_eq(verb_attr_i64(&a->verbs[1], "timeout", 30), 20);
    cr_assert_eq(a->unknown_attributes, 1);
    xml_free(&a);
}

Test(answer_xml, what_is_refused)
{
    static const char *const bad[] = {
        "",
        "{}",
        "<html><body/></html>",
        "<Response><Reject/></Response>",
        "<Response><stream>wss://h</stream></Response>",
        "<Response><Stream>wss://h?a=1&b=2</Stream></Response>",
        "<Response><Number>+1</Number></Response>",
        "<Response><Speak>a</Speak>loose words</Response>",
        "<Response><Dial><Speak>a</Speak></Dial></Response>",
        "<Response><Speak>a</Response>",
        "<!DOCTYPE r [<!ENTITY x \"y\">]><Response><Speak>&x;</Speak></Response>",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int err = 0;
        struct answer *a = parse(bad[i], &err);
        cr_expect_lt(err, 0, "taken: %s", bad[i]);
        xml_free(&a);
    }
}

Test(answer_xml, size_and_number_of_verbs_are_bounded)
{
    static char text[XML_BYTES_MAX + 100];
    size_t n = (size_t)snprintf(text, sizeof text, "<Response>");
    for (int i = 0; i < XML_VERBS_MAX + 1; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "<Wait/>");
    }
    (void)snprintf(text + n, sizeof text - n, "</Response>");
    struct answer *a = NULL;
    char error[64];
    cr_assert_lt(xml_parse(&a, str_of(text), error, sizeof error), 0);
    memset(text, ' ', sizeof text - 1);
    cr_assert_lt(xml_parse(&a, str_of(text), error, sizeof error), 0);
}

Test(answer_xml, an_empty_response_is_a_document)
{
    int err = 0;
    struct answer *a = parse("<Response/>", &err);
    cr_assert_eq(err, 0);
    cr_assert_eq(a->count, 0);
    xml_free(&a);
}
