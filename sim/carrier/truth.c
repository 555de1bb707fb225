#include "truth.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192

struct truth {
    int fd;
};

int truth_open(struct truth **out, const char *path)
{
    int fd = -1;

    if (path != NULL) {
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0) {
            return -errno;
        }
    }
    *out = xzalloc(sizeof **out);
    (*out)->fd = fd;
    return 0;
}

void truth_close(struct truth **t)
{
    if (*t == NULL) {
        return;
    }
    if ((*t)->fd >= 0) {
        (void)close((*t)->fd);
    }
    xfree(*t);
    *t = NULL;
}

static json_t *text_or_null(const char *s)
{
    return s == NULL ? json_null() : json_string(s);
}

void truth_write(struct truth *t, int64_t wall_us, const struct truth_line *line)
{
    OWNED(json_free) json_t *j = json_object();
    OWNED(json_free) json_t *more = line->more;
    char at[CLOCK_TEXT_SIZE];
    struct buf text;

    clock_format(wall_us, at);
    (void)json_object_set_new(j, "at", json_string(at));
    (void)json_object_set_new(j, "event", json_string(line->event));
    (void)json_object_set_new(j, "call_uuid", text_or_null(line->call_uuid));
    (void)json_object_set_new(j, "request_uuid", text_or_null(line->request_uuid));
    (void)json_object_set_new(j, "leg", json_string(line->leg));
    (void)json_object_set_new(j, "direction", json_string("outbound"));
    (void)json_object_set_new(j, "from", text_or_null(line->from));
    (void)json_object_set_new(j, "to", text_or_null(line->to));
    (void)json_object_set_new(j, "cause", text_or_null(line->cause));
    if (more != NULL) {
        (void)json_object_update(j, more);
    }
    buf_init(&text, LINE_MAX_BYTES);
    int err = json_dump(j, &text);
    (void)buf_add_char(&text, '\n');
    if (t->fd >= 0 && (err < 0 || write(t->fd, text.p, text.len) != (ssize_t)text.len)) {
        (void)fprintf(stderr, "dialwright-sim: the ground truth cannot be written\n");
        abort();
    }
    buf_fini(&text);
}
