/* websocket.h -- WebSocket frames (RFC 6455) on a stream, for clients and
** servers. Loop thread only.
**
** Only binary messages, no extensions. Message boundaries are ignored: the
** messages carry one stream of bytes, which is passed on in pieces as it
** arrives, so that a frame of any size needs no buffer. Pings are answered. A
** peer that breaks a rule gets a Close frame with the code for it.
*/
#ifndef DM_NET_WEBSOCKET_H
#define DM_NET_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"
#include "net/stream.h"

#pragma GCC visibility push(hidden)

typedef struct dm_websocket dm_websocket;

/* The code of a Close frame. */
typedef enum dm_websocket_code {
  DM_WEBSOCKET_NONE = 0, /* the frame is empty */
  DM_WEBSOCKET_NORMAL = 1000,
  DM_WEBSOCKET_GOING_AWAY = 1001,
  DM_WEBSOCKET_PROTOCOL = 1002,
  DM_WEBSOCKET_UNSUPPORTED = 1003, /* a text message */
  DM_WEBSOCKET_NOT_TEXT = 1007,    /* a reason that is not UTF-8 */
  DM_WEBSOCKET_POLICY = 1008,
  DM_WEBSOCKET_TOO_BIG = 1009
} dm_websocket_code;

/* The side that we are: a client masks its frames, a server does not. */
typedef enum dm_websocket_role {
  DM_WEBSOCKET_SERVER,
  DM_WEBSOCKET_CLIENT
} dm_websocket_role;

/* On a stream whose handshake is done. 'message_size': the most bytes of a
** message, in one or several frames. NULL: out of memory. */
dm_websocket *dm_websocket_new(dm_stream *s, dm_websocket_role role,
                               size_t message_size);
void dm_websocket_free(dm_websocket *w);

/* Read bytes of the stream. 'on_bytes' gets the content of messages; it may
** send and close, but not free. DM_OK: go on; DM_CLOSED: the peer has closed
** and was answered; DM_PROTOCOL_ERROR, DM_LIMIT_EXCEEDED: *e says which rule
** was broken, and a Close frame is queued. */
dm_code dm_websocket_read(dm_websocket *w, dm_span bytes,
                          void (*on_bytes)(void *owner, dm_span piece),
                          void *owner, dm_err *e);

/* Queue one binary message. False: the stream is closed or closing. */
bool dm_websocket_send(dm_websocket *w, dm_span message);

/* Queue a Close frame; after it nothing is read or sent. A second call does
** nothing. The stream stays open. */
void dm_websocket_close(dm_websocket *w, dm_websocket_code code);

#pragma GCC visibility pop

#endif
