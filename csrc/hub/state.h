/* state.h -- the hub's state, and the few functions that all of its files use.
** For csrc/hub alone. Loop thread only.
**
** csrc/hub is a stair: a file uses what stands on lower steps, and never names
** the files that call it. To be called back, a file hands a function down.
** docs/architecture.md draws the steps.
*/
#ifndef DM_HUB_STATE_H
#define DM_HUB_STATE_H

#include "hub/authorise.h"
#include "hub/bus.h"
#include "hub/device_events.h"
#include "hub/errors.h"
#include "hub/faults.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "hub/logins.h"
#include "hub/throttle.h"
#include "net/http_server.h"
#include "net/mqtt_server.h"
#include "proto/pending.h"

#pragma GCC visibility push(hidden)

enum {
  DM_HUB_PARKED = 4096, /* hash chains of unanswered requests, a power of 2 */
  DM_JOB_ID_MAX = 128,  /* bytes */
  DM_ECHO_MAX = 640     /* bytes of the caller's own ids, as header lines */
};

typedef struct dm_exchange dm_exchange;
typedef struct dm_session dm_session;
typedef struct dm_keeping dm_keeping; /* in keep.c */
typedef struct dm_will dm_will;       /* in telemetry.c */
typedef struct dm_remote dm_remote;   /* in remote.h */

/* How a call goes on. It may end the call, so that 'x' is gone afterwards. */
typedef void dm_step(dm_exchange *x, dm_span payload);

/* What a fault rule does to a call, kept while the rule delays it. */
typedef struct dm_incident {
  dm_fault_stage stage;
  uint64_t fault; /* the rule that acts after the delay; 0: none */
  dm_step *next;  /* how the call goes on without a fault */
} dm_incident;

/* A request from its arrival to its answer. Reused from a free list. */
struct dm_exchange {
  dm_hub *hub;
  dm_http_server *server; /* NULL: a call of the control plane's own */
  uint64_t id;            /* the server's id of the request */
  dm_hub_result *failed;  /* set while dm_hub_invoke starts the call */
  dm_exchange *next;      /* in a chain of parked ones, or in the free list */
  bool parked;            /* in such a chain: is answered later */
  bool streams;           /* its answer is a stream that has begun */
  unsigned rights;        /* what the caller's token allows */
  bool expired;           /* the caller's token is, but this hub accepts it */
  dm_span version;        /* api-version; borrowed until on_request returns */
  char version_text[32];  /* decoded, if it was percent-encoded */
  uint64_t settle;        /* the caller's token; 0: of another process */
  dm_buf echo;            /* header lines with the caller's own ids */
  uint64_t handed;        /* the control plane's id of it; 0: has none */
  int retry_after;        /* seconds that an error's Retry-After has; 0: none */

  /* The rest is for method calls. */
  bool is_call;
  dm_span device, module; /* as requested; borrowed from the request, or from
                          ** the hold */
  bool is_command;        /* of a digital twin */
  dm_span component, command; /* its name, borrowed from the request until
                              ** 'method' has it; component p NULL: none */
  char method[DM_METHOD_NAME_MAX];
  size_t method_length;
  int response_seconds, connect_seconds;
  dm_buf job;            /* owned: id of the job that makes it; len 0: none */
  int32_t status;        /* the device's, once it has answered */
  dm_call_facts facts;   /* for its record */
  dm_incident incident;  /* of the fault rule that acted last */
  struct dm_hold *hold;  /* what delays it; NULL: nothing */
  dm_identity *identity; /* which counts this call; NULL: not looked up yet */
  dm_session *session;   /* where it was sent; NULL: it waits */
  dm_remote *remote;     /* owned; NULL: no other hub takes part in it */
  dm_list node;          /* in the identity's waiting or the session's sent */
  dm_pending_call pending;
  dm_buf payload; /* owned copy while it waits */
};

/* An accepted MQTT connection. */
struct dm_session {
  dm_hub *hub;
  dm_identity *identity; /* NULL: the connection is being closed */
  dm_mqtt_server *server;
  uint64_t connection;         /* the server's id of it */
  uint64_t id;                 /* the hub's: unique over all listeners */
  const dm_contract *contract; /* for what the device sends */
  uint32_t rid;                /* the last $rid */
  bool clean;
  uint64_t settle;      /* the device's token; 0: of another process */
  dm_list sent;         /* calls that wait for an answer */
  dm_timer expiry;      /* of the device's token, on the contract clock */
  int64_t token_expiry; /* unix seconds, if 'expiry' runs */
  int64_t epoch;        /* of the connection, among all hubs; 0: alone */
  bool doomed;          /* its device has asked for a fault that closes it */
  bool told;            /* the event "connected" was reported */
  bool said_goodbye;    /* its device has sent DISCONNECT */
  bool paused;          /* too many twin requests wait: its packets do too */
  uint8_t twins;        /* twin requests that wait for their answer */
  uint32_t twin_bytes;  /* of them, and of those answered since there were none
                       */
  dm_will *will; /* owned: sent when it ends without DISCONNECT; NULL: none */
  dm_keeping *keeping; /* owned: what its device is told when it was kept;
                       ** NULL: nothing */
};

typedef struct dm_hub_listener {
  dm_hub *hub;
  dm_tls *tls;
  bool admin;           /* http is the admin listener's */
  dm_http_server *http; /* NULL: for devices alone */
  dm_mqtt_server *mqtt; /* beside http: for WebSockets; NULL: no memory */
} dm_hub_listener;

struct dm_hub {
  dm_loop *loop;
  const dm_hub_events *events; /* NULL: detached */
  void *context;
  const dm_contract *contract; /* for all; NULL: by api-version */
  bool api_version_optional, documented_charset, retry_after, reuse_port;
  bool watching, watching_ready, watching_devices;
  dm_hub_limits limits;
  dm_hub_counters counted;
  dm_metrics metrics;
  dm_trace trace;
  uint64_t wall_asked; /* ns: when 'wall_then' was read */
  int64_t wall_then;   /* unix us: what the wall clock said */
  dm_ring messages;
  dm_device_events devices;
  dm_faults faults;
  dm_list holds; /* dm_hold: what is delayed */
  dm_throttle throttle;
  dm_logins logins;
  uint64_t random;  /* state of the generator of request and tracking ids */
  int64_t log_from; /* I/O clock: when the next line may be logged */

  dm_http_bodies bodies; /* of all listeners */
  const dm_bus *bus;     /* NULL: this hub is alone */
  void *bus_context;
  char id[DM_BUS_HUB_MAX + 1]; /* of this hub among those of the bus */
  dm_ids asked;                /* dm_exchange: calls of other hubs' devices */
  uint64_t named;              /* calls that were given a name */
  dm_timer again_timer;     /* I/O clock: waiting calls are asked for again */
  uint32_t again_place;     /* in 'asked': where it goes on */
  dm_list elsewhere;        /* dm_elsewhere; those last told are at the end */
  size_t devices_elsewhere; /* of these, without modules */
  uint32_t presence_round;  /* see dm_hub_presence_begin */

  dm_authority authority;
  dm_span admin_token;   /* owned; p NULL: every request is refused */
  dm_span admin_session; /* owned: the value of a browser's cookie */
  dm_identities identities;
  dm_ids sessions;          /* dm_session */
  size_t connected_devices; /* without modules */
  dm_hub_listener listener[DM_HUB_LISTENERS];
  int listeners, open_servers;

  dm_pending pending;
  dm_timer pending_timer; /* contract clock: due when a call may be */
  size_t waiting_bytes;
  dm_exchange *parked[DM_HUB_PARKED];
  dm_exchange *free_exchanges;
  size_t free_count, open_exchanges;
  dm_ids handed; /* dm_exchange */

  dm_timer stop_timer; /* I/O clock */
  dm_timer tick_timer; /* I/O clock: of dm_hub_tick */
  uv_idle_t end;       /* never runs: its close callback ends a hub that never
                       ** listened */
  bool stopping, closing;
};

/* A number that does not repeat; it can be guessed. */
uint64_t dm_hub_random(dm_hub *h);

/* For an error document of now. */
dm_error_mark dm_hub_mark(dm_hub *h);

/* Milliseconds of the contract clock. */
static inline int64_t dm_hub_now(const dm_hub *h) {
  return dm_clock_now(&h->loop->contract);
}

uint64_t dm_hub_nanoseconds(const dm_hub *h); /* contract time, finer */

/* What a sender of this api-version may do here. */
static inline const dm_contract *dm_hub_contract_of(const dm_hub *h,
                                                    dm_span version) {
  return h->contract != NULL ? h->contract : dm_contract_of(version);
}

/* Log a refusal: one line a second at most, the others are counted. */
void dm_hub_log(dm_hub *h, const char *what, dm_span who, const char *why);

/* Call it after a request has ended: a hub that is stopping and has no other
** request closes at the next turn of the loop. */
void dm_hub_check_stopped(dm_hub *h);

#pragma GCC visibility pop

#endif
