/* meter.h -- the quota, the rate of connections, and failed log-ins by source
** address: asked and charged here, enforced by the callers. Loop thread only.
** The other rates of a tier: control.c (twins, registry, queries, jobs),
** dispatch.c (method calls), telemetry.c (messages of devices). Their numbers
** are in throttle.c.
**
** A failed log-in is a CONNECT that is not authorised, or an HTTP request whose
** token is not good.
*/
#ifndef DM_HUB_METER_H
#define DM_HUB_METER_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* The first three are for hubs that have a tier. */

bool dm_meter_has_quota(dm_hub *h); /* false: the day's messages are used up */
bool dm_meter_connect(dm_hub *h);   /* false: too many devices connect */
void dm_meter_charge(dm_hub *h, size_t bytes); /* a payload to the quota */

/* Send Retry-After with the error of this request, if the option allows it. */
void dm_meter_retry_after(dm_exchange *x, int64_t ms);

/* Is there any source that failed too often and still waits? */
static inline bool dm_meter_refuses_any(const dm_hub *h) {
  return h->logins.until != 0 && dm_hub_now(h) < h->logins.until;
}

/* False: the source failed too often; refuse it without reading more. */
bool dm_meter_caller(dm_exchange *x);
bool dm_meter_device(const dm_hub_listener *l, uint64_t connection);

void dm_meter_caller_failed(const dm_exchange *x);
void dm_meter_device_failed(const dm_hub_listener *l, uint64_t connection);

#pragma GCC visibility pop

#endif
