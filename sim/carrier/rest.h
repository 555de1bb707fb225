/* rest.h -- the carrier's REST interface: what is answered to whom.
 *
 *   POST   /v1/Account/{id}/Call/               201 "call fired"; queue; 429 when the queue is full
 *   GET    /v1/Account/{id}/Call/               ?status=live|queued, or the call records
 *   GET    /v1/Account/{id}/Call/{uuid}/        one call, live, queued or over
 *   DELETE /v1/Account/{id}/Call/{uuid}/        hang up; 404 when it is over
 *   DELETE /v1/Account/{id}/Request/{uuid}/     cancel
 *   GET    /v1/Account/{id}/Recording/{id}/     one recording
 *   GET    /v1/Account/{id}/                    the account
 *   GET    /sim/recordings/{file}               the recording itself
 *
 * Every answer carries a Date header. Credentials: Basic, id and token; 401 as text otherwise.
 *
 * Owner   handlers own nothing.
 * Thread  the loop's.
 * Source  protocols sheet of the carrier, section 1. */
#ifndef SIM_CARRIER_REST_H
#define SIM_CARRIER_REST_H

#include "net/http_server.h"

http_handler_fn rest_account;
http_handler_fn rest_call_post;
http_handler_fn rest_call_list;
http_handler_fn rest_call_get;
http_handler_fn rest_call_delete;
http_handler_fn rest_request_delete;
http_handler_fn rest_recording_get;
http_handler_fn rest_recording_file;

#endif
