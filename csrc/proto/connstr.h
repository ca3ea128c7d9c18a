/* connstr.h -- connection strings of devices, modules and services. Pure.
** HostName=h;DeviceId=d;SharedAccessKey=k   (docs/protocol.md 4.7)
*/
#ifndef DM_PROTO_CONNSTR_H
#define DM_PROTO_CONNSTR_H

#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum {
  DM_CONNSTR_MAX = 4096,  /* bytes of a connection string */
  DM_CONNSTR_ID_MAX = 128 /* bytes of an id */
};

typedef struct dm_connstr { /* spans borrow from the text; p NULL: absent */
  dm_span host_name;        /* of a device DeviceHostName, of a service
                     ** ServiceHostName, if it is there; else HostName */
  dm_span gateway_host_name;
  dm_span device_id, module_id;
  bool encoded_device, encoded_module; /* the id is percent-encoded: it came as
                                       ** EncodedDeviceId, for it has a ';' */
  dm_span key;       /* SharedAccessKey: valid base64, still encoded */
  dm_span key_name;  /* SharedAccessKeyName */
  dm_span signature; /* SharedAccessSignature: a whole token */
  bool x509;         /* x509=true */
} dm_connstr;

/* Names are case-sensitive. A value begins after the first '='. A final ';' is
** allowed. Errors are DM_PROTOCOL_ERROR and name the field and the rule, never
** a value: an unknown field, a field that is there twice, no '=', an empty
** value, CR, LF, NUL or a byte order mark, a HostName that is missing or has a
** port (GatewayHostName may have one), an invalid id, a key that is not base64,
** more than one of key, signature and x509. */
dm_code dm_connstr_parse(dm_span text, dm_connstr *out, dm_err *e);

#pragma GCC visibility pop

#endif
