/* bus.h -- the interface between the hubs of one name: calls of devices that
** are connected to another hub, and which hub has which device. Loop thread
** only. The hub does not know how its messages are carried.
**
** A call of another hub's device has these results, in this order:
**   GONE      no hub has the device, or the method was not called
**   TAKEN     the holder calls the method; it is never sent again
**   ANSWERED  by the device; the last
**   FAILED    the holder says why; the last. It may come without TAKEN.
** After GONE the hub may ask again, with another id. A result whose id has
** ended is dropped.
**
** Spans are borrowed: they are valid while the function runs that gets them.
** Texts from another hub may have any bytes, so the hub checks them.
*/
#ifndef DM_HUB_BUS_H
#define DM_HUB_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#pragma GCC visibility push(hidden)

enum {
  DM_BUS_HUB_MAX = 64,  /* bytes of a hub's id */
  DM_BUS_NAME_MAX = 128 /* bytes of a call's name */
};

typedef enum dm_bus_end {
  DM_BUS_GONE,
  DM_BUS_TAKEN,
  DM_BUS_ANSWERED,
  DM_BUS_FAILED
} dm_bus_end;

typedef struct dm_bus_call {
  uint64_t id;            /* the asking hub's, not 0; not reused soon */
  dm_span device, module; /* module p NULL: the device itself */
  dm_span method;         /* 1..100 bytes */
  dm_span payload;        /* JSON text; p NULL: none */
  dm_span version;        /* the caller's api-version; p NULL: none */
  dm_span name;           /* "{hub}-{number}": in the traces of both hubs */
  dm_span hub;            /* the asking hub; the bus sets it for on_call */
  int32_t response_seconds;
} dm_bus_call;

typedef struct dm_bus_result {
  dm_bus_end end;
  int32_t status;      /* ANSWERED: the device's */
  dm_span payload;     /* ANSWERED: JSON text. FAILED by a fault rule: the body
                       ** for the caller; p NULL: none */
  int32_t code;        /* FAILED: the error's, as 504101 */
  int32_t http_status; /* FAILED by a fault rule: for the caller; else 0 */
  dm_span name, text;  /* FAILED: of the code */
  dm_span hub;         /* whose result it is; n 0: GONE, since no hub has the
                       ** device. The bus sets it for on_result. */
} dm_bus_result;

/* A device has connected to a hub, takes method calls there or no longer, or
** its connection there has ended. */
typedef struct dm_bus_presence {
  dm_span device, module; /* module p NULL: the device itself */
  dm_span hub;            /* whose; the bus sets it for on_presence */
  int64_t epoch;   /* of the connection: a newer one has a greater epoch */
  int64_t changed; /* unix ms */
  bool connected;
  bool subscribed; /* it takes method calls */
} dm_bus_presence;

/* What the bus does for the hub; 'bus' is the context that stands beside it. No
** event comes inside of these functions. */
typedef struct dm_bus { /* static */
  /* Send a call to the hub that has the device. False: nothing was sent, since
  ** the bus is down or the call is too large for it. */
  bool (*ask)(void *bus, const dm_bus_call *c);
  /* The caller has left: drop this call and its result. */
  void (*cancel)(void *bus, uint64_t id);
  /* The result of a call of on_call. */
  void (*reply)(void *bus, uint64_t asked, const dm_bus_result *r);
  /* This hub takes calls of the identity from now on, or no longer. Hubs that
  ** want it get on_up. */
  void (*hold)(void *bus, dm_span device, dm_span module, bool on);
  /* Calls wait until the identity connects to a hub: send on_up from now on, or
  ** no longer. */
  void (*want)(void *bus, dm_span device, dm_span module, bool on);
  /* Tell all other hubs. */
  void (*tell)(void *bus, const dm_bus_presence *p);
  /* The hub ends: it gets no more events, and does not use the bus again. */
  void (*leave)(void *bus);
} dm_bus;

/* What the hub does when the bus says so; 'hub' is the context. */
typedef struct dm_bus_events { /* static */
  void (*on_result)(void *hub, uint64_t id, const dm_bus_result *r);
  /* The hub that has taken this call is dead; the call has ended. */
  void (*on_lost)(void *hub, uint64_t id);
  /* Another hub asks for a call; 'asked' is the bus's id of it, not 0. The hub
  ** answers with 'reply': GONE, or TAKEN and later ANSWERED or FAILED, or
  ** FAILED alone. */
  void (*on_call)(void *hub, uint64_t asked, const dm_bus_call *c);
  void (*on_cancel)(void *hub, uint64_t asked);
  /* A wanted identity is held by another hub now. */
  void (*on_up)(void *hub, dm_span device, dm_span module);
  void (*on_presence)(void *hub, const dm_bus_presence *p);
  /* The bus can send from now on, or no longer. Before the first one it cannot.
  */
  void (*on_state)(void *hub, bool up);
} dm_bus_events;

#pragma GCC visibility pop

#endif
