#include "sim_limits.h"

void sim_limits_default(struct sim_limits *l)
{
    *l = (struct sim_limits){
        .calls_per_second = 20,
        .queue_ms_max = 5000,
        .ring_delay_ms = 300,
        .ring_ms_min = 300,
        .ring_ms_max = 1500,
        .no_answer_ms = 4000,
        .record_lag_ms = 1000,
        .post_ms_max = 500,
        .machine_ms = 1200,
        .console_offset_min = 330,
    };
}

int64_t sim_limits_horizon_ms(const struct sim_limits *l)
{
    return l->post_ms_max + l->queue_ms_max + l->ring_delay_ms + l->no_answer_ms + l->record_lag_ms;
}

json_t *sim_limits_json(const struct sim_limits *l)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "calls_per_second",
        (json_int_t)l->calls_per_second, "queue_delay_max_ms", (json_int_t)l->queue_ms_max,
        "ring_delay_max_ms", (json_int_t)l->ring_delay_ms, "answer_after_max_ms",
        (json_int_t)l->ring_ms_max, "no_answer_after_ms", (json_int_t)l->no_answer_ms, "cdr_lag_ms",
        (json_int_t)l->record_lag_ms, "post_answer_max_ms", (json_int_t)l->post_ms_max,
        "machine_detection_ms", (json_int_t)l->machine_ms, "console_offset_min",
        (json_int_t)l->console_offset_min, "horizon_ms", (json_int_t)sim_limits_horizon_ms(l));
}
