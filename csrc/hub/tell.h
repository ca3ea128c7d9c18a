/* tell.h -- reports events of devices: each event is kept, logged, and sent to
** the control plane if that watches. All such events are made here. Loop thread
** only. A detail must not contain a key or a token. Texts of strangers are made
** printable and cut.
*/
#ifndef DM_HUB_TELL_H
#define DM_HUB_TELL_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

enum { DM_PEER_MAX = 64 }; /* bytes of an address with its port, and NUL */

/* What has happened. Zeroed members are not known. */
typedef struct dm_news {
  dm_device_event_kind kind;
  dm_why why;
  int code;               /* CONNACK's or HTTP's; 0: none */
  dm_span device, module; /* as they were received */
  dm_span policy;         /* the policy that was refused, if no identity was */
  dm_span detail;         /* for the text of 'why' */
  const char *address;
} dm_news;

void dm_tell(dm_hub *h, const dm_news *news);

/* The session's CONNECT was refused with this CONNACK, after its identity was
** recognised. */
void dm_tell_session_refused(const dm_session *s, int code, dm_why why);

/* Report an event of this connection's identity. */
void dm_tell_session(const dm_session *s, dm_device_event_kind kind, dm_why why,
                     dm_span detail);

/* A request was refused with 400 or 401. 'grant' NULL: its token is not the
** reason. */
void dm_tell_request(const dm_exchange *x, int status, const dm_grant *grant,
                     dm_span detail);

/* A connection that ended before its first byte: the TLS handshake has failed,
** or nothing followed it (DM_OK, DM_CLOSED). */
dm_news dm_tell_unused(const dm_err *why);

/* "2026-11-30T14:40:00Z", for a detail. */
enum { DM_TELL_DATE = 32 };
dm_span dm_tell_date(char memory[DM_TELL_DATE], int64_t seconds);

#pragma GCC visibility pop

#endif
