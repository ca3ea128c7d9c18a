/* http_websocket.h -- the request that asks for a WebSocket (RFC 6455, 4.2),
** and what it is answered with. Pure.
*/
#ifndef DM_PROTO_HTTP_WEBSOCKET_H
#define DM_PROTO_HTTP_WEBSOCKET_H

#include "base/buf.h"
#include "proto/http_message.h"

#pragma GCC visibility push(hidden)

enum { DM_HTTP_WEBSOCKET_FIELDS = 512 }; /* room that 'fields' needs */

/* Judge a request, whatever its target, for a WebSocket that speaks 'protocol'
** (compared without case, and echoed as it was offered). Returns 101, or the
** status to refuse with and why (static): 400, 405, 426, or 500 when 'fields'
** is too small. In each case the answer's header lines are added to it. */
int dm_http_websocket(const dm_http_request *r, const char *protocol,
                      dm_buf *fields, const char **why);

#pragma GCC visibility pop

#endif
