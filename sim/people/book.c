#include "book.h"

#include "base/alloc.h"
#include "base/map.h"
#include "dice.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PERSONAS_MAX 64

struct book {
    struct persona *personas[PERSONAS_MAX];
    size_t persona_count;
    json_t *fates;
    json_t *model;
    json_t *agents;
    struct speech_cache *speech;
    struct map steps; /* say_id -> struct step_place */
};

struct step_place {
    const struct persona *who;
    const struct step *step;
};

static int add_persona(struct book *book, const char *dir, const char *file)
{
    size_t len = strlen(file);

    if (len < 6 || strcmp(file + len - 5, ".json") != 0) {
        return 0;
    }
    if (book->persona_count == PERSONAS_MAX) {
        return -EMSGSIZE;
    }
    int err = persona_load(&book->personas[book->persona_count], dir, file);
    book->persona_count += err == 0 ? 1 : 0;
    return err;
}

static int read_personas(struct book *book, const char *dir)
{
    char path[512];
    int err = 0;

    (void)snprintf(path, sizeof path, "%s/personas", dir);
    DIR *d = opendir(path);
    if (d == NULL) {
        (void)fprintf(stderr, "dialwright-sim: %s: %s\n", path, strerror(errno));
        return -ENOENT;
    }
    for (struct dirent *e = readdir(d); e != NULL && err == 0; e = readdir(d)) {
        err = add_persona(book, path, e->d_name);
    }
    (void)closedir(d);
    return err;
}

static void index_steps(struct book *book)
{
    for (size_t i = 0; i < book->persona_count; i++) {
        const struct persona *p = book->personas[i];
        for (size_t k = 0; k < p->step_count; k++) {
            struct step_place *place = xzalloc(sizeof *place);
            *place = (struct step_place){p, &p->steps[k]};
            uint32_t id = p->steps[k].say_id;
            xfree(map_put(&book->steps, str_make((const char *)&id, sizeof id), place));
        }
    }
}

/* Every name in fates.json must be a persona: a typing error would silently change a run. */
static int check_fates(const struct book *book)
{
    const json_t *fate;
    const json_t *name;
    size_t i;
    size_t k;

    json_array_foreach(json_object_get(book->fates, "fates"), i, fate)
    {
        json_array_foreach(json_object_get(fate, "calls"), k, name)
        {
            if (!json_is_string(name) ||
                book_persona_named(book, json_string_value(name)) == NULL) {
                (void)fprintf(stderr, "dialwright-sim: fates.json names no persona: %s\n",
                              json_is_string(name) ? json_string_value(name) : "?");
                return -EINVAL;
            }
        }
    }
    return i == 0 ? -EINVAL : 0;
}

struct book *book_load(const char *dir)
{
    struct book *book = xzalloc(sizeof *book);

    map_init(&book->steps);
    book->fates = persona_read_json(dir, "fates.json");
    book->model = persona_read_json(dir, "model.json");
    book->agents = persona_read_json(dir, "agents.json");
    if (book->fates == NULL || book->model == NULL || book->agents == NULL ||
        read_personas(book, dir) < 0 || check_fates(book) < 0) {
        book_free(&book);
        return NULL;
    }
    index_steps(book);
    book->speech = speech_cache_new();
    return book;
}

static void free_place(struct str key, void *value, void *arg)
{
    (void)key;
    (void)arg;
    xfree(value);
}

void book_free(struct book **book)
{
    if (*book == NULL) {
        return;
    }
    map_each(&(*book)->steps, free_place, NULL);
    map_fini(&(*book)->steps);
    for (size_t i = 0; i < (*book)->persona_count; i++) {
        persona_free(&(*book)->personas[i]);
    }
    json_free(&(*book)->fates);
    json_free(&(*book)->model);
    json_free(&(*book)->agents);
    speech_cache_free(&(*book)->speech);
    xfree(*book);
    *book = NULL;
}

struct speech_cache *book_speech(const struct book *book)
{
    return book->speech;
}

static void prepare_turn(struct book *book, const struct ai_turn *turn)
{
    if (turn == NULL) {
        return;
    }
    (void)speech_say(book->speech, VOICE_AI, str_of(turn->say));
    prepare_turn(book, turn->then);
    prepare_turn(book, turn->otherwise);
}

void book_prepare(struct book *book)
{
    const char *agent[BRIDGE_LINES_MAX];
    size_t agent_lines = book_agent_lines(book, agent);
    const char *key;
    json_t *value;

    for (size_t i = 0; i < book->persona_count; i++) {
        const struct persona *p = book->personas[i];
        for (size_t k = 0; k < p->step_count; k++) {
            (void)speech_mark(book->speech, VOICE_PERSON, str_of(p->steps[k].say),
                              p->steps[k].say_id);
            prepare_turn(book, &p->steps[k].ai);
        }
        for (size_t k = 0; k < p->with_agent_count; k++) {
            (void)speech_say(book->speech, VOICE_PERSON, str_of(p->with_agent[k]));
        }
    }
    for (size_t i = 0; i < agent_lines; i++) {
        (void)speech_say(book->speech, VOICE_AGENT, str_of(agent[i]));
    }
    json_object_foreach(book->model, key, value)
    {
        if (json_is_string(value) && strcmp(key, "about") != 0) {
            (void)speech_say(book->speech, VOICE_AI, str_of(json_string_value(value)));
        }
    }
}

/* Picks one of an array of objects with a `weight`. */
static const json_t *draw(const json_t *array, uint64_t seed, const char *purpose,
                          struct str number, uint64_t nth)
{
    const json_t *j;
    size_t i;
    int64_t total = 0;

    json_array_foreach(array, i, j)
    {
        total += json_get_i64(j, "weight", 1);
    }
    int64_t left = total <= 0 ? 0 : dice_between(seed, purpose, number, nth, 0, total - 1);
    json_array_foreach(array, i, j)
    {
        left -= json_get_i64(j, "weight", 1);
        if (left < 0) {
            return j;
        }
    }
    return NULL;
}

const struct persona *book_persona(const struct book *book, uint64_t seed, struct str number,
                                   uint64_t nth)
{
    const json_t *fate = draw(json_object_get(book->fates, "fates"), seed, "fate", number, 0);
    const json_t *calls = json_object_get(fate, "calls");
    size_t count = json_array_size(calls);

    assert(count > 0); /* check_fates */
    return book_persona_named(
        book, json_string_value(json_array_get(calls, nth < count ? (size_t)nth : count - 1)));
}

const struct persona *book_persona_named(const struct book *book, const char *name)
{
    for (size_t i = 0; i < book->persona_count; i++) {
        if (strcmp(book->personas[i]->name, name) == 0) {
            return book->personas[i];
        }
    }
    return NULL;
}

size_t book_persona_count(const struct book *book)
{
    return book->persona_count;
}

const struct persona *book_persona_at(const struct book *book, size_t i)
{
    return book->personas[i];
}

const struct step *book_step(const struct book *book, uint32_t say_id, const struct persona **who)
{
    const struct step_place *place =
        map_get(&book->steps, str_make((const char *)&say_id, sizeof say_id));

    if (place == NULL) {
        return NULL;
    }
    *who = place->who;
    return place->step;
}

enum agent_does book_agent(const struct book *book, uint64_t seed, struct str number, uint64_t nth)
{
    const json_t *j = draw(json_object_get(book->agents, "answers"), seed, "agent", number, nth);
    const char *does = persona_text(j, "does", "accept");

    if (strcmp(does, "decline") == 0) {
        return AGENT_DECLINE;
    }
    return strcmp(does, "no_answer") == 0 ? AGENT_NO_ANSWER : AGENT_ACCEPT;
}

size_t book_agent_lines(const struct book *book, const char *lines[BRIDGE_LINES_MAX])
{
    const json_t *line;
    size_t i;
    size_t count = 0;

    json_array_foreach(json_object_get(book->agents, "lines"), i, line)
    {
        if (count < BRIDGE_LINES_MAX && json_is_string(line)) {
            lines[count++] = json_string_value(line);
        }
    }
    return count;
}

const char *book_line(const struct book *book, const char *name)
{
    return persona_text(book->model, name, "All right.");
}

const char *book_line_for(const struct book *book, struct str instructions)
{
    const json_t *rule;
    size_t i;

    json_array_foreach(json_object_get(book->model, "when"), i, rule)
    {
        if (str_contains_nocase(instructions, str_of(persona_text(rule, "match", "\n")))) {
            return book_line(book, persona_text(rule, "say", "ack"));
        }
    }
    return NULL;
}

const json_t *book_analysis(const struct book *book)
{
    return json_object_get(book->model, "analysis");
}
