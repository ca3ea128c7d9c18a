/* sas.h -- shared access signatures: sign, parse, verify (docs/protocol.md 4).
** Pure: the caller gives the time. Keys and tokens never reach a message.
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
  DM_SAS_SKEW_S = 300, /* a token is accepted this long after its se (4.5) */
  DM_SAS_TOKEN_MAX = 4096, /* bytes of a token, at most */
  DM_SAS_KEY_MAX = 256     /* bytes of a decoded key, at most */
};

/* Add "SharedAccessSignature sr=..&sig=..&se=..[&skn=..]". 'resource' is the
** plain URI ("host/devices/d1"), which is encoded here. 'key' is base64.
** 'policy' n 0: none. DM_PROTOCOL_ERROR: the key is not base64, empty or too
** long. */
dm_code dm_sas_sign(dm_buf *out, dm_span resource, dm_span key, int64_t expiry,
                    dm_span policy, dm_err *e);

typedef struct dm_sas { /* spans borrow from the text */
  dm_span resource;     /* sr as received, still encoded; it is hashed so */
  dm_span signature;    /* sig as received, still encoded */
  dm_span expiry_text;  /* se as received; it is hashed so */
  int64_t expiry;       /* unix seconds */
  dm_span policy;       /* skn, still encoded; p NULL: none */
} dm_sas;

/* DM_UNAUTHORIZED, and the message says why: wrong scheme, not exactly one
** blank, a field that is missing, unknown or there twice, an empty sr, or an
** se that is not a number. The fields may have any order and their names any
** case. */
dm_code dm_sas_parse(dm_span text, dm_sas *out, dm_err *e);

/* Was the token signed with this base64 key? The time does not depend on the
** signature. An empty or invalid key never matches, and takes the same time. */
bool dm_sas_signed_by(const dm_sas *sas, dm_span key);

bool dm_sas_expired(const dm_sas *sas, int64_t now); /* with the skew */

/* Does the token's sr cover the resource with these segments ({"devices", "d1",
** "modules", "m"}; none for the hub itself)? Whole segments are compared,
** decoded once: "h/devices/d1" covers d1 and its modules, and not d10. The host
** is compared with each of 'hosts' without case, the rest with case. */
bool dm_sas_covers(const dm_sas *sas, const dm_span *hosts, int host_count,
                   const dm_span *segments, int segment_count);

#pragma GCC visibility pop

#endif
