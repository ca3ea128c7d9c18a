/* trace.h -- the latest calls: device and method, the time of each stage, how
** they ended and why. Loop thread only.
**
** The facts of a call are in its exchange until it ends. Then they go into a
** ring of bounded size, with the names and payloads. The payload of the request
** goes into the ring when the call begins, so it may be overwritten before the
** rest of the call.
*/
#ifndef DM_HUB_TRACE_H
#define DM_HUB_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ring.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

/* The stages of a call in order, and their names in Lua. */
#define DM_CALL_STAGE_MAP(X)                                                   \
  X(RECEIVED, "received")     /* the whole request has arrived */              \
  X(AUTHORISED, "authorised") /* its token is good */                          \
  X(WAITING, "waiting")       /* until the device connects and subscribes */   \
  X(PUBLISHED, "published")   /* it was sent to the device */                  \
  X(ANSWERED, "answered")     /* the device's answer has arrived */            \
  X(REPLIED, "replied")       /* the caller's answer is written */

typedef enum dm_call_stage {
#define X(id, name) DM_CALL_##id,
  DM_CALL_STAGE_MAP(X)
#undef X
      DM_CALL_STAGES
} dm_call_stage;

/* Why the device could not be called. */
typedef enum dm_call_reason {
  DM_REASON_NONE,
  DM_REASON_NOT_REGISTERED,
  DM_REASON_DISABLED,
  DM_REASON_NOT_CONNECTED,
  DM_REASON_NOT_SUBSCRIBED
} dm_call_reason;

/* Reasons why Azure would refuse today a call that this hub accepts; a call has
** a set of them. In Lua: the member azure_refuses of a call. */
typedef enum dm_call_azure {
  DM_AZURE_NO_VERSION = 1,
  DM_AZURE_VERSION = 2,          /* older than method calls, or unknown */
  DM_AZURE_RESPONSE_TIMEOUT = 4, /* outside of today's range */
  DM_AZURE_EXPIRED = 8,          /* the caller's token has */
  DM_AZURE_HELD = 16             /* a job waited for the device */
} dm_call_azure;

enum {
  DM_CALL_FAULTS = 8,  /* fault rules that a call notes at most */
  DM_CALL_VERSION = 16 /* bytes of an api-version that a call notes at most */
};

typedef struct dm_call_facts {
  uint64_t id;  /* 1 for the hub's first call that ended */
  int64_t wall; /* unix ms of its arrival */
  uint64_t
      at[DM_CALL_STAGES]; /* ns of the contract clock; 0: never got there */
  uint64_t payload;       /* place of the request's payload; 0: none */
  uint32_t request_size, response_size; /* bytes of payload */
  uint32_t rid;                         /* 0: it was not sent */
  int32_t status;                       /* the device's, or 0 */
  int code;                             /* the error's, or 0 */
  int http_status;                      /* the caller's; 0: no answer */
  uint8_t reason, azure;         /* dm_call_reason; dm_call_azure, a set */
  bool lent;                     /* another hub has asked for it */
  uint8_t faults;                /* rules that acted on it */
  uint8_t fault[DM_CALL_FAULTS]; /* stage * 16 + action, of faults.h */
  int response_seconds, connect_seconds; /* response 0: it was not accepted */
  uint8_t version_length;                /* 0: it had no api-version */
  char version[DM_CALL_VERSION];
} dm_call_facts;

/* A call that ended. */
typedef struct dm_hub_call {
  const dm_call_facts *facts;
  dm_span device, module;    /* module: p NULL for a device */
  dm_span method;            /* n 0: the request named none */
  dm_span outcome;           /* "Answered" or the error's name */
  dm_span request, response; /* payloads; p NULL: none, or not kept */
  dm_span name;              /* in the traces of both hubs; p NULL: one hub */
  dm_span hub;               /* the other one; p NULL: none, or not known */
  dm_span job;               /* the id of the job that made it; p NULL: none */
} dm_hub_call;

typedef struct dm_trace {
  dm_ring ring;
  uint64_t count; /* calls that ended */
} dm_trace;

void dm_trace_init(dm_trace *t, size_t bytes);
void dm_trace_clear(dm_trace *t);

/* Keep the payload of a call that begins; its place goes into 'f'. */
void dm_trace_request(dm_trace *t, dm_call_facts *f, dm_span payload);

/* Keep a call that ends, and give it its id. Its place; 0: no memory. */
uint64_t dm_trace_add(dm_trace *t, const dm_hub_call *call);

/* The facts of a call that was added, to complete them. NULL: overwritten. */
dm_call_facts *dm_trace_facts(dm_trace *t, uint64_t place);

/* The call of a place. What it points to lives until the next call is added.
** False: overwritten. */
bool dm_trace_read(const dm_trace *t, uint64_t place, dm_hub_call *out);

/* Walk from the oldest: start with *place = 0. False: there are no more. */
bool dm_trace_next(const dm_trace *t, uint64_t *place, dm_hub_call *out);

/* Remove the call of a place that was read; its texts are overwritten. */
void dm_trace_remove(dm_trace *t, uint64_t place);

/* The number of calls with a greater id that made room for later ones. A call
** that was removed counts only after it has made room, too. */
uint64_t dm_trace_lost(const dm_trace *t, uint64_t after);

#pragma GCC visibility pop

#endif
