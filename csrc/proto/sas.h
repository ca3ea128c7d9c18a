/* sas.h -- shared access signatures: sign, parse, verify (docs/protocol.md 4).
** Pure: the caller brings the time. The key and the token never reach a
** message.
*/
#ifndef DM_PROTO_SAS_H
#define DM_PROTO_SAS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum {
  DM_SAS_SKEW_S = 300,     /* a token is good this long past its se (4.5) */
  DM_SAS_TOKEN_MAX = 4096, /* bytes of a token's text */
  DM_SAS_KEY_MAX = 256     /* bytes of a decoded key */
};

/* Add "SharedAccessSignature sr=..&sig=..&se=..[&skn=..]". 'resource' is the
** plain URI ("host/devices/d1"), encoded here; 'key' is base64; policy n 0:
** none. DM_PROTOCOL_ERROR: the key is not base64, empty or too long. */
dm_code dm_sas_sign(dm_buf *out, dm_span resource, dm_span key, int64_t expiry,
                    dm_span policy, dm_err *e);

typedef struct dm_sas { /* spans borrow from the text */
  dm_span resource;     /* sr as received, still encoded: what is hashed */
  dm_span signature;    /* sig as received, still encoded */
  dm_span expiry_text;  /* se as received: what is hashed */
  int64_t expiry;       /* unix seconds */
  dm_span policy;       /* skn, still encoded; p NULL: none */
} dm_sas;

/* DM_UNAUTHORIZED with a reason: wrong scheme, not exactly one blank, field
** missing, twice or unknown, empty sr, se not a number. Any order of fields,
** names in any case. */
dm_code dm_sas_parse(dm_span text, dm_sas *out, dm_err *e);

/* Was the token signed with this base64 key? Constant time in the signature.
** An empty or undecodable key never verifies, and takes the same time. */
bool dm_sas_signed_by(const dm_sas *sas, dm_span key);

bool dm_sas_expired(const dm_sas *sas, int64_t now); /* skew included */

/* Does the token's sr cover the resource of these segments ({"devices", "d1",
** "modules", "m"}, none for the hub itself)? Whole segments, decoded once:
** "h/devices/d1" covers d1 and its modules, never d10. The host compares
** without case against each of 'hosts', the rest with case. */
bool dm_sas_covers(const dm_sas *sas, const dm_span *hosts, int host_count,
                   const dm_span *segments, int segment_count);

#pragma GCC visibility pop

#endif
