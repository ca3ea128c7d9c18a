/* tunnel.h -- connects a stream to its server through an HTTP proxy, in a
** WebSocket, or both. Loop thread only.
**
** TCP -> CONNECT to the proxy -> TLS -> request for the WebSocket -> open
**
** The owner connects a stream to dm_tunnel_address (by dm_stream_connect_plain
** if there is a proxy), and passes its on_open and on_data on. Then it sends
** and receives here, as it would at the stream.
*/
#ifndef DM_NET_TUNNEL_H
#define DM_NET_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/stream.h"

#pragma GCC visibility push(hidden)

typedef struct dm_tunnel dm_tunnel;

typedef struct dm_tunnel_options { /* borrowed: dm_tunnel_new copies them */
  const char *host;                /* of the server */
  int port;
  bool tls;          /* from the proxy on */
  const char *proxy; /* "http://user:password@host:port"; NULL: none */
  const char *path;  /* of the WebSocket; NULL: none */
  const char *protocol;
  size_t output;                /* bytes of a message, at most */
  void (*on_open)(void *owner); /* messages may go */
  void (*on_bytes)(void *owner, dm_span bytes); /* they have come */
  void *owner;
} dm_tunnel_options;

/* NULL: the proxy's URL is wrong, or out of memory. */
dm_tunnel *dm_tunnel_new(const dm_tunnel_options *o, dm_err *e);
void dm_tunnel_free(dm_tunnel *t); /* not inside its own calls */

/* The host to connect the stream to. The proxy as "host:port"; "": none. */
const char *dm_tunnel_address(const dm_tunnel *t, uint16_t *port);
const char *dm_tunnel_proxy(const dm_tunnel *t);

/* Call this whenever the stream's on_open comes. */
dm_code dm_tunnel_opened(dm_tunnel *t, dm_stream *s, dm_err *e);

/* Read bytes from the stream. DM_CLOSED: the peer has closed the WebSocket.
** Other codes: *e says why the tunnel is broken; close the stream. */
dm_code dm_tunnel_read(dm_tunnel *t, dm_span bytes, dm_err *e);

/* As dm_stream_output and dm_stream_written. */
dm_buf *dm_tunnel_output(dm_tunnel *t);
bool dm_tunnel_written(dm_tunnel *t, bool complete);

/* Queue the WebSocket's end; the stream stays open. */
void dm_tunnel_close(dm_tunnel *t);

/* The time in the Date field of an answer, in seconds since 1970, and its
** sender ("the proxy" or "the hub"); 0: no answer had one. */
int64_t dm_tunnel_date(const dm_tunnel *t, const char **who);

#pragma GCC visibility pop

#endif
