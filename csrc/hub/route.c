/* route.c -- see route.h. Loop thread only. */
#include "hub/route.h"

#include <stdio.h>
#include <string.h>

#include "hub/admin.h"
#include "hub/call.h"
#include "hub/control.h"
#include "hub/exchange.h"
#include "hub/invoke.h"
#include "hub/meter.h"
#include "hub/missing.h"
#include "hub/record.h"
#include "hub/tell.h"
#include "proto/http_websocket.h"
#include "proto/path.h"
#include "proto/text.h"

enum {
  UNAUTHORIZED = 401,
  PATH_BYTES = 8 * 1024,  /* of a decoded path: limits.target_size */
  MISSING_MAX = 128,      /* bytes of a text, with its NUL */
  TWIN_BODY = 256 * 1024, /* clients send a whole twin back, with metadata */
  IDENTITY_BODY = 64 * 1024,
  JOB_BODY = 512 * 1024
};

/* What the header fields say about the caller. */
typedef struct caller {
  dm_span authorization, request_id, client_request_id;
  bool authorization_twice;
} caller;

static caller read_caller(const dm_http_request *r) {
  caller f = {.authorization_twice = false};
  for (int i = 0; i < r->field_count; i++) {
    dm_span name = r->field[i].name, value = r->field[i].value;
    if (dm_span_equal_nocase(name, DM_SPAN("Authorization"))) {
      f.authorization_twice = f.authorization.p != NULL;
      f.authorization = value;
    } else if (dm_span_equal_nocase(name, DM_SPAN("Request-Id"))) {
      f.request_id = value;
    } else if (dm_span_equal_nocase(name, DM_SPAN("x-ms-client-request-id"))) {
      f.client_request_id = value;
    }
  }
  return f;
}

static void add_echo(dm_exchange *x, const char *name, dm_span value) {
  if (value.n == 0 || !dm_http_value_is_clean(value)) return;
  size_t before = x->echo.len;
  if (dm_buf_add_text(&x->echo, name) && dm_buf_add_span(&x->echo, value) &&
      dm_buf_add_text(&x->echo, "\r\n"))
    return;
  x->echo.len = before;
}

/* IoT Hub reads the words of a path in any case. */
static bool is_word(dm_span segment, const char *word) {
  return dm_span_equal_nocase(segment, dm_span_of(word));
}

/* /digitaltwins/{device}[/components/{component}]/commands/{command}: a method
** that is called by another request. */
static bool is_command_path(dm_exchange *x, const dm_path *p) {
  const dm_span *s = p->segment;
  bool of_device = p->count == 4 && is_word(s[2], "commands");
  bool of_component =
      p->count == 6 && is_word(s[2], "components") && is_word(s[4], "commands");
  if (!of_device && !of_component) return false;
  x->is_command = true;
  x->device = s[1];
  x->command = s[p->count - 1];
  if (of_component) x->component = s[3];
  return true;
}

/* In "/twins/d/modules//methods" no module is named. */
static bool has_empty_segment(const dm_path *p) {
  for (int i = 0; i < p->count; i++) {
    if (p->segment[i].n == 0) return true;
  }
  return false;
}

/* /twins/{device}[/modules/{module}]/methods, or a command */
static bool is_method_path(dm_exchange *x, const dm_path *p) {
  const dm_span *s = p->segment;
  if (p->count < 3 || has_empty_segment(p)) return false;
  if (is_word(s[0], "digitaltwins")) return is_command_path(x, p);
  if (!is_word(s[0], "twins")) return false;
  if (p->count == 3 && is_word(s[2], "methods")) {
    x->device = s[1];
    return true;
  }
  if (p->count != 5 || !is_word(s[2], "modules") || !is_word(s[4], "methods"))
    return false;
  x->device = s[1];
  x->module = s[3];
  return true;
}

static bool are_digits(const char *p, int n) {
  for (int i = 0; i < n; i++) {
    if (p[i] < '0' || p[i] > '9') return false;
  }
  return true;
}

/* Two digits, from "01" to most. */
static bool is_part(const char *p, const char *most) {
  return are_digits(p, 2) && memcmp(p, "01", 2) >= 0 && memcmp(p, most, 2) <= 0;
}

/* YYYY-MM-DD[-preview] */
static bool is_version(dm_span v) {
  if (v.n < 10 || !are_digits(v.p, 4) || v.p[4] != '-' ||
      !is_part(v.p + 5, "12") || v.p[7] != '-' || !is_part(v.p + 8, "31"))
    return false;
  return v.n == 10 || dm_span_is((dm_span){v.p + 10, v.n - 10}, "-preview");
}

static bool version_fits(dm_exchange *x, const dm_http_request *r) {
  bool twice = false;
  dm_buf text = dm_buf_fixed(x->version_text, sizeof x->version_text);
  x->version = dm_http_query(r, "api-version", &twice);
  if (x->version.p == NULL) return x->hub->api_version_optional;
  if (dm_text_percent_decode(&text, x->version))
    x->version = dm_buf_span(&text);
  return !twice && is_version(x->version);
}

static void refuse_verb(dm_exchange *x, dm_span method) {
  const dm_span part[3] = {
      DM_SPAN("{\"Message\":\"The requested resource does not support http "
              "method '"),
      method, DM_SPAN("'.\"}")};
  dm_exchange_answer(x, 405, DM_SPAN("Allow: POST\r\n"), part);
}

/* A method call that is refused before its body is read has a record too. */
static void refuse(dm_exchange *x, dm_error_id id) {
  const dm_error *e = dm_error_of(id);
  dm_hub *h = x->hub;
  uint64_t place = 0;
  if (x->is_call) {
    x->facts.code = e->code;
    x->facts.http_status = e->code / 1000;
    h->metrics.failed[id]++;
    place = dm_record_keep(x, dm_span_of(e->name), (dm_span){NULL, 0});
  }
  dm_exchange_refuse(x, id);
  dm_record_replied(h, place);
}

/* /devices/{device}/modules[/{module}] */
static bool is_modules_path(const dm_path *p) {
  return (p->count == 3 || p->count == 4) &&
         is_word(p->segment[0], "devices") && is_word(p->segment[2], "modules");
}

/* A device may list, read, create and remove its own modules by its own key, as
** IoT Edge and the C SDK do. */
static bool is_own(dm_hub *h, const caller *f, const dm_path *p, int64_t now,
                   dm_grant *out) {
  const dm_span none = {NULL, 0};
  if (!is_modules_path(p)) return false;
  const dm_identity *device =
      dm_identities_find(&h->identities, p->segment[1], none);
  if (!dm_authorise_device(&h->authority, f->authorization, device,
                           p->segment[1], none, now, out) ||
      out->signer.policy != NULL)
    return false;
  out->rights = DM_RIGHT_REGISTRY_READ | DM_RIGHT_REGISTRY_WRITE;
  return true;
}

/* Is the token good, and does it cover this path? */
static bool is_authorised(dm_exchange *x, const caller *f, const dm_path *p) {
  dm_hub *h = x->hub;
  dm_grant grant = {.why = DM_WHY_NO_TOKEN};
  int64_t now = dm_clock_wall(&h->loop->contract) / 1000;
  const dm_span none = {NULL, 0};
  bool single = f->authorization.p != NULL && !f->authorization_twice;
  bool good =
      single && (dm_authorise_service(&h->authority, f->authorization,
                                      dm_http_server_notes(x->server, x->id),
                                      p->segment, p->count, now, &grant) ||
                 is_own(h, f, p, now, &grant));
  if (good && x->is_call && !(grant.rights & DM_RIGHT_SERVICE_CONNECT)) {
    grant.why = DM_WHY_NO_RIGHT;
    good = false;
  }
  x->rights = grant.rights;
  x->expired = grant.expired;
  if (good) return true;
  if (f->authorization.p != NULL && grant.rights == 0)
    dm_meter_caller_failed(x);
  h->counted.http_unauthorized++;
  dm_tell_request(x, UNAUTHORIZED, &grant, none);
  return false;
}

/* What IoT Hub has at this path, and this hub has not. */
static void refuse_missing(dm_exchange *x, const char *what) {
  char text[MISSING_MAX];
  snprintf(text, sizeof text, "This hub has no %s; IoT Hub has.", what);
  dm_exchange_refuse_as(x, 501, "NotImplemented", dm_span_of(text));
}

/* Bytes that the body of this request may have, by the class of its path. */
static size_t body_limit(const dm_exchange *x, const dm_path *p) {
  const dm_hub *h = x->hub;
  size_t most = (size_t)h->limits.body_size, n = most;
  dm_span first = p->count > 0 ? p->segment[0] : (dm_span){NULL, 0};
  if (x->is_call)
    n = dm_hub_contract_of(h, x->version)->payload + DM_CONTRACT_ENVELOPE;
  else if (is_word(first, "twins") || is_word(first, "digitaltwins"))
    n = TWIN_BODY;
  else if (is_word(first, "jobs"))
    n = JOB_BODY;
  else if (is_word(first, "devices") && p->count > 1 &&
           !is_word(p->segment[1], "query"))
    n = IDENTITY_BODY;
  return n < most ? n : most;
}

/* May the caller send this request? False: it was answered. */
static bool admit(dm_exchange *x, const dm_http_request *r, const caller *f,
                  const dm_path *p) {
  dm_span method = dm_http_method(r);
  x->is_call = is_method_path(x, p);
  const char *missing = x->is_call ? NULL : dm_missing(p);
  if (x->is_call) dm_record_begin(x);
  if (missing != NULL) {
    refuse_missing(x, missing);
  } else if (x->is_call && !dm_span_is(method, "POST")) {
    refuse_verb(x, method);
  } else if (!version_fits(x, r)) {
    x->hub->counted.http_bad_version++;
    refuse(x, DM_ERROR_BAD_VERSION);
  } else if (dm_meter_refuses_any(x->hub) && !dm_meter_caller(x)) {
    refuse(x, DM_ERROR_THROTTLED);
  } else if (!is_authorised(x, f, p)) {
    refuse(x, DM_ERROR_UNAUTHORIZED);
  } else {
    return true;
  }
  return false;
}

/* Until its body is there, it is no call that has a record. */
static size_t await_body(dm_exchange *x, const dm_path *p) {
  size_t limit = body_limit(x, p);
  x->is_call = false;
  x->device = x->module = x->component = x->command = (dm_span){NULL, 0};
  dm_exchange_park(x);
  return limit;
}

/* MQTT over WebSocket: the device is authorised by its CONNECT. */
static bool is_websocket_path(const dm_path *p) {
  return p->count == 2 && dm_span_is(p->segment[0], "$iothub") &&
         dm_span_is(p->segment[1], "websocket");
}

static void upgrade(dm_hub_listener *l, uint64_t id, const dm_http_request *r) {
  char memory[DM_HTTP_WEBSOCKET_FIELDS];
  dm_buf fields = dm_buf_fixed(memory, sizeof memory);
  const char *why = "The hub takes no more connections.";
  int status = dm_http_websocket(r, "mqtt", &fields, &why);
  if (status == 101) {
    if (!l->hub->stopping && l->mqtt != NULL &&
        dm_mqtt_server_upgrade(l->mqtt, l->http, id, dm_buf_span(&fields)))
      return;
    fields.len = 0;
    status = 503;
  }
  l->hub->counted.websocket_refused++;
  dm_buf_add_text(&fields, "Content-Type: application/json; charset=utf-8\r\n");
  dm_http_server_answer(l->http, id, status, dm_buf_span(&fields),
                        DM_SPAN("{\"Message\":\""), dm_span_of(why),
                        DM_SPAN("\"}"));
}

/* The exchange of a request, with the ids that the caller sent along. NULL: no
** memory, and the request was answered. */
static dm_exchange *open_exchange(dm_hub_listener *l, uint64_t id,
                                  const caller *f) {
  const dm_span none = {NULL, 0};
  dm_exchange *x = dm_exchange_open(l->hub, l->http, id);
  if (x == NULL) {
    dm_http_server_answer(l->http, id, 503, none, none, none, none);
    return NULL;
  }
  x->settle = dm_settle_find(&l->hub->loop->settle, f->request_id);
  add_echo(x, "Request-Id: ", f->request_id);
  add_echo(x, "x-ms-client-request-id: ", f->client_request_id);
  return x;
}

size_t dm_route_on_headers(void *context, uint64_t id,
                           const dm_http_request *r) {
  dm_hub_listener *l = context;
  char memory[PATH_BYTES];
  dm_buf decoded = dm_buf_fixed(memory, sizeof memory);
  dm_path p;
  l->hub->counted.http_requests++;
  bool good = dm_path_split(r->path, &decoded, &p);
  if (good && !l->admin && is_websocket_path(&p)) {
    upgrade(l, id, r);
    return 0;
  }
  caller f = read_caller(r);
  dm_exchange *x = open_exchange(l, id, &f);
  if (x == NULL) return 0;
  if (!good)
    dm_exchange_refuse(x, DM_ERROR_ARGUMENT);
  else if (l->admin)
    return dm_admin_admit(x, r, l->tls != NULL);
  else if (admit(x, r, &f, &p))
    return await_body(x, &p);
  return 0;
}

void dm_route_on_request(void *context, uint64_t id, const dm_http_request *r) {
  dm_hub_listener *l = context;
  char memory[PATH_BYTES];
  dm_buf decoded = dm_buf_fixed(memory, sizeof memory);
  dm_path p;
  dm_exchange *x = dm_exchange_find(l->hub, l->http, id);
  if (x == NULL) return;
  x->is_call = !l->admin && dm_path_split(r->path, &decoded, &p) &&
               is_method_path(x, &p);
  if (x->is_call) {
    dm_invoke(x, r);
    dm_http_server_release(l->http, id); /* the device has it, or x */
  } else {
    dm_control_hand_up(x, r);
  }
}

void dm_route_on_gone(void *context, uint64_t id) {
  dm_hub_listener *l = context;
  dm_exchange *x = dm_exchange_find(l->hub, l->http, id);
  if (x == NULL) return;
  if (!x->streams) l->hub->counted.http_gone++;
  dm_record_gone(x);
  dm_call_release(x);
  dm_exchange_end(x);
}

void dm_route_on_refused(void *context, uint64_t id) {
  dm_hub_listener *l = context;
  dm_exchange *x = dm_exchange_find(l->hub, l->http, id);
  l->hub->counted.http_refused++;
  if (x != NULL) dm_exchange_end(x);
}

void dm_route_on_unused(void *context, const char *peer, const dm_err *why) {
  const dm_hub_listener *l = context;
  dm_news news = dm_tell_unused(why);
  news.address = peer;
  if (!l->hub->closing && !l->hub->stopping) dm_tell(l->hub, &news);
}
