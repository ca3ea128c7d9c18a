/* tls_certificate.h -- the certificate of a TLS client: what shows who the
** client is. Loop thread only.
*/
#ifndef DM_NET_TLS_CERTIFICATE_H
#define DM_NET_TLS_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

#pragma GCC visibility push(hidden)

enum {
  DM_CERTIFICATE_NAME = 260, /* bytes of a common name, with its NUL */
  DM_SHA1_HEX = 40,
  DM_SHA256_HEX = 64
};

typedef struct dm_certificate {
  bool early, late; /* not valid yet; expired; by real time, as TLS judges */
  bool trusted;     /* valid now, for clients, and of a trusted authority */
  char sha1[DM_SHA1_HEX],
      sha256[DM_SHA256_HEX]; /* of the whole certificate; upper-case hex */
  char name[DM_CERTIFICATE_NAME];
  size_t name_length; /* of the common name; 0: none, several, too long */
} dm_certificate;

/* Is this one of its thumbprints? 40 or 64 hex digits in any case. */
bool dm_certificate_has(const dm_certificate *c, dm_span thumbprint);

/* For tls.c. False: the client has shown no certificate. */
struct ssl_st;
bool dm_certificate_read(struct ssl_st *ssl, dm_certificate *out);

#pragma GCC visibility pop

#endif
