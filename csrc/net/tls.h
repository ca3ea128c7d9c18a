/* tls.h -- TLS over buffers: contexts, and one session a stream. Loop thread
** only. OpenSSL reads from a span that it is lent and writes into a buffer; it
** never touches a socket. An idle session holds no record buffers.
**
** TLS 1.2 and 1.3, ECDHE with AEAD ciphers, no compression, no renegotiation,
** session tickets. A server asks clients for a certificate: they need not show
** one, and whichever they show, the handshake goes on.
** A client verifies the server's chain and name unless it is told otherwise.
*/
#ifndef DM_NET_TLS_H
#define DM_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "net/stream.h"
#include "net/tls_certificate.h"

#pragma GCC visibility push(hidden)

typedef struct dm_tls_session dm_tls_session;

typedef enum dm_tls_result {
  DM_TLS_DONE,  /* handshake over, or bytes read */
  DM_TLS_MORE,  /* what was fed is used up */
  DM_TLS_ENDED, /* the peer said good-bye */
  DM_TLS_BROKEN /* *e says why; an alert may stand in the wire buffer */
} dm_tls_result;

enum { DM_TLS_RECORD = 16384 }; /* plain bytes of one record at most */

dm_tls *dm_tls_keep(dm_tls *t); /* one more user; until dm_tls_free */

/* 'wire_limit': bytes that may wait to be sent. NULL: out of memory. */
dm_tls_session *dm_tls_session_new(dm_tls *t, size_t wire_limit);
void dm_tls_session_free(dm_tls_session *s);

/* A client's, before its handshake: the server is asked for this name, and its
** certificate must be for it, if the context verifies. False: no memory. */
bool dm_tls_session_expect(dm_tls_session *s, const char *name);

/* Lend received bytes: they are used up by the calls below and must live until
** these say DM_TLS_MORE or nothing ({NULL, 0}) was lent. */
void dm_tls_feed(dm_tls_session *s, dm_span bytes);

dm_tls_result dm_tls_handshake(dm_tls_session *s, dm_err *e);
dm_tls_result dm_tls_read(dm_tls_session *s, char *plain, size_t size,
                          size_t *n, dm_err *e);

/* Encrypt all of it into the wire buffer. */
bool dm_tls_write(dm_tls_session *s, dm_span plain, dm_err *e);
void dm_tls_goodbye(dm_tls_session *s); /* close_notify into the wire buffer */

/* What the client has shown; false: nothing. */
bool dm_tls_certificate(const dm_tls_session *s, dm_certificate *out);

/* What is to be sent; the stream takes from its front. */
dm_buf *dm_tls_wire(dm_tls_session *s);

#pragma GCC visibility pop

#endif
