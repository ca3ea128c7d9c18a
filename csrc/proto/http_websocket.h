/* http_websocket.h -- checks a request for a WebSocket (RFC 6455, 4.2) and
** makes the fields of the answer. Pure.
*/
#ifndef DM_PROTO_HTTP_WEBSOCKET_H
#define DM_PROTO_HTTP_WEBSOCKET_H

#include "base/buf.h"
#include "proto/http_message.h"

#pragma GCC visibility push(hidden)

enum { DM_HTTP_WEBSOCKET_FIELDS = 512 }; /* bytes that 'fields' needs */

/* Check a request, with any target, for a WebSocket that uses 'protocol'
** (compared without case, and echoed as the caller wrote it). Returns 101, or
** the status to refuse with, and why (static): 400, 405, 426, or 500 when
** 'fields' is too small. In each case the header lines of the answer are added
** to 'fields'. */
int dm_http_websocket(const dm_http_request *r, const char *protocol,
                      dm_buf *fields, const char **why);

#pragma GCC visibility pop

#endif
