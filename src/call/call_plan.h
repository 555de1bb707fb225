/* call_plan.h -- everything a media loop has to know to hold one call: made of the brief from the
 * database, on the control loop, before the first ring; never changed after.
 *
 * Texts of tenants and leads are bounded and freed of control and direction characters here. What a
 * lead says about itself (name, attributes) is a quoted JSON item, never instructions; in the
 * tenant's own script a `{{variable}}` is replaced by its quoted value only.
 *
 * Owner   whoever called call_plan_make(); desk_prepare() takes it over.
 * Thread  any, one at a time.
 * Time    *_ms durations; wall_us wall time.
 * Errors  call_plan_make: -EINVAL; `why` says which member is missing or wrong.
 * Source  the brief: app.call_brief(); limits: security list, prompt injection. */
#ifndef CALL_CALL_PLAN_H
#define CALL_CALL_PLAN_H

#include "base/json.h"
#include "base/uuid.h"

#define PLAN_WHY_SIZE 120

struct call_plan {
    struct uuid call_id;
    struct uuid organization_id;
    struct uuid campaign_id;
    struct uuid lead_id;
    char *instructions; /* the session's, complete */
    char *lead_item;    /* quoted JSON about the lead */
    char *disclosure;
    char *greeting;
    char *opening;  /* disclosure and greeting, as they are spoken */
    char *farewell; /* "" : the model finds its own */
    char *voice;
    char *model;        /* "" : the daemon's default */
    char *language;     /* BCP 47 */
    char safety_id[33]; /* keyed hash of the person's number */
    char phone[17];     /* the number at the other end, E.164; "" unknown */
    uint32_t tools;     /* bits of enum tool_id */
    int64_t max_duration_ms;
    int64_t silence_ms;
    int32_t utc_offset_s; /* of the lead's zone now; meaningful when offset_known */
    bool offset_known;
    bool opening_shared; /* the same words for every lead: worth keeping the audio */
    bool is_callback;    /* this call keeps a promise to call back */
    bool machine_ends;   /* campaign.amd is hangup: nobody talks to a machine */
    bool record;
    /* The lead's side is recorded only after the notice in the disclosure was heard. */
    bool record_after_notice;
};

int call_plan_make(const json_t *brief, struct str person_key, int64_t wall_us,
                   struct call_plan **out, char why[PLAN_WHY_SIZE]) MUST_USE;
void call_plan_free(struct call_plan **plan);

#endif
