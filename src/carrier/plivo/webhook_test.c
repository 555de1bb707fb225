#include "carrier/plivo/webhook.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define UUID "64d3290a-87a6-46b4-a6e2-20f5f4e07a02"

/* Captured traffic of 2024, numbers replaced. */
#define ANSWERED_HANGUP                                                                            \
    "ALegRequestUUID=" UUID "&ALegUUID=" UUID                                                      \
    "&AnswerTime=2024-09-26+14%3A05%3A20&BillDuration=120&BillRate=0.00500&CallStatus=completed"   \
    "&CallUUID=" UUID "&Direction=outbound&Duration=66&EndTime=2024-09-26+14%3A06%3A26"            \
    "&Event=Hangup&From=%2B14155550100&HangupCause=NORMAL_CLEARING&HangupCauseCode=4000"           \
    "&HangupCauseName=Normal+Hangup&HangupSource=Callee&ParentAuthID=MAXXXX&RequestUUID=" UUID     \
    "&STIRAttestation=Not+Applicable&STIRVerification=Not+Applicable"                              \
    "&SessionStart=2024-09-26+08%3A35%3A10.910772&StartTime=2024-09-26+14%3A05%3A08"               \
    "&To=14155550123&TotalCost=0.01000"

static void read_ok(const char *kind, const char *body, struct carrier_event *ev)
{
    int err = plivo_event_read(str_of(kind), str_of(body), ev);
    cr_assert_eq(err, 0, "%s: %d", body, err);
}

static int read_err(const char *kind, const char *body)
{
    struct carrier_event ev = {.payload = NULL};
    int err = plivo_event_read(str_of(kind), str_of(body), &ev);
    carrier_event_fini(&ev);
    return err;
}

static int64_t at(const char *utc)
{
    int64_t us = 0;
    cr_assert_eq(clock_parse(str_of(utc), &us), 0);
    return us;
}

Test(webhook, answered_hangup)
{
    OWNED(carrier_event_fini) struct carrier_event ev;
    read_ok("hangup", ANSWERED_HANGUP, &ev);
    cr_assert_eq(ev.kind, CARRIER_EVENT_HANGUP);
    cr_assert_str_eq(ev.key, UUID);
    cr_assert_str_eq(ev.call_id, UUID);
    cr_assert_str_eq(ev.request_id, UUID);
    cr_assert_str_eq(ev.carrier_status, "completed");
    cr_assert_str_eq(ev.from_e164, "+14155550100");
    cr_assert_str_eq(ev.to_e164, "+14155550123");
    cr_assert_str_eq(ev.cause, "NORMAL_CLEARING");
    cr_assert_eq(ev.cause_code, 4000);
    cr_assert_str_eq(ev.source, "Callee");
    /* The console of that account was at +05:30. */
    cr_assert_eq(ev.answered_us, at("2024-09-26 08:35:20"));
    cr_assert_eq(ev.ended_us, at("2024-09-26 08:36:26"));
    cr_assert_eq(ev.duration_s, 66);
    cr_assert_eq(ev.billed_s, 120);
    cr_assert_eq(ev.cost_micros, 10000);
    cr_assert_str_eq(ev.outcome, "answered");
    cr_assert_str_eq(ev.disconnect_reason, "caller_hangup");
    cr_assert_eq(json_object_size(ev.payload), 24);
    cr_assert(str_eq(json_get_str(ev.payload, "HangupCauseName"), STR("Normal Hangup")));
}

Test(webhook, busy_hangup)
{
    OWNED(carrier_event_fini) struct carrier_event ev;
    read_ok("hangup",
            "AnswerTime=&BillDuration=0&Duration=0&CallStatus=busy&HangupCause=USER_BUSY"
            "&HangupCauseCode=3010&HangupCauseName=Busy+Line&HangupSource=Carrier"
            "&TotalCost=0.00000&CallUUID=" UUID "&EndTime=2024-09-26+14%3A05%3A20",
            &ev);
    cr_assert_str_eq(ev.outcome, "busy");
    cr_assert_str_eq(ev.disconnect_reason, "busy");
    cr_assert_eq(ev.answered_us, 0);
    cr_assert_eq(ev.duration_s, 0);
}

Test(webhook, zones_of_the_console)
{
    static const struct {
        const char *session;
        const char *start;
        const char *answer;
        const char *utc;
    } rows[] = {
        {"2026-11-22+10:00:00.5", "2026-11-22+10:00:02", "2026-11-22+10:00:09",
         "2026-11-22 10:00:09"},
        {"2026-11-22+10:00:00.5", "2026-11-22+02:00:02", "2026-11-22+02:00:09",
         "2026-11-22 10:00:09"},
        {"2026-11-22+10:00:00.5", "2026-11-22+15:45:02", "2026-11-22+15:45:09",
         "2026-11-22 10:00:09"},
        {"2026-11-22+23:59:59.9", "2026-11-23+12:59:57", "2026-11-23+13:00:09",
         "2026-11-23 00:00:09"},
        {"2026-11-22+10:00:00.5", "2026-11-22+10:00:02", "2026-11-22+12:00:09%2B02:00",
         "2026-11-22 10:00:09"},
        {"", "2026-11-22+10:00:02", "2026-11-22+10:00:09", "2026-11-22 10:00:09"},
        {"2026-11-22+10:00:00", "2026-11-29+10:00:00", "2026-11-22+10:00:09",
         "2026-11-22 10:00:09"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED(buf_fini) struct buf body;
        OWNED(carrier_event_fini) struct carrier_event ev;
        buf_init(&body, 1024);
        buf_addf(&body, "CallUUID=a&SessionStart=%s&StartTime=%s&AnswerTime=%s", rows[i].session,
                 rows[i].start, rows[i].answer);
        read_ok("hangup", buf_cstr(&body), &ev);
        cr_expect_eq(ev.answered_us, at(rows[i].utc), "row %zu", i);
    }
}

Test(webhook, an_answer_without_its_time_is_still_one)
{
    OWNED(carrier_event_fini) struct carrier_event ev;
    read_ok("hangup", "CallUUID=a&Duration=10&EndTime=2026-11-22+10:00:10&HangupCauseCode=4000",
            &ev);
    cr_assert_str_eq(ev.outcome, "answered");
    cr_assert_eq(ev.answered_us, at("2026-11-22 10:00:00"));
}

Test(webhook, each_kind_has_its_key)
{
    static const struct {
        const char *kind;
        const char *body;
        const char *key;
    } rows[] = {
        {"ring", "Event=Ring&CallUUID=c1&CallStatus=ringing", "c1"},
        {"answer", "Event=StartApp&CallUUID=c1&CallStatus=in-progress", "c1"},
        {"hangup", "Event=Hangup&CallUUID=c1", "c1"},
        {"machine", "Event=MachineDetection&Machine=true&CallUUID=c1", "c1"},
        {"recording", "RecordingID=r1&RecordUrl=https://x/r1.wav&CallUUID=c1", "r1"},
        {"stream", "Event=StartStream&StreamID=s1&CallUUID=c1", "s1:StartStream"},
        {"stream", "Event=PlayedStream&StreamID=s1&CallUUID=c1&Name=cp-1", "s1:PlayedStream:cp-1"},
        {"stream", "Event=started&CallUUID=c1", "c1:started"},
        {"after", "CallUUID=c1", "c1"},
        {"fallback", "Event=StartApp&CallUUID=c1", "c1"},
        {"agent-whisper", "CallUUID=c2", "c2"},
        {"agent-action", "CallUUID=c1&DialStatus=completed&DialBLegUUID=b1", "c1:b1:completed"},
        {"agent-action", "CallUUID=c1&DialStatus=no-answer&DialBLegUUID=", "c1:no-answer"},
        {"agent-event", "CallUUID=c1&DialAction=answer&DialBLegUUID=b1", "b1:answer"},
        {"agent-event", "CallUUID=c1&Event=DialConnected&DialBLegUUID=b1", "b1:DialConnected"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED(carrier_event_fini) struct carrier_event ev;
        read_ok(rows[i].kind, rows[i].body, &ev);
        cr_expect_str_eq(ev.key, rows[i].key, "%s: %s", rows[i].body, ev.key);
        cr_expect_str_eq(plivo_kind_name(ev.kind), rows[i].kind);
    }
}

Test(webhook, agent_legs)
{
    static const struct {
        const char *kind;
        const char *body;
        const char *state; /* NULL: none */
    } rows[] = {
        {"agent-action", "CallUUID=c1&DialStatus=completed", "ended"},
        {"agent-action", "CallUUID=c1&DialStatus=busy", "declined"},
        {"agent-action", "CallUUID=c1&DialStatus=no-answer", "no_answer"},
        {"agent-action", "CallUUID=c1&DialStatus=timeout", "no_answer"},
        {"agent-action", "CallUUID=c1&DialStatus=cancel", "no_answer"},
        {"agent-action", "CallUUID=c1&DialStatus=failed", "failed"},
        {"agent-action", "CallUUID=c1", "failed"},
        {"agent-action",
         "CallUUID=c1&DialStatus=completed&DialHangupCause=Confirm+Key+Challenge+Failed",
         "declined"},
        {"agent-event", "CallUUID=c1&DialAction=answer", "answered"},
        {"agent-event", "CallUUID=c1&DialAction=connected&Event=DialConnected", "bridged"},
        {"agent-event", "CallUUID=c1&DialAction=hangup", "ended"},
        {"agent-event", "CallUUID=c1&DialAction=hangup&DialBLegHangupCauseCode=9110", "declined"},
        {"agent-event", "CallUUID=c1&Event=DialHangup", "ended"},
        {"agent-event", "CallUUID=c1&DialAction=digits&DialDigitsMatch=1", NULL},
        {"agent-whisper", "CallUUID=c1", "answered"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        OWNED(carrier_event_fini) struct carrier_event ev;
        read_ok(rows[i].kind, rows[i].body, &ev);
        if (rows[i].state == NULL) {
            cr_expect_null(ev.leg_state, "%s", rows[i].body);
        } else {
            cr_expect_str_eq(ev.leg_state, rows[i].state, "%s", rows[i].body);
        }
    }
    OWNED(carrier_event_fini) struct carrier_event ev;
    read_ok("agent-event", "CallUUID=c1&DialAction=hangup&DialBLegUUID=b1&DialBLegDuration=42",
            &ev);
    cr_assert_str_eq(ev.leg_call_id, "b1");
    cr_assert_eq(ev.leg_duration_s, 42);
}

Test(webhook, recordings_in_every_form)
{
    static const char *const bodies[] = {
        "RecordingID=r1&RecordUrl=https%3A%2F%2Fmedia.example.com%2Fr1.wav&RecordingDurationMs=5000"
        "&CallUUID=c1",
        "recording_id=r1&record_url=https%3A%2F%2Fmedia.example.com%2Fr1.wav"
        "&recording_duration_ms=5000.00000&call_uuid=c1",
        "response=%7B%22recording_id%22%3A%22r1%22%2C%22record_url%22%3A%22https%3A%2F%2F"
        "media.example.com%2Fr1.wav%22%2C%22recording_duration_ms%22%3A%225000%22%2C"
        "%22call_uuid%22%3A%22c1%22%7D",
        "response=%7B%22recording_id%22%3A%22r1%22%2C%22record_url%22%3A%22https%3A%2F%2F"
        "media.example.com%2Fr1.wav%22%2C%22recording_duration_ms%22%3A5000%2C"
        "%22call_uuid%22%3A%22c1%22%7D",
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        OWNED(carrier_event_fini) struct carrier_event ev;
        read_ok("recording", bodies[i], &ev);
        cr_expect_str_eq(ev.recording_id, "r1", "row %zu", i);
        cr_expect_str_eq(ev.recording_url, "https://media.example.com/r1.wav");
        cr_expect_eq(ev.recording_ms, 5000);
        cr_expect_str_eq(ev.call_id, "c1");
    }
    OWNED(carrier_event_fini) struct carrier_event ev;
    read_ok("recording", "RecordingID=r1&RecordUrl=u&RecordingDurationMs=-1", &ev);
    cr_assert_eq(ev.recording_ms, 0);
}

Test(webhook, machine)
{
    OWNED(carrier_event_fini) struct carrier_event ev;
    read_ok("machine", "Event=MachineDetection&Machine=true&CallUUID=c1", &ev);
    cr_assert(ev.machine);
}

Test(webhook, refuses)
{
    static const struct {
        const char *kind;
        const char *body;
    } rows[] = {
        {"unknown", "CallUUID=c1"},
        {"", "CallUUID=c1"},
        {"answer", ""},
        {"answer", "Event=StartApp"},
        {"answer", "Event=Hangup&CallUUID=c1"},
        {"hangup", "Event=StartApp&CallUUID=c1"},
        {"answer", "CallUUID=c1&CallUUID=c2"},
        {"answer", "CallUUID=c1&X=1&X=2"},
        {"answer", "CallUUID=../x"},
        {"answer", "CallUUID=c1&RequestUUID=a%20b"},
        {"answer", "CallUUID=%"},
        {"answer", "CallUUID=c1&X=%00"},
        {"answer",
         "CallUUID="
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"recording", "CallUUID=c1"},
        {"recording", "RecordUrl=u&CallUUID=c1"},
        {"recording", "response=%7B"},
        {"recording", "response=%5B%5D"},
        {"stream", "CallUUID=c1"},
        {"agent-event", "CallUUID=c1"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        cr_expect_eq(read_err(rows[i].kind, rows[i].body), -EINVAL, "%s %s", rows[i].kind,
                     rows[i].body);
    }
}

Test(webhook, the_same_twice_is_no_contradiction)
{
    OWNED(carrier_event_fini) struct carrier_event ev;
    read_ok("ring", "CallUUID=c1&From=1&From=1", &ev);
    cr_assert_str_eq(ev.call_id, "c1");
}

Test(webhook, too_many_fields)
{
    OWNED(buf_fini) struct buf body;
    buf_init(&body, 65536);
    buf_add_cstr(&body, "CallUUID=c1");
    for (int i = 0; i < 200; i++) {
        buf_addf(&body, "&f%d=1", i);
    }
    struct carrier_event ev;
    cr_assert_eq(plivo_event_read(STR("ring"), buf_str(&body), &ev), -EMSGSIZE);
}

Test(webhook, absurd_numbers_are_nothing)
{
    OWNED(carrier_event_fini) struct carrier_event ev;
    read_ok("hangup",
            "CallUUID=c1&Duration=99999999999999&BillDuration=-5&TotalCost=nan&HangupCauseCode=1e9"
            "&AnswerTime=yesterday&EndTime=0",
            &ev);
    cr_assert_eq(ev.duration_s, INT32_MAX);
    cr_assert_eq(ev.billed_s, 0);
    cr_assert_eq(ev.cost_micros, 0);
    cr_assert_eq(ev.cause_code, -1);
    cr_assert_eq(ev.ended_us, 0);
}
