/* main.c -- dialwright-sim: reads the command line and wires the lookalikes to one loop.
 *
 *   people/   who is phoned: scripts, speech, marks in the samples, the list of leads
 *   carrier/  REST, ringing, webhooks, answer XML, the media socket, recordings, the ground truth
 *   model/    the Realtime session, what it hears and says, the Responses endpoint
 *   faults/   what goes wrong, and when
 *
 * One thread, one loop, one HTTP server for all of it. docs/simulator.md is the manual. */
#include "base/alloc.h"
#include "base/clock.h"
#include "carrier/rest.h"
#include "model/model.h"
#include "options.h"
#include "people/leads.h"
#include "sim.h"

#include <errno.h>
#include <libxml/parser.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define OUT_MAX  (8 * 1024 * 1024)
#define BODY_MAX (256 * 1024)
#define URL_SIZE 256

static void sim_state(struct http_request *req, void *arg);

static const struct http_route routes[] = {
    {"POST", "/v1/Account/{account}/Call/", BODY_MAX, rest_call_post},
    {"GET", "/v1/Account/{account}/Call/", 0, rest_call_list},
    {"GET", "/v1/Account/{account}/Call/{uuid}/", 0, rest_call_get},
    {"DELETE", "/v1/Account/{account}/Call/{uuid}/", BODY_MAX, rest_call_delete},
    {"DELETE", "/v1/Account/{account}/Request/{uuid}/", BODY_MAX, rest_request_delete},
    {"GET", "/v1/Account/{account}/Recording/{recording}/", 0, rest_recording_get},
    {"GET", "/v1/Account/{account}/", 0, rest_account},
    {"GET", "/sim/recordings/{file}", 0, rest_recording_file},
    {"GET", "/v1/realtime", 0, model_realtime},
    {"POST", "/v1/responses", BODY_MAX, model_responses},
    {"GET", "/v1/models", 0, model_list},
    {"GET", "/sim/state", 0, sim_state},
};

static void sim_state(struct http_request *req, void *arg)
{
    struct sim *sim = arg;
    OWNED(json_free)
    json_t *state = json_pack("{s:o, s:o, s:o, s:o}", "carrier", carrier_state(sim->carrier),
                              "model", model_state(sim->model), "faults",
                              faults_report(&sim->faults), "limits", sim_limits_json(&sim->limits));
    struct buf text;

    buf_init(&text, BODY_MAX);
    (void)!json_dump(state, &text);
    http_answer(req, 200, "application/json", buf_str(&text));
    buf_fini(&text);
}

struct stopper {
    struct loop *loop;
    uv_signal_t term;
    uv_signal_t interrupt;
};

static void on_signal(uv_signal_t *handle, int signum)
{
    (void)signum;
    loop_stop(handle->data);
}

static void watch_signals(struct stopper *s, struct loop *loop)
{
    s->loop = loop;
    (void)uv_signal_init(loop_uv(loop), &s->term);
    (void)uv_signal_init(loop_uv(loop), &s->interrupt);
    s->term.data = loop;
    s->interrupt.data = loop;
    (void)uv_signal_start(&s->term, on_signal, SIGTERM);
    (void)uv_signal_start(&s->interrupt, on_signal, SIGINT);
}

static void unwatch_signals(struct stopper *s)
{
    uv_close((uv_handle_t *)&s->term, NULL);
    uv_close((uv_handle_t *)&s->interrupt, NULL);
    (void)loop_run_once(s->loop, false);
}

static int open_server(struct sim *sim, const struct options *o, char url[URL_SIZE])
{
    struct str host = str_of(o->listen);
    struct str name;

    int err = http_server_open(&sim->server, sim->loop, o->listen, routes, COUNT_OF(routes), sim);
    if (err < 0) {
        (void)fprintf(stderr, "dialwright-sim: %s: %s\n", o->listen, strerror(-err));
        return err;
    }
    (void)str_split(&host, ':', &name);
    (void)snprintf(url, URL_SIZE, "http://" STR_FMT ":%u", STR_ARG(name),
                   http_server_port(sim->server));
    if (o->public_url != NULL) {
        (void)snprintf(url, URL_SIZE, "%s", o->public_url);
    }
    return 0;
}

static void run(struct sim *sim, const struct options *o, const char *url)
{
    struct stopper stopper;
    struct carrier_conf carrier = {.loop = sim->loop,
                                   .http = sim->http,
                                   .book = sim->book,
                                   .faults = &sim->faults,
                                   .truth = sim->truth,
                                   .limits = &sim->limits,
                                   .auth_id = o->auth_id,
                                   .auth_token = o->auth_token,
                                   .public_url = url,
                                   .record_dir = o->record_dir,
                                   .seed = o->seed};
    struct model_conf model = {sim->loop, sim->book, &sim->faults, o->model_key};

    sim->carrier = carrier_new(&carrier);
    sim->model = model_new(&model);
    watch_signals(&stopper, sim->loop);
    (void)printf("{\"listening\":\"%s\"}\n", url);
    (void)fflush(stdout);
    loop_run(sim->loop);
    unwatch_signals(&stopper);
    carrier_free(&sim->carrier);
    model_free(&sim->model);
}

static int serve(const struct options *o)
{
    struct sim sim = {.auth_id = o->auth_id,
                      .auth_token = o->auth_token,
                      .model_key = o->model_key,
                      .limits = o->limits,
                      .faults = o->faults};
    char url[URL_SIZE];

    sim.book = book_load(o->people_dir);
    if (sim.book == NULL || truth_open(&sim.truth, o->truth_path) < 0) {
        (void)fprintf(stderr, "dialwright-sim: cannot open people or ground truth\n");
        book_free(&sim.book);
        return 1;
    }
    book_prepare(sim.book);
    sim.loop = loop_new(LOOP_REAL);
    sim.http = http_client_new(sim.loop, NULL);
    int err = open_server(&sim, o, url);
    if (err == 0) {
        run(&sim, o, url);
        http_server_close(&sim.server);
    }
    http_client_free(&sim.http);
    loop_free(&sim.loop);
    truth_close(&sim.truth);
    book_free(&sim.book);
    return err < 0 ? 1 : 0;
}

static int print(struct buf *text, int err)
{
    if (err < 0) {
        (void)fprintf(stderr, "dialwright-sim: %s\n", strerror(-err));
    } else {
        (void)fwrite(text->p, 1, text->len, stdout);
    }
    buf_fini(text);
    return err < 0 || fflush(stdout) != 0 ? 1 : 0;
}

static int people(const struct options *o, bool countries)
{
    struct buf text;
    int64_t wall_us = clock_wall_us();

    if (o->at != NULL && clock_parse(str_of(o->at), &wall_us) < 0) {
        (void)fprintf(stderr, "dialwright-sim: --at is not a time: %s\n", o->at);
        return 2;
    }
    struct places *places = places_load(o->people_dir);
    if (places == NULL) {
        return 1;
    }
    buf_init(&text, OUT_MAX);
    int err = countries ? places_countries(places, &text)
                        : leads_write(places, (size_t)o->count, o->seed, wall_us, &text);
    if (countries) {
        (void)buf_add_char(&text, '\n');
    }
    places_free(&places);
    return print(&text, err);
}

static int limits(const struct options *o)
{
    OWNED(json_free) json_t *json = sim_limits_json(&o->limits);
    struct buf text;

    buf_init(&text, OUT_MAX);
    int err = json_dump(json, &text);
    (void)buf_add_char(&text, '\n');
    return print(&text, err);
}

static int personas(const struct options *o)
{
    struct book *book = book_load(o->people_dir);

    if (book == NULL) {
        return 1;
    }
    for (size_t i = 0; i < book_persona_count(book); i++) {
        const struct persona *p = book_persona_at(book, i);
        (void)printf("%-22s %s\n", p->name, persona_text(p->source, "about", ""));
    }
    book_free(&book);
    return 0;
}

int main(int argc, char **argv)
{
    struct options o;
    int status = options_read(&o, argc, argv);

    if (status != 0) {
        if (status < 0) {
            options_help();
        }
        return status < 0 ? 0 : status;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    xmlInitParser();
    if (strcmp(o.command, "serve") == 0) {
        status = serve(&o);
    } else if (strcmp(o.command, "people") == 0 || strcmp(o.command, "countries") == 0) {
        status = people(&o, o.command[0] == 'c');
    } else if (strcmp(o.command, "limits") == 0) {
        status = limits(&o);
    } else if (strcmp(o.command, "personas") == 0) {
        status = personas(&o);
    } else {
        (void)fprintf(stderr, "dialwright-sim: no such command: %s\n", o.command);
        status = 2;
    }
    xmlCleanupParser();
    return status;
}
