/* stream_state.h -- a stream, and what its two files share. Loop thread only.
** No other file includes it.
**
**   stream     functions for owners and groups
**   stream_io  polling, sending, receiving, TLS, the end
*/
#ifndef DM_NET_STREAM_STATE_H
#define DM_NET_STREAM_STATE_H

#include "net/socket.h"
#include "net/stream_group.h"
#include "net/tls.h"

#pragma GCC visibility push(hidden)

typedef enum dm_stream_state {
  DM_STREAM_CONNECTING, /* TCP connects to a server */
  DM_STREAM_HANDSHAKE,  /* TLS */
  DM_STREAM_OPEN,       /* on_open was called */
  DM_STREAM_DRAINING,   /* we close; queued bytes go out first */
  DM_STREAM_LINGERING,  /* our side is shut; the peer may read the rest */
  DM_STREAM_CLOSED      /* the handle is closing; on_close follows */
} dm_stream_state;

enum {
  DM_STREAM_WIRE_EXTRA = 128 * 1024
}; /* bytes of a handshake, and those that records add */

struct dm_stream {
  uv_poll_t poll;
  dm_stream_group *group;
  const dm_stream_events *events; /* static */
  void *owner;                    /* borrowed; NULL: refused, gets no events */
  dm_list node, dirty;            /* in lists of the group */
  dm_timer timer;                 /* for connecting, writing or lingering */
  dm_buf out;            /* plain bytes to send; borrowed from the group */
  dm_tls_session *tls;   /* owned; NULL: plain */
  dm_tls_session *later; /* owned; for dm_stream_secure; NULL: none */
  dm_err *why;           /* owned; NULL: closed in good order */
  int fd;                /* -1: closed */
  int watched;           /* uv's events */
  int drained;           /* bytes thrown away after dm_stream_close */
  dm_peer peer;          /* once it is connected */
  uint8_t state;
  bool paused, blocked, peer_ended, said_goodbye, await_drain;
  bool accepted;  /* the peer has connected to us */
  bool heard;     /* it has sent something of a TLS handshake */
  bool held;      /* paused: the peer's end is handled later */
  bool held_back; /* the peer's end is waiting for that */
  bool leaving;   /* tell the owner the end when this turn ends */
};

/* Close the handle; on_close follows. The first reason is kept. */
void dm_stream_end(dm_stream *s, const dm_err *why);
void dm_stream_keep_why(dm_stream *s, const dm_err *why);
void dm_stream_peer_ended(dm_stream *s);

void dm_stream_watch(dm_stream *s); /* poll for what is wanted now */
void dm_stream_limit(dm_stream *s, int64_t ms); /* 0: no limit */
void dm_stream_on_due(dm_timer *timer);         /* the limit has passed */

void dm_stream_flush_soon(dm_stream *s); /* at the end of this turn */
void dm_stream_flush_now(dm_stream *s);
void dm_stream_begin_tls(dm_stream *s); /* TCP, or a proxy, has connected */

#pragma GCC visibility pop

#endif
