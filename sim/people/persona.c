#include "persona.h"

#include "base/alloc.h"
#include "dice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TALK_MS_MAX 60000

json_t *persona_read_json(const char *dir, const char *name)
{
    char path[512];
    json_error_t error;

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    json_t *v = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (v == NULL || !json_is_object(v)) {
        (void)fprintf(stderr, "dialwright-sim: %s: line %d: %s\n", path, error.line, error.text);
        json_free(&v);
    }
    return v;
}

const char *persona_text(const json_t *obj, const char *key, const char *def)
{
    const char *s = json_string_value(json_object_get(obj, key));

    return s == NULL ? def : s;
}

static int read_turn(struct ai_turn *turn, const json_t *j)
{
    const json_t *tools = json_object_get(j, "tools");
    const json_t *tool;
    size_t i;

    turn->say = persona_text(j, "say", "");
    json_array_foreach(tools, i, tool)
    {
        if (turn->tool_count == TURN_TOOLS_MAX || persona_text(tool, "name", NULL) == NULL) {
            return -EINVAL;
        }
        turn->tools[turn->tool_count].name = persona_text(tool, "name", NULL);
        turn->tools[turn->tool_count++].args = json_object_get(tool, "args");
    }
    const json_t *then = json_object_get(j, "then");
    const json_t *otherwise = json_object_get(j, "otherwise");
    int err = 0;
    if (then != NULL) {
        turn->then = xzalloc(sizeof *turn->then);
        err = read_turn(turn->then, then);
    }
    if (err == 0 && otherwise != NULL) {
        turn->otherwise = xzalloc(sizeof *turn->otherwise);
        err = read_turn(turn->otherwise, otherwise);
    }
    return err;
}

static void free_turn(struct ai_turn *turn)
{
    if (turn->then != NULL) {
        free_turn(turn->then);
        xfree(turn->then);
    }
    if (turn->otherwise != NULL) {
        free_turn(turn->otherwise);
        xfree(turn->otherwise);
    }
}

/* One line may be said by several personas: the marker names persona and step too. */
static uint32_t step_id(const struct persona *p, size_t index)
{
    char key[600];

    (void)snprintf(key, sizeof key, "%s/%zu/%s", p->name, index, p->steps[index].say);
    return dice_id("step", str_of(key));
}

static int read_steps(struct persona *p)
{
    const json_t *talk = json_object_get(p->source, "talk");
    const json_t *j;
    size_t i;

    json_array_foreach(talk, i, j)
    {
        if (p->step_count == PERSONA_STEPS_MAX || persona_text(j, "say", NULL) == NULL) {
            return -EINVAL;
        }
        struct step *s = &p->steps[p->step_count++];
        s->say = persona_text(j, "say", NULL);
        s->barge_ms = json_get_i64(j, "barge_ms", -1);
        int err = read_turn(&s->ai, json_object_get(j, "ai"));
        if (err < 0) {
            return err;
        }
        s->say_id = step_id(p, p->step_count - 1);
        s->reply_id = speech_id(VOICE_AI, str_of(s->ai.say));
    }
    return 0;
}

static int pickup_of(const char *word, enum pickup *out)
{
    static const char *const words[] = {
        [PICKUP_ANSWER] = "answer",       [PICKUP_BUSY] = "busy",
        [PICKUP_NO_ANSWER] = "no_answer", [PICKUP_REJECT] = "reject",
        [PICKUP_INVALID] = "invalid",     [PICKUP_UNREACHABLE] = "unreachable"};

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcmp(word, words[i]) == 0) {
            *out = (enum pickup)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int read_persona(struct persona *p)
{
    const json_t *bridge = json_object_get(p->source, "with_agent");
    const json_t *line;
    size_t i;

    p->machine = json_get_bool(p->source, "machine", false);
    p->hangs_up_last = strcmp(persona_text(p->source, "after", "wait"), "hangup") == 0;
    p->hang_up_after_heard_ms = json_get_i64(p->source, "hang_up_after_heard_ms", -1);
    p->max_ms = json_get_i64(p->source, "max_ms", TALK_MS_MAX);
    json_array_foreach(bridge, i, line)
    {
        if (p->with_agent_count < BRIDGE_LINES_MAX && json_is_string(line)) {
            p->with_agent[p->with_agent_count++] = json_string_value(line);
        }
    }
    int err = pickup_of(persona_text(p->source, "pickup", ""), &p->pickup);
    return err < 0 ? err : read_steps(p);
}

static void free_parts(struct persona *p)
{
    for (size_t i = 0; i < p->step_count; i++) {
        free_turn(&p->steps[i].ai);
    }
    json_free(&p->source);
    xfree(p->name);
    xfree(p);
}

void persona_free(struct persona **p)
{
    if (*p != NULL) {
        free_parts(*p);
        *p = NULL;
    }
}

int persona_load(struct persona **out, const char *dir, const char *file)
{
    struct persona *p = xzalloc(sizeof *p);

    p->name = xstrndup(file, strlen(file) - strlen(".json"));
    p->source = persona_read_json(dir, file);
    if (p->source == NULL || read_persona(p) < 0) {
        (void)fprintf(stderr, "dialwright-sim: %s/%s is not a persona\n", dir, file);
        persona_free(&p);
        return -EINVAL;
    }
    *out = p;
    return 0;
}
