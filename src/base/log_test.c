#include "base/log.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int saved_stderr;

/* Standard error goes to a file until captured() reads it back. */
static int capture(void)
{
    char name[] = "/tmp/dw_log_XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    saved_stderr = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    return fd;
}

static void captured(int fd, struct buf *out)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    buf_init(out, 10000000);
    char *at = buf_reserve(out, 9000000);
    ssize_t got = pread(fd, at, 9000000, 0);
    buf_commit(out, got > 0 ? (size_t)got : 0);
    close(fd);
}

Test(log, a_line_is_json_and_shows_no_number)
{
    struct uuid id = {{0x01, 0x02}};
    struct buf out;
    log_init(LOG_INFO, STR("key"));
    int fd = capture();
    log_info("call.placed", LOG_STR("from", "a\"b"), LOG_I64("ms", -5), LOG_F64("f", NAN),
             LOG_BOOL("ok", true), LOG_PHONE("to", "+14155552671"), LOG_UUID("id", &id),
             LOG_TEXT("none", STR_NONE), LOG_UUID("no_id", NULL));
    log_debug("not.this");
    log_info("bare");
    captured(fd, &out);
    struct str text = buf_str(&out);
    struct str line;
    cr_assert(str_split(&text, '\n', &line));
    OWNED(json_free) json_t *v = NULL;
    cr_assert_eq(json_parse(line, &v), 0, STR_FMT, STR_ARG(line));
    cr_expect(str_eq(json_get_str(v, "event"), STR("call.placed")));
    cr_expect(str_eq(json_get_str(v, "level"), STR("info")));
    cr_expect(str_eq(json_get_str(v, "from"), STR("a\"b")));
    cr_expect_eq(json_get_i64(v, "ms", 0), -5);
    cr_expect(str_eq(json_get_str(v, "to"), STR("**71")));
    cr_expect_eq(json_get_str(v, "phone_hash").len, 16);
    cr_expect(str_eq(json_get_str(v, "id"), STR("01020000-0000-0000-0000-000000000000")));
    cr_expect_not(str_contains(line, STR("415555")), STR_FMT, STR_ARG(line));
    cr_assert(str_split(&text, '\n', &line));
    cr_expect(str_contains(line, STR("\"event\":\"bare\"}")));
    cr_expect_eq(text.len, 0, "debug is off");
    buf_fini(&out);
}

Test(log, a_long_line_is_cut_and_still_json)
{
    struct buf out;
    char *text = xmalloc(5000);
    memset(text, '\x01', 4999);
    text[4999] = '\0';
    log_init(LOG_DEBUG, STR_NONE);
    int fd = capture();
    log_debug("long", LOG_STR("a", "kept"), LOG_STR("b", text), LOG_STR("c", "after"));
    captured(fd, &out);
    cr_expect_leq(out.len, LOG_LINE_MAX);
    OWNED(json_free) json_t *v = NULL;
    cr_assert_eq(json_parse(str_trim(buf_str(&out)), &v), 0);
    cr_expect(str_eq(json_get_str(v, "a"), STR("kept")));
    cr_expect(json_get_bool(v, "cut", false));
    xfree(text);
    buf_fini(&out);
}

Test(log, repeats_are_counted)
{
    struct buf out;
    log_init(LOG_INFO, STR_NONE);
    int fd = capture();
    for (int i = 0; i < LOG_BURST * 20; i++) {
        log_info("again");
    }
    captured(fd, &out);
    size_t lines = 0;
    for (size_t i = 0; i < out.len; i++) {
        lines += out.p[i] == '\n' ? 1 : 0;
    }
    /* The burst may straddle the turn of a second or two. */
    cr_expect_geq(lines, LOG_BURST);
    cr_expect_leq(lines, LOG_BURST * 3 + 2);
    buf_fini(&out);
}

Test(log, levels)
{
    enum log_level level;
    cr_expect_eq(log_level_parse(STR("WARN"), &level), 0);
    cr_expect_eq(level, LOG_WARN);
    cr_expect_eq(log_level_parse(STR("loud"), &level), -EINVAL);
    log_init(LOG_WARN, STR_NONE);
    cr_expect(log_enabled(LOG_ERROR));
    cr_expect_not(log_enabled(LOG_INFO));
}
