#include "base/alloc.h"
#include "base/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *env[64] = {NULL};
    size_t count = 0;
    struct settings s;
    OWNED(buf_fini) struct buf problems;
    buf_init(&problems, 100000);
    struct str text = str_make((const char *)data, size);
    for (struct str line; count < 63 && size > 0 && str_split(&text, '\n', &line);) {
        env[count++] = str_dup(line);
    }
    if (settings_load(&s, env, &problems) == 0) {
        (void)!settings_check_serve(&s, &problems);
        settings_fini(&s);
    }
    while (count > 0) {
        xfree(env[--count]);
    }
    return 0;
}
