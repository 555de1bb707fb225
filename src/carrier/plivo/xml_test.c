#include "carrier/plivo/xml.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

static struct carrier_urls urls = {.public_url = "https://voice.example.com"};

static struct carrier_instruction make(enum carrier_next next)
{
    return (struct carrier_instruction){.next = next,
                                        .identity = {.attempt_number = 1, .expires_s = 2000000000},
                                        .media_token = "tok3n",
                                        .time_limit_s = 600,
                                        .agent_e164 = "+14155550199",
                                        .caller_id_e164 = "+14155550100",
                                        .ring_timeout_s = 25,
                                        .text = "Hello",
                                        .language = "en-US"};
}

static const char head[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>";

/* Writes an identity's URL the way the document must hold it: '&' of the fragment escaped. */
static void expect_url(struct buf *out, const char *kind, const struct carrier_instruction *what,
                       const char *fragment)
{
    buf_addf(out, "https://voice.example.com/carrier/plivo/%s/", kind);
    cr_assert_eq(identity_write(&urls, kind, &what->identity, out), 0);
    buf_add_cstr(out, fragment);
}

static void expect_xml(const struct carrier_instruction *what, const struct buf *expected)
{
    OWNED(buf_fini) struct buf out;
    buf_init(&out, 65536);
    cr_assert_eq(plivo_instruct(&urls, what, &out), 0);
    cr_expect_str_eq(buf_cstr(&out), buf_cstr(expected));
}

Test(xml, stream)
{
    const struct carrier_instruction what = make(CARRIER_NEXT_STREAM);
    OWNED(buf_fini) struct buf e;
    buf_init(&e, 65536);
    buf_addf(&e,
             "%s<Stream bidirectional=\"true\" keepCallAlive=\"true\" "
             "contentType=\"audio/x-mulaw;rate=8000\" streamTimeout=\"600\" statusCallbackUrl=\"",
             head);
    expect_url(&e, "stream", &what, "");
    buf_add_cstr(&e, "\" statusCallbackMethod=\"POST\">wss://voice.example.com/media/tok3n</Stream>"
                     "<Redirect method=\"POST\">");
    expect_url(&e, "after", &what, "#rc=5&amp;rp=all");
    buf_add_cstr(&e, "</Redirect></Response>\n");
    expect_xml(&what, &e);
}

Test(xml, agent)
{
    struct carrier_instruction what = make(CARRIER_NEXT_AGENT);
    what.record = true;
    OWNED(buf_fini) struct buf e;
    buf_init(&e, 65536);
    buf_addf(&e,
             "%s<Record recordSession=\"true\" startOnDialAnswer=\"true\" redirect=\"false\" "
             "fileFormat=\"wav\" recordChannelType=\"stereo\" maxLength=\"600\" callbackUrl=\"",
             head);
    expect_url(&e, "recording", &what, "#rc=5&amp;rp=all");
    buf_add_cstr(&e, "\" callbackMethod=\"POST\"/><Dial action=\"");
    expect_url(&e, "agent-action", &what, "#rc=5&amp;rp=all");
    buf_add_cstr(&e, "\" method=\"POST\" callbackUrl=\"");
    expect_url(&e, "agent-event", &what, "#rc=5&amp;rp=all");
    buf_add_cstr(&e, "\" callbackMethod=\"POST\" confirmSound=\"");
    expect_url(&e, "agent-whisper", &what, "#rc=5&amp;rp=all");
    buf_add_cstr(&e,
                 "\" confirmKey=\"1\" timeout=\"25\" timeLimit=\"600\" callerId=\"+14155550100\">"
                 "<Number>+14155550199</Number></Dial></Response>\n");
    expect_xml(&what, &e);
}

Test(xml, short_ones)
{
    static const struct {
        enum carrier_next next;
        const char *body;
    } rows[] = {
        {CARRIER_NEXT_HANGUP, "<Response><Hangup/></Response>"},
        {CARRIER_NEXT_SAY_END, "<Response><Speak voice=\"WOMAN\" language=\"en-US\">Hello</Speak>"
                               "<Hangup/></Response>"},
        {CARRIER_NEXT_WHISPER,
         "<Response><Speak voice=\"WOMAN\" language=\"en-US\">Hello</Speak></Response>"},
        {CARRIER_NEXT_NOTHING, "<Response/>"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct carrier_instruction what = make(rows[i].next);
        OWNED(buf_fini) struct buf e;
        buf_init(&e, 4096);
        buf_addf(&e, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n%s\n", rows[i].body);
        expect_xml(&what, &e);
    }
}

/* Whatever a tenant writes comes back as the same text, and adds no element. */
Test(xml, hostile_text_stays_text)
{
    static const char *const rows[][2] = {
        {"</Speak><Dial><Number>+1900</Number></Dial><Speak>",
         "</Speak><Dial><Number>+1900</Number></Dial><Speak>"},
        {"a & b < c > d \"e\" 'f'", "a & b < c > d \"e\" 'f'"},
        {"]]>", "]]>"},
        {"Gr\xC3\xBC\xC3\x9F dich, \xF0\x9F\x91\x8B", "Gr\xC3\xBC\xC3\x9F dich, \xF0\x9F\x91\x8B"},
        {"a\x01\x02\x1F\x7F"
         "b",
         "a    b"},
        {"bad \xFF\xC3 utf8", "bad    utf8"},
        {"half \xED\xA0\x80 pair", "half     pair"},
        {"non \xEF\xBF\xBE char", "non   char"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct carrier_instruction what = make(CARRIER_NEXT_SAY_END);
        OWNED(buf_fini) struct buf out;
        buf_init(&out, 65536);
        what.text = rows[i][0];
        cr_assert_eq(plivo_instruct(&urls, &what, &out), 0);
        xmlDocPtr doc = xmlReadMemory(buf_cstr(&out), (int)out.len, NULL, NULL, XML_PARSE_NONET);
        cr_assert_not_null(doc, "row %zu", i);
        xmlNodePtr root = xmlDocGetRootElement(doc);
        cr_expect_eq(xmlChildElementCount(root), 2);
        xmlChar *text = xmlNodeGetContent(xmlFirstElementChild(root));
        cr_expect_str_eq((const char *)text, rows[i][1], "row %zu: %s", i, (const char *)text);
        xmlFree(text);
        xmlFreeDoc(doc);
    }
}

Test(xml, voices_exist_for_the_language)
{
    static const char *const rows[][2] = {
        {"en-US", "voice=\"WOMAN\" language=\"en-US\""},
        {"de-DE", "voice=\"WOMAN\" language=\"de-DE\""},
        {"de", "voice=\"WOMAN\" language=\"de-DE\""},
        {"hi-IN", "voice=\"Polly.Aditi\" language=\"hi-IN\""},
        {"en-IN", "voice=\"Polly.Raveena\" language=\"en-IN\""},
        {"xx-YY", "voice=\"WOMAN\" language=\"en-US\""},
        {"", "voice=\"WOMAN\" language=\"en-US\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct carrier_instruction what = make(CARRIER_NEXT_WHISPER);
        OWNED(buf_fini) struct buf out;
        buf_init(&out, 4096);
        what.language = rows[i][0];
        cr_assert_eq(plivo_instruct(&urls, &what, &out), 0);
        cr_expect_not_null(strstr(buf_cstr(&out), rows[i][1]), "%s: %s", rows[i][0],
                           buf_cstr(&out));
    }
    struct carrier_instruction what = make(CARRIER_NEXT_WHISPER);
    OWNED(buf_fini) struct buf out;
    buf_init(&out, 4096);
    what.language = NULL;
    what.text = NULL;
    cr_assert_eq(plivo_instruct(&urls, &what, &out), 0);
}

Test(xml, refuses)
{
    OWNED(buf_fini) struct buf out;
    static char longer[4000];
    memset(longer, 'a', sizeof longer - 1);
    buf_init(&out, 65536);
    struct carrier_instruction what = make(CARRIER_NEXT_AGENT);
    what.agent_e164 = "sip:x@y";
    cr_assert_eq(plivo_instruct(&urls, &what, &out), -EINVAL);
    what = make(CARRIER_NEXT_STREAM);
    what.media_token = "a/b";
    cr_assert_eq(plivo_instruct(&urls, &what, &out), -EINVAL);
    what.media_token = NULL;
    cr_assert_eq(plivo_instruct(&urls, &what, &out), -EINVAL);
    what = make(CARRIER_NEXT_SAY_END);
    what.text = longer;
    cr_assert_eq(plivo_instruct(&urls, &what, &out), -EMSGSIZE);
    what = make(CARRIER_NEXT_HANGUP);
    OWNED(buf_fini) struct buf tiny;
    buf_init(&tiny, 16);
    cr_assert_eq(plivo_instruct(&urls, &what, &tiny), -EMSGSIZE);
}

Test(xml, loopback_streams_without_tls)
{
    struct carrier_urls plain = {.public_url = "http://127.0.0.1:8080"};
    const struct carrier_instruction what = make(CARRIER_NEXT_STREAM);
    OWNED(buf_fini) struct buf out;
    buf_init(&out, 65536);
    cr_assert_eq(plivo_instruct(&plain, &what, &out), 0);
    cr_assert_not_null(strstr(buf_cstr(&out), ">ws://127.0.0.1:8080/media/tok3n</Stream>"));
}
