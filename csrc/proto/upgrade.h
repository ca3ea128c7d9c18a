/* upgrade.h -- HTTP requests of a client before its own protocol begins, and
** their answers: CONNECT to a proxy (RFC 9110, 9.3.6), and the request for a
** WebSocket (RFC 6455, 4.1). Pure. Writers return false when there is no room.
*/
#ifndef DM_PROTO_UPGRADE_H
#define DM_PROTO_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum {
  DM_UPGRADE_HEAD = 8192, /* bytes of a request's or an answer's head */
  DM_UPGRADE_KEY = 24     /* characters of a WebSocket's key */
};

/* The parts of "http://user:password@host:port"; borrowed. The host is without
** brackets; user p NULL: there is none. */
typedef struct dm_upgrade_proxy {
  dm_span user; /* "user:password", with %XX */
  dm_span host;
  int port;
} dm_upgrade_proxy;

/* False: not such a URL. */
bool dm_upgrade_read_proxy(dm_span url, dm_upgrade_proxy *out);

/* A host and port that stand in the request; an IPv6 address has no
** brackets. */
typedef struct dm_upgrade_target {
  dm_span host;
  int port;
} dm_upgrade_target;

/* CONNECT. 'user' as in dm_upgrade_proxy. */
bool dm_upgrade_write_connect(dm_buf *out, const dm_upgrade_target *to,
                              dm_span user);

/* GET for a WebSocket. 'key': DM_UPGRADE_KEY characters of base64. */
bool dm_upgrade_write_websocket(dm_buf *out, const dm_upgrade_target *to,
                                const char *path, const char *protocol,
                                dm_span key);

/* The value of Sec-WebSocket-Accept that answers a key. */
bool dm_upgrade_write_accept(dm_buf *out, dm_span key);

typedef struct dm_upgrade_answer { /* borrowed; p NULL: no such field */
  size_t size;                     /* bytes of the head; 0: it is incomplete */
  int status;
  dm_span upgrade, connection, accept, protocol, date;
} dm_upgrade_answer;

/* Read the head of the answer at the start of 'bytes'. DM_PROTOCOL_ERROR: it is
** not HTTP; DM_LIMIT_EXCEEDED: it is too long. */
dm_code dm_upgrade_read(dm_span bytes, dm_upgrade_answer *out, dm_err *e);

/* Does this answer open a WebSocket for the key? */
bool dm_upgrade_accepts(const dm_upgrade_answer *a, const char *protocol,
                        dm_span key);

/* "Sun, 06 Nov 1994 08:49:37 GMT" in seconds since 1970; 0: not such a date. */
int64_t dm_upgrade_date(dm_span text);

#pragma GCC visibility pop

#endif
