/* plivo.c -- the carrier's constant: which function does what. */
#include "carrier/plivo/op.h"
#include "carrier/plivo/rest.h"
#include "carrier/plivo/search.h"
#include "carrier/plivo/signature.h"
#include "carrier/plivo/stream.h"
#include "carrier/plivo/webhook.h"
#include "carrier/plivo/xml.h"

const struct carrier carrier_plivo = {
    .name = "plivo",
    .place_start = plivo_place_start,
    .hangup_start = plivo_hangup_start,
    .search_start = plivo_search_start,
    .check_start = plivo_check_start,
    .cancel = plivo_cancel,
    .verify = plivo_verify,
    .verify_upgrade = plivo_verify_upgrade,
    .event_read = plivo_event_read,
    .instruct = plivo_instruct,
    .instruct_type = PLIVO_XML_TYPE,
    .frame_read = plivo_frame_read,
    .play_head = {PLIVO_PLAY_HEAD, sizeof PLIVO_PLAY_HEAD - 1},
    .play_tail = {PLIVO_PLAY_TAIL, sizeof PLIVO_PLAY_TAIL - 1},
    .checkpoint_write = plivo_checkpoint_write,
    .clear_write = plivo_clear_write,
    .dtmf_write = plivo_dtmf_write,
};
