/* settle.h -- counts the I/O that this process still waits for, so that
** dm.advance moves the clock only when nothing is on its way
** (docs/architecture.md, Time). Loop thread only.
**
** An operation opens a token and says how many of its steps are outstanding.
** Both ends of a connection may be in this process. Then the other end finds
** the token by a text that its peer sends (the Request-Id of an HTTP request,
** the DeviceClientType of an MQTT user name). It sets the count to 0 while it
** waits on the contract clock, and raises it again afterwards. A token of
** another process is not found, and nothing changes.
**
**   service sends a request        open, set 1
**   hub of this process parks it   set 0    hub answers it   set 1
**   service has the answer         close
**
**   device connects                open, set 1     subscribed   set 0
**   hub publishes a call to it     change +1       its task waits or ends   -1
**   device sends an answer         change +1       hub took it              -1
**   connection is gone             set 0
*/
#ifndef DM_NET_SETTLE_H
#define DM_NET_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum { DM_SETTLE_TEXT = 37 }; /* a token as text: a GUID and its NUL */

typedef struct dm_settle {
  dm_ids tokens;
  uint64_t tag;     /* random: marks the tokens of this loop */
  long outstanding; /* sum over all tokens */
} dm_settle;

void dm_settle_init(dm_settle *s, uint64_t tag);
void dm_settle_free(dm_settle *s);

uint64_t dm_settle_open(dm_settle *s); /* 0: out of memory; it counts nothing */
void dm_settle_set(dm_settle *s, uint64_t token, long n);
void dm_settle_change(dm_settle *s, uint64_t token, long by); /* not below 0 */
void dm_settle_close(dm_settle *s,
                     uint64_t token); /* 0 or unknown: does nothing */

/* Note that the other end is in this process and takes part in the count. */
void dm_settle_attach(dm_settle *s, uint64_t token, bool attached);
bool dm_settle_attached(const dm_settle *s, uint64_t token);

/* Write the token as a GUID in lower case, and find it by that text; 0: not a
** token of this loop. */
void dm_settle_write(const dm_settle *s, uint64_t token,
                     char text[DM_SETTLE_TEXT]);
uint64_t dm_settle_find(const dm_settle *s, dm_span text);

#pragma GCC visibility pop

#endif
