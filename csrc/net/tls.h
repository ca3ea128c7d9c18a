/* tls.h -- TLS over buffers: contexts, and a session for each stream. Loop
** thread only. OpenSSL reads from a span that is lent to it and writes into a
** buffer; it never uses a socket. An idle session has no record buffers.
**
** TLS 1.2 and 1.3, ECDHE with AEAD ciphers, no compression, no renegotiation,
** session tickets. A server asks clients for a certificate. They need not show
** one, and the handshake goes on with any certificate. A client verifies the
** server's chain and name unless it is told not to.
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
  DM_TLS_DONE,  /* the handshake is done, or bytes were read */
  DM_TLS_MORE,  /* all fed bytes are used; more are needed */
  DM_TLS_ENDED, /* the peer has sent close_notify */
  DM_TLS_BROKEN /* *e says why; the wire buffer may have an alert */
} dm_tls_result;

enum { DM_TLS_RECORD = 16384 }; /* plain bytes of one record, at most */

dm_tls *dm_tls_keep(dm_tls *t); /* add a user; each calls dm_tls_free */

/* 'wire_limit': bytes that may wait to be sent. NULL: out of memory. */
dm_tls_session *dm_tls_session_new(dm_tls *t, size_t wire_limit);
void dm_tls_session_free(dm_tls_session *s);

/* For a client, before its handshake: ask the server for this name. If the
** context verifies, the certificate must be valid for it. False: out of
** memory. */
bool dm_tls_session_expect(dm_tls_session *s, const char *name);

/* Lend received bytes to the session. The calls below use them. They must stay
** valid until a call returns DM_TLS_MORE, or until an empty span is lent. */
void dm_tls_feed(dm_tls_session *s, dm_span bytes);

dm_tls_result dm_tls_handshake(dm_tls_session *s, dm_err *e);
dm_tls_result dm_tls_read(dm_tls_session *s, char *plain, size_t size,
                          size_t *n, dm_err *e);

/* Encrypt all bytes into the wire buffer. */
bool dm_tls_write(dm_tls_session *s, dm_span plain, dm_err *e);
void dm_tls_goodbye(dm_tls_session *s); /* write close_notify */

/* The certificate of the client; false: it has shown none. */
bool dm_tls_certificate(const dm_tls_session *s, dm_certificate *out);

/* The bytes to send; the stream removes them from the front. */
dm_buf *dm_tls_wire(dm_tls_session *s);

#pragma GCC visibility pop

#endif
