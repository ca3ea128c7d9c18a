/* tls_certificate.h -- the certificate that a TLS client has shown, as far as
** it tells who the client is. Loop thread only.
*/
#ifndef DM_NET_TLS_CERTIFICATE_H
#define DM_NET_TLS_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

#pragma GCC visibility push(hidden)

enum {
  DM_CERTIFICATE_NAME = 260, /* bytes of a common name, with a NUL */
  DM_SHA1_HEX = 40,
  DM_SHA256_HEX = 64
};

typedef struct dm_certificate {
  bool trusted; /* valid now, for a client, by an authority the server trusts */
  char sha1[DM_SHA1_HEX], sha256[DM_SHA256_HEX]; /* of it all; upper-case hex */
  char name[DM_CERTIFICATE_NAME];
  size_t name_length; /* of its common name; 0: none, several, or too long */
} dm_certificate;

/* Is this one of its thumbprints: 40 or 64 hex digits in any case? */
bool dm_certificate_has(const dm_certificate *c, dm_span thumbprint);

/* For tls.c. False: the client has shown none. */
struct ssl_st;
bool dm_certificate_read(struct ssl_st *ssl, dm_certificate *out);

#pragma GCC visibility pop

#endif
