/* state.h -- the hub and what its files share; for the hub's own files alone.
** Loop thread only.
**
**   route     an HTTP request: path, version, token; then to invoke or up
**   invoke    the body of a method call: checked, sliced
**   calls     a call: waits for its device, is sent, is answered or runs out
**   exchange  an HTTP request from its arrival to its answer
**   invocation a call of the control plane's own: an exchange without HTTP
**   session   an MQTT connection: CONNECT, subscriptions, publishes, its end
**   report    the record of a call
**   disturb   what fault rules do to calls and connections
**   meter     what throttles, quota and failed log-ins do to them
*/
#ifndef DM_HUB_STATE_H
#define DM_HUB_STATE_H

#include "hub/authorise.h"
#include "hub/errors.h"
#include "hub/hub.h"
#include "hub/faults.h"
#include "hub/identity.h"
#include "hub/logins.h"
#include "hub/throttle.h"
#include "net/http_server.h"
#include "net/mqtt_server.h"
#include "proto/pending.h"

#pragma GCC visibility push(hidden)

enum {
  DM_HUB_PARKED = 4096, /* hash chains of unanswered requests, a power of 2 */
  DM_METHOD_NAME_MAX = 100,
  DM_ECHO_MAX = 640 /* bytes of the caller's own ids, as header lines */
};

typedef struct dm_hold dm_hold; /* what a fault rule delays */

/* What an api-version allows. */
typedef struct dm_contract {
  size_t payload;                 /* bytes, inclusive */
  int response_min, response_max; /* seconds */
} dm_contract;

/* An HTTP request from its arrival to its answer; from a free list. */
typedef struct dm_exchange {
  dm_hub *hub;
  dm_http_server *server;   /* NULL: a call of the control plane's own */
  uint64_t id;              /* the server's name for the request */
  dm_hub_result *failed;    /* that call is being started; NULL: it was */
  struct dm_exchange *next; /* in a chain of the parked, or in the free list */
  bool parked;              /* not answered within on_request */
  uint64_t settle;          /* the caller's token, if it is of this process */
  dm_buf echo;              /* header lines with the caller's own ids */
  uint64_t handed;          /* its name for the control plane; 0: not handed */
  int retry_after;          /* seconds to tell with an error; 0: nothing */

  /* The rest is for method calls. */
  bool is_call;
  dm_span device, module; /* as requested; borrowed within on_request */
  char method[DM_METHOD_NAME_MAX];
  size_t method_length;
  int response_seconds, connect_seconds;
  dm_call_facts facts;          /* of its record */
  dm_hold *hold;                /* a fault rule delays it; NULL: none does */
  struct dm_identity *identity; /* its calls counts this one; NULL: not yet */
  struct dm_session *session;   /* it was sent there; NULL: not sent */
  dm_list node;            /* in the identity's waiting or the session's sent */
  dm_pending_call pending; /* in the hub's calls */
  dm_buf payload;          /* owned copy while it waits */
  bool has_payload;        /* else zero bytes are sent */
} dm_exchange;

/* An MQTT connection that was accepted. */
typedef struct dm_session {
  dm_hub *hub;
  dm_identity *identity; /* NULL: it is being closed */
  dm_mqtt_server *server;
  uint64_t connection;         /* the server's name for it */
  uint64_t id;                 /* ours: one for all listeners */
  const dm_contract *contract; /* judges what the device sends */
  uint32_t rid;                /* the last $rid */
  bool clean;
  uint64_t settle; /* the device's token, if it is of this process */
  dm_list sent;    /* calls that wait for an answer */
  dm_timer expiry; /* of its token, on the contract clock */
  bool doomed;     /* a message of its own asked for its end */
} dm_session;

typedef struct dm_hub_listener {
  dm_hub *hub;
  dm_tls *tls;
  bool admin;           /* http is the admin listener's */
  dm_http_server *http; /* NULL: of devices alone */
  dm_mqtt_server *mqtt; /* beside http: of WebSockets; NULL: no memory */
} dm_hub_listener;

struct dm_hub {
  dm_loop *loop;
  const dm_hub_events *events; /* NULL: detached */
  void *context;
  dm_hub_contract contract;
  bool api_version_optional, documented_charset, retry_after;
  bool watching, watching_ready;
  dm_hub_limits limits;
  dm_hub_counters counted;
  dm_metrics metrics;
  dm_trace trace;
  uint64_t wall_asked; /* ns: when the wall clock was asked for it */
  int64_t wall_then;   /* unix us: what it said */
  dm_ring messages;
  dm_faults faults;
  dm_list holds; /* what they and the throttle delay */
  dm_throttle throttle;
  dm_logins logins;
  uint64_t random;  /* state of the generator of request and tracking ids */
  int64_t log_from; /* real time of the next line that may be logged */

  dm_authority authority;
  dm_span admin_token; /* owned; p NULL: nobody may ask */
  dm_identities identities;
  dm_ids sessions; /* dm_session */
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
  uv_idle_t end;       /* never runs: its close callback ends a hub that never
                       ** listened */
  bool stopping, closing;
};

/* hub.c */
uint64_t dm_hub_random(dm_hub *h);
uint64_t dm_hub_nanoseconds(const dm_hub *h); /* contract time, finely */
const dm_contract *dm_hub_contract_of(const dm_hub *h, dm_span version);
void dm_hub_check_stopped(dm_hub *h); /* after an exchange has ended */
/* One line of a refusal at most each second; the rest is counted. */
void dm_hub_log(dm_hub *h, const char *what, dm_span who, const char *why);

/* exchange.c */
dm_exchange *dm_exchange_open(dm_hub *h, dm_http_server *s, uint64_t id);
void dm_exchange_park(dm_exchange *x); /* it will be answered later */
dm_exchange *dm_exchange_find(dm_hub *h, const dm_http_server *s, uint64_t id);
void dm_exchange_end(dm_exchange *x);   /* without an answer */
void dm_exchange_free_spare(dm_hub *h); /* the free list */
/* These answer and end it; what was borrowed of it is gone. */
bool dm_exchange_answer(dm_exchange *x, int status, dm_span fields,
                        const dm_span part[3]);
bool dm_exchange_fail_m(dm_exchange *x, const dm_error *e, dm_span text,
                        int seconds);
bool dm_exchange_fail_e(dm_exchange *x, int status, const char *name,
                        dm_span text);
/* As a fault rule says. */
bool dm_exchange_reject(dm_exchange *x, const dm_fault *f);

/* Up to the control plane, which answers by id. */
void dm_exchange_hand_up(dm_exchange *x, const dm_http_request *r,
                         unsigned rights);

/* admin.c */
void dm_admin_request(dm_exchange *x, const dm_http_request *r);

/* route.c: the HTTP server's events; context is a dm_hub_listener */
void dm_route_request(void *context, uint64_t id, const dm_http_request *r,
                      bool tls);
void dm_route_gone(void *context, uint64_t id);
void dm_route_refused(void *context, int status, const char *why);

/* invoke.c */
void dm_invoke(dm_exchange *x, const dm_http_request *r, dm_span version);
/* Of a request that is well formed: meter it, and call its device. */
void dm_invoke_device(dm_exchange *x, dm_span payload);
/* It was metered. */
void dm_invoke_metered(dm_exchange *x, dm_span payload);

/* invocation.c: these end the exchange */
void dm_invocation_answer(dm_exchange *x, int32_t status, dm_span payload);
void dm_invocation_fail(dm_exchange *x, int code, dm_span name, dm_span text);

/* calls.c: functions end or park the exchange, but for the next three */
void dm_call_release(dm_exchange *x); /* out of all lists and tables */
/* It will be answered later, and till then nothing moves but the contract
** clock. */
void dm_call_park(dm_exchange *x);
/* Send it to its session. False: that is gone, and the call has failed. */
bool dm_call_publish(dm_exchange *x, dm_span payload);
void dm_call_reject(dm_exchange *x, const dm_fault *f);
void dm_call_fail(dm_exchange *x, dm_error_id id, dm_span text);
void dm_call_start(dm_exchange *x, dm_identity *i, dm_span payload);
void dm_call_answer(dm_exchange *x, const dm_contract *contract, int32_t status,
                    dm_span payload);
void dm_calls_send_waiting(dm_identity *i); /* those that can be sent now */
void dm_calls_fail_list(dm_list *list, dm_error_id id);
void dm_calls_on_due(dm_timer *timer);

/* session.c; publish.c has what a device sends */
extern const dm_mqtt_handler dm_session_handler; /* context: dm_hub_listener */
/* The token of who connects, if it is of this process. */
uint64_t dm_session_token(const dm_hub *h, const dm_mqtt_connect *c);
/* Admit a CONNECT, or refuse it. */
void dm_session_connect(dm_hub_listener *l, uint64_t connection,
                        const dm_mqtt_connect *c);
/* End it: its calls fail with 'id', the connection closes. */
void dm_session_close(dm_session *s, dm_error_id id);
/* Forget the session of an offline identity. */
void dm_session_forget(dm_identity *i);
void dm_session_on_publish(void *context, void *user, const dm_mqtt_publish *p);
void dm_session_on_subscribe(void *context, void *user,
                             dm_mqtt_filters *filters);
void dm_session_on_unsubscribe(void *context, void *user,
                               dm_mqtt_filters *filters);
void dm_session_on_puback(void *context, void *user, uint16_t packet_id);

/* report.c */
void dm_report_begin(dm_exchange *x);
static inline void dm_report_reached(dm_exchange *x, dm_call_stage stage) {
  x->facts.at[stage] = dm_hub_nanoseconds(x->hub);
}
/* The call ends; 'response' p NULL: no payload came. Then answer it, and say so
** with the place that this gives. */
uint64_t dm_report_keep(dm_exchange *x, dm_span outcome, dm_span response);
double dm_report_replied(dm_hub *h, uint64_t place); /* seconds it took */
void dm_report_gone(dm_exchange *x);                 /* its caller left */

/* disturb.c: to be asked when there are rules; true: it was acted upon, and the
** call or connection goes another way */
bool dm_disturb_connect(dm_hub_listener *l, uint64_t connection,
                        const dm_mqtt_connect *c, const dm_identity *i);
bool dm_disturb_http(dm_exchange *x, dm_span payload);
bool dm_disturb_request(dm_exchange *x, dm_span payload);
bool dm_disturb_response(dm_exchange *x, const dm_contract *contract,
                         int32_t status, dm_span payload);
void dm_disturb_message(dm_session *s, dm_span properties);
/* Not a rule but the throttle delays it; then dm_invoke_metered. False: there
** is no room for it. */
bool dm_disturb_shape(dm_exchange *x, dm_span payload, int64_t delay);
void dm_disturb_cancel(dm_exchange *x); /* it is delayed no longer */
void dm_disturb_cancel_all(dm_hub *h);
/* Whom a delayed call is for. */
void dm_disturb_names(const dm_exchange *x, dm_hub_call *call);

/* meter.c: the first four are to be asked when the hub has a tier */
/* Before the body is read. False: the call has failed. */
bool dm_meter_admit(dm_exchange *x);
/* True: it goes on now. False: it goes on later, or has failed. */
bool dm_meter_call(dm_exchange *x, dm_span payload);
void dm_meter_charge(dm_hub *h, size_t bytes); /* a payload to the quota */
bool dm_meter_connect(dm_hub *h);              /* false: too many connect */
/* Is there anyone who failed too often? */
static inline bool dm_hub_refuses(const dm_hub *h) {
  return h->logins.until != 0;
}
/* False: who comes did, and is to be refused unread. */
bool dm_meter_caller(dm_exchange *x);
bool dm_meter_device(dm_hub_listener *l, uint64_t connection);
void dm_meter_caller_failed(dm_exchange *x);
void dm_meter_device_failed(dm_hub_listener *l, uint64_t connection);

#pragma GCC visibility pop

#endif
