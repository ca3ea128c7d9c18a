/* connstr.h -- connection strings of devices, modules and services. Pure.
** HostName=h;DeviceId=d;SharedAccessKey=k        (docs/protocol.md 4.7)
*/
#ifndef DM_PROTO_CONNSTR_H
#define DM_PROTO_CONNSTR_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum { DM_CONNSTR_MAX = 4096 }; /* bytes of a connection string */

typedef struct dm_connstr { /* spans borrow from the text; p NULL: absent */
  dm_span host_name, gateway_host_name;
  dm_span device_id, module_id;
  dm_span key;       /* SharedAccessKey: valid base64, still encoded */
  dm_span key_name;  /* SharedAccessKeyName */
  dm_span signature; /* SharedAccessSignature: a whole token */
  bool x509;         /* x509=true */
} dm_connstr;

/* Names are case-sensitive, values are split at the first '=', one trailing ';'
** is allowed. Errors (DM_PROTOCOL_ERROR) name the field and the rule, never a
** value: unknown or duplicate field, no '=', empty value, CR, LF, NUL or BOM,
** HostName missing or with a port (GatewayHostName may have one), ids that are
** none, a key that is not base64, more than one of key, signature and x509. */
dm_code dm_connstr_parse(dm_span text, dm_connstr *out, dm_err *e);

#pragma GCC visibility pop

#endif
