/* hub.h -- the local hub's data plane: devices connect by MQTT, callers invoke
** their methods by HTTP, and this is everything that a call touches between the
** two. Loop thread only. Knows nothing of Lua.
**
** The control plane (registry, twins, jobs, queries) is Lua's: a request that
** is no method call goes up as on_http after its token was verified, and is
** answered by id. The hub behaves as IoT Hub does; errors are in Format M for
** method calls and in Format E for everything else.
**
** One section for each file that implements it.
*/
#ifndef DM_HUB_HUB_H
#define DM_HUB_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "hub/bus.h"
#include "hub/counters.h"
#include "hub/deadlines.h"
#include "hub/device_events.h"
#include "hub/faults.h"
#include "hub/limits.h"
#include "hub/messages.h"
#include "hub/metrics.h"
#include "hub/throttle.h"
#include "hub/trace.h"
#include "net/loop.h"
#include "proto/contract.h"
#include "proto/http_message.h"

#pragma GCC visibility push(hidden)

typedef struct dm_hub dm_hub;

enum { /* what a policy allows */
       DM_RIGHT_SERVICE_CONNECT = 1,
       DM_RIGHT_DEVICE_CONNECT = 2,
       DM_RIGHT_REGISTRY_READ = 4,
       DM_RIGHT_REGISTRY_WRITE = 8,
       DM_RIGHT_ADMIN =
           16 /* of requests at the admin listener; no policy has it */
};

enum {
  DM_HUB_HOSTS = 18,    /* host names of one hub */
  DM_HUB_POLICIES = 16, /* shared access policies */
  DM_HUB_LISTENERS = 8  /* ports it listens on */
};

typedef struct dm_hub_options {
  const dm_span *hosts; /* borrowed: names accepted in sr and in user names */
  int host_count;       /* 1..DM_HUB_HOSTS */
  const dm_contract *contract; /* for all; NULL: by the sender's api-version */
  bool api_version_optional;   /* a call without one gets the oldest contract */
  bool lasting_tokens;         /* tokens do not expire */
  bool documented_charset; /* refuse payload names and strings outside of the
                             ** documentation's character set */
  dm_tier tier;            /* whose rates and quota apply */
  int units;               /* of the tier: from 1 */
  bool retry_after;        /* 429 and 503 have Retry-After */
  bool reuse_port;         /* several hubs have the ports for MQTT and HTTP */
  int failed_logins;       /* by a source, until it must wait; 0: no limit */
  dm_hub_limits limits;
} dm_hub_options;

typedef struct dm_hub_twin {
  uint64_t connection; /* to answer with dm_hub_twin_result */
  dm_span device, module;
  bool reported; /* PATCH of reported properties; else GET */
  dm_span rid, payload;
  dm_span version; /* a condition, not yet checked to be a number; p NULL */
} dm_hub_twin;

/* A session that must be kept before its device goes on. */
typedef struct dm_hub_session {
  uint64_t connection; /* to go on with dm_hub_session_kept */
  bool connects;       /* it is new: among other hubs it needs an epoch */
  int64_t epoch;       /* which it has already; 0: none */
  dm_span device, module;
  bool stored;                      /* false: nothing is to be left of it */
  const struct dm_filters *filters; /* the subscriptions; see filters.h */
  dm_span model_id;                 /* n 0: the CONNECT named none */
} dm_hub_session;

/* A method call that the control plane makes: for a job, or for a caller of the
** admin listener. */
typedef struct dm_hub_invocation {
  dm_span device, module; /* module: p NULL for a device */
  dm_span method;         /* 1..100 bytes; its characters were checked */
  dm_span payload;        /* JSON text, checked; p NULL: none */
  int response_seconds;
  int connect_seconds; /* to wait for an absent device; 0: fail at once */
  bool held;           /* the job has waited for the device */
  dm_span job;         /* its id, of 1..128 bytes */
} dm_hub_invocation;

/* How it ended. The spans live within the event. */
typedef struct dm_hub_result {
  uint64_t id;     /* the invocation's */
  int32_t status;  /* the device's */
  dm_span payload; /* JSON text */
  int code;        /* the error's; 0: the device has answered */
  dm_span name;    /* the error's */
  dm_span text;    /* the error's */
  bool absent;     /* the device was not there: the method was not called */
} dm_hub_result;

/* Every event but on_closed may come while a function of the hub runs. Inside
** on_call, on_invoked, on_ready and on_device no function of the hub may be
** called. */
typedef struct dm_hub_events { /* static */
  /* 'r' lives within the call. It has the Authorization field, a secret. */
  void (*on_http)(void *context, uint64_t request, const dm_http_request *r,
                  unsigned rights);
  void (*on_twin)(void *context, const dm_hub_twin *twin);
  /* The device waits for dm_hub_session_kept. */
  void (*on_session)(void *context, const dm_hub_session *session);
  /* With dm_hub_watch_calls: a call has ended. Spans live within the event. */
  void (*on_call)(void *context, const dm_hub_call *call);
  void (*on_invoked)(void *context, const dm_hub_result *result);
  /* With dm_hub_watch_ready: the identity has connected or subscribed, and
  ** takes method calls. It may come when the identity took them before, too. */
  void (*on_ready)(void *context, dm_span device, dm_span module);
  /* With dm_hub_watch_devices. The spans live within the event. */
  void (*on_device)(void *context, const dm_device_event *event);
  /* Among other hubs: a connection that had this epoch has ended. */
  void (*on_left)(void *context, dm_span device, dm_span module, int64_t epoch);
  void (*on_bus)(void *context, bool up); /* the bus can send, or cannot */
  void (*on_tick)(void *context);         /* see dm_hub_tick */
  void (*on_closed)(void *context); /* the last one; the hub is gone after it */
} dm_hub_events;

/* life.c */

/* NULL: out of memory, or options out of range. */
dm_hub *dm_hub_new(dm_loop *loop, const dm_hub_options *o,
                   const dm_hub_events *events, void *context, dm_err *e);

typedef enum dm_hub_service {
  DM_HUB_MQTT,
  DM_HUB_HTTPS,
  DM_HUB_ADMIN /* HTTP with a bearer token; without TLS this machine only */
} dm_hub_service;

typedef struct dm_hub_tls { /* PEM texts */
  dm_span cert, key;        /* cert n 0: plain */
  dm_span client_ca;        /* issuers of devices' certificates; n 0: none */
} dm_hub_tls;

/* Listen. Returns the port, 0 after an error. */
int dm_hub_listen(dm_hub *h, dm_hub_service service, const char *host, int port,
                  const dm_hub_tls *tls, dm_err *e);

/* Use this certificate for new connections of all listeners that have TLS. Open
** connections keep their certificate. After an error nothing changes. */
dm_code dm_hub_certify(dm_hub *h, const dm_hub_tls *tls, dm_err *e);

/* Take these options from 'o', which may change while the hub runs:
** retry_after, failed_logins, and the limits body_bytes, calls_per_device,
** filters, filter_size, packet_filters and waiting_bytes. Filters, calls and
** bytes that exist already may exceed a lower limit. */
void dm_hub_change(dm_hub *h, const dm_hub_options *o);

/* Take no new connections and requests, and end when every request is answered,
** or after 'ms' of real time: requests that are unanswered then are answered
** 503. Connections end in good order, within 1.5 s more. */
void dm_hub_stop(dm_hub *h, int64_t ms);

/* Close at once; on_closed follows from the loop. Harmless when repeated. */
void dm_hub_close(dm_hub *h);

/* Send no events from now on: the context goes away. Call dm_hub_close too. */
void dm_hub_detach(dm_hub *h);

/* admin.c */

/* The token that callers of an admin listener must show. False: no memory. */
bool dm_hub_admin_token(dm_hub *h, dm_span token);
/* The value of the cookie that a browser gets for the token; borrowed. */
dm_span dm_hub_admin_session(const dm_hub *h);

/* registry.c */

/* Add a policy or replace it. A connection whose token was signed by a key
** that is gone is closed. DM_LIMIT_EXCEEDED: there are DM_HUB_POLICIES. */
dm_code dm_hub_policy(dm_hub *h, dm_span name, dm_span primary,
                      dm_span secondary, unsigned rights, dm_err *e);

/* How an identity shows who it is. */
typedef enum dm_hub_auth {
  DM_HUB_AUTH_SAS,         /* a token that one of its keys has signed */
  DM_HUB_AUTH_SELF_SIGNED, /* a certificate with one of its thumbprints */
  DM_HUB_AUTH_AUTHORITY,   /* a certificate of its name, from a trusted CA */
  DM_HUB_AUTH_NONE         /* only the token of a policy lets it in */
} dm_hub_auth;

typedef struct dm_hub_identity {
  dm_hub_auth auth;
  dm_span primary, secondary; /* keys in base64, or thumbprints in hex; n 0 */
  bool enabled;
  int64_t version; /* of its row in the store: what is older changes nothing */
} dm_hub_identity;

/* Add an identity, or change it. Its connection is closed when it is disabled
** (its modules' connections too), and when the key or thumbprint that
** authorised the connection is gone. A module needs its device. */
dm_code dm_hub_put_identity(dm_hub *h, dm_span device, dm_span module,
                            const dm_hub_identity *what, dm_err *e);

/* Remove an identity with its session; a device with its modules too. False: it
** is unknown. */
bool dm_hub_remove_identity(dm_hub *h, dm_span device, dm_span module,
                            int64_t version);

/* Close an identity's connection. False: it has none. */
bool dm_hub_disconnect(dm_hub *h, dm_span device, dm_span module);

/* What is known of an identity; borrowed until it is changed. False: it is not
** there. */
bool dm_hub_find_identity(const dm_hub *h, dm_span device, dm_span module,
                          dm_hub_identity *out);

/* How many identities more may be added. */
size_t dm_hub_room(const dm_hub *h);

/* control.c */

/* Answer an on_http. 'fields' are whole lines with CRLF. Content-Type and ETag
** (unless given), x-ms-request-id and the caller's own ids are added. False:
** the caller is gone. */
bool dm_hub_answer(dm_hub *h, uint64_t request, int status, dm_span fields,
                   dm_span body);

/* The same with a Format E body: "ErrorCode:{name};{text}". 429 and 503 have
** Retry-After, if this hub sends it. */
bool dm_hub_answer_error(dm_hub *h, uint64_t request, int status,
                         const char *name, dm_span text);

/* stream.c: streamed answers to an on_http, such as server-sent events. The
** request keeps its id until its caller has gone or the stream ends. */

/* Answer 200 with these whole header lines. False: the caller is gone. */
bool dm_hub_stream_begin(dm_hub *h, uint64_t request, dm_span fields);
/* False: the caller is gone, or its connection was closed because it reads too
** slowly. */
bool dm_hub_stream_send(dm_hub *h, uint64_t request, dm_span bytes);
/* Bytes that the caller has not read; -1: it is gone. */
int64_t dm_hub_stream_queued(const dm_hub *h, uint64_t request);
void dm_hub_stream_end(dm_hub *h, uint64_t request);
/* Have on_tick called once, after this many ms of real time. */
void dm_hub_tick(dm_hub *h, int64_t ms);

/* Count an operation in a rate of the tier. False: it is over the rate. */
bool dm_hub_allows(dm_hub *h, dm_meter m);

/* Charge an on_http to a rate of the tier. False: it was answered 429, or the
** caller is gone. */
bool dm_hub_meter(dm_hub *h, uint64_t request, dm_meter m);

/* Answer an on_twin. version < 0: none. False: the device is gone, or has not
** subscribed to answers. */
bool dm_hub_twin_result(dm_hub *h, uint64_t connection, int status, dm_span rid,
                        int64_t version, dm_span payload);

/* Refuse an on_twin with an error of this code (its status is code / 1000) and
** a body that says why. */
bool dm_hub_twin_refuse(dm_hub *h, uint64_t connection, dm_span rid, int code,
                        dm_span text);

/* Tell a device that its desired properties have changed. False: it is not
** connected, or has not subscribed to changes. */
bool dm_hub_twin_desired(dm_hub *h, dm_span device, dm_span module,
                         int64_t version, dm_span payload);

/* The $version of the desired properties that were last changed; 0: they were
** not changed since the hub began. */
int64_t dm_hub_twin_told(dm_hub *h, dm_span device, dm_span module);

/* keep.c */

typedef struct dm_hub_kept {
  bool kept; /* false: it cannot be kept */
  /* Of a new connection among other hubs: */
  int64_t epoch;         /* 0: this hub is alone */
  bool stored;           /* there was a session already */
  const dm_span *filter; /* 'filters' of them: its subscriptions */
  size_t filters;
} dm_hub_kept;

/* Answer an on_session: it is on the disk, or cannot be kept. False: the device
** is gone. */
bool dm_hub_session_kept(dm_hub *h, uint64_t connection, const dm_hub_kept *k);

/* Let an identity that is offline have a stored session, with this filter (p
** NULL: with none). False: it is not there, or the filter is not allowed. */
bool dm_hub_restore_session(dm_hub *h, dm_span device, dm_span module,
                            dm_span filter);

/* invoke.c */

/* Turn an on_http of the admin listener into a method call. The caller gets the
** same answers as a service. The name and the payload of 'o' are checked here.
** False: the caller is gone. */
bool dm_hub_call_for(dm_hub *h, uint64_t request, const dm_hub_invocation *o);

/* invocation.c */

/* Call a method. Returns the id that on_invoked will have. 0: the call has
** failed already, and 'failed' says why. */
uint64_t dm_hub_invoke(dm_hub *h, const dm_hub_invocation *o,
                       dm_hub_result *failed);

/* join.c: several hubs behind one name */

/* Call the methods of devices that are connected to other hubs, and those of
** this hub's devices for other hubs. id: this hub's among them, 1 to
** DM_BUS_HUB_MAX bytes. Once, before it listens. */
void dm_hub_join(dm_hub *h, const dm_bus *bus, void *context, dm_span id);

/* What the bus calls, with the hub. */
extern const dm_bus_events dm_hub_bus_events;

/* presence.c */

/* The store says that this connection to another hub is there. It does not know
** whether the identity takes method calls there: p->subscribed says what to
** assume if the bus has not said it. False: the identity is not known here, and
** nothing is done. */
bool dm_hub_presence_put(dm_hub *h, const dm_bus_presence *p);
/* Call 'begin', put all connections of other hubs that the store has, and call
** 'end': connections that neither the store nor a hub has told since are
** forgotten. */
void dm_hub_presence_begin(dm_hub *h);
void dm_hub_presence_end(dm_hub *h);
/* Walk over this hub's own connections: start with *place = 0. False: there are
** no more. */
bool dm_hub_presence_next(const dm_hub *h, uint32_t *place,
                          dm_bus_presence *out);
/* Tell other hubs once more of the connections at this place and after it, at
** most 'most' of them. */
void dm_hub_presence_tell(const dm_hub *h, uint32_t place, int most);
/* A hub is dead: forget its connections. */
void dm_hub_presence_drop(dm_hub *h, dm_span hub);

/* inspect.c */

/* To any hub of the name. */
typedef struct dm_hub_presence {
  bool connected;
  bool here;       /* to this hub */
  bool subscribed; /* has subscribed to method calls */
  int64_t changed; /* unix ms of the last connect or disconnect; 0: never */
  int64_t active;  /* unix ms of its last CONNECT or PUBLISH; 0: never */
} dm_hub_presence;

dm_hub_presence dm_hub_presence_of(const dm_hub *h, dm_span device,
                                   dm_span module); /* unknown: zeroes */
int dm_hub_connections(const dm_hub *h);
size_t dm_hub_connected_devices(const dm_hub *h); /* modules do not count */

/* on_call, on_ready and on_device are called only while these are on. */
void dm_hub_watch_calls(dm_hub *h, bool on);
void dm_hub_watch_ready(dm_hub *h, bool on);
void dm_hub_watch_devices(dm_hub *h, bool on);

/* Walk over the latest calls and messages from the oldest: start with *place =
** 0. False: there are no more. The spans live until the loop runs. */
bool dm_hub_next_call(const dm_hub *h, uint64_t *place, dm_hub_call *out);
bool dm_hub_next_message(const dm_hub *h, uint64_t *place, dm_hub_message *out);

/* Delete the call of a place that the walk gave; the walk goes on from it. */
void dm_hub_delete_call(dm_hub *h, uint64_t place);

/* The number of calls with a greater id that made room for later ones. */
uint64_t dm_hub_lost_calls(const dm_hub *h, uint64_t after);

/* Walk over the latest events of devices: start with a zeroed place. */
bool dm_hub_next_device_event(const dm_hub *h, dm_device_place *place,
                              dm_device_event *out);

typedef struct dm_hub_latest { /* numbers that only grow */
  uint64_t call, device_event; /* ids of the latest ones; 0: none yet */
  uint64_t faults;             /* times that a rule acted */
} dm_hub_latest;

dm_hub_latest dm_hub_latest_of(const dm_hub *h);

/* Fault rules; ids are not reused soon. 0: there are DM_FAULTS_MAX already. */
uint64_t dm_hub_add_fault(dm_hub *h, const dm_fault_options *o);
bool dm_hub_remove_fault(dm_hub *h, uint64_t id);
int64_t dm_hub_fault_hits(const dm_hub *h, uint64_t id); /* -1: removed */
void dm_hub_clear_faults(dm_hub *h);

/* Forget the latest calls, messages and events of devices, and the fault rules.
** Set all counters to zero, and give rates and failed log-ins their full
** allowance again. */
void dm_hub_forget(dm_hub *h);

typedef struct dm_hub_gauges { /* numbers that go up and down */
  size_t calls_under_way, waiting_bytes, identities, faults;
  int mqtt_connections, http_connections; /* WebSockets count as both */
} dm_hub_gauges;

dm_hub_gauges dm_hub_gauge(const dm_hub *h);

typedef struct dm_hub_level { /* of what a tier meters, or of its quota */
  double capacity;
  double left; /* below 0: taken in advance for callers that wait */
  double rate; /* a second; 0: the quota, which begins anew each day */
} dm_hub_level;

bool dm_hub_has_tier(const dm_hub *h); /* the next two need one */
dm_hub_level dm_hub_level_of(const dm_hub *h, dm_meter m);
dm_hub_level dm_hub_quota(const dm_hub *h);

const dm_metrics *dm_hub_measured(const dm_hub *h);
const dm_hub_counters *dm_hub_counted(const dm_hub *h);
const dm_hub_limits *dm_hub_limits_of(const dm_hub *h);

#pragma GCC visibility pop

#endif
