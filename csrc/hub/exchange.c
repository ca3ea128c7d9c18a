/* exchange.c -- see exchange.h. Loop thread only. */
#include "hub/exchange.h"

#include <stdlib.h>

#include "hub/remote.h"
#include "hub/tell.h"

enum {
  BAD_REQUEST = 400,
  FREE_MAX = 1024,      /* exchanges kept for reuse */
  KEPT_PAYLOAD = 16384, /* a larger buffer is not kept with them */
  FIELD_MAX = 128,      /* bytes of a header line with its name */
  FIELDS_MAX = 2048,    /* bytes of an answer's header lines, at least */
  ENVELOPE_MAX = 48     /* bytes before the payload of a device's answer */
};

#define JSON_TYPE "Content-Type: application/json; charset=utf-8\r\n"

static dm_exchange **chain_of(dm_hub *h, const dm_http_server *s, uint64_t id) {
  uint64_t hash = (id ^ (uintptr_t)s) * 0x9e3779b97f4a7c15u;
  return &h->parked[(size_t)(hash >> 32) & (DM_HUB_PARKED - 1)];
}

static dm_exchange *take_free(dm_hub *h) {
  dm_exchange *x = h->free_exchanges;
  if (x == NULL) {
    x = calloc(1, sizeof *x);
    if (x == NULL) return NULL;
    x->hub = h;
    dm_buf_init(&x->echo, DM_ECHO_MAX);
    dm_buf_init(&x->job, DM_JOB_ID_MAX);
    dm_buf_init(&x->payload, (size_t)h->limits.body_size);
    dm_list_init(&x->node);
    return x;
  }
  h->free_exchanges = x->next;
  h->free_count--;
  return x;
}

dm_exchange *dm_exchange_open(dm_hub *h, dm_http_server *s, uint64_t id) {
  dm_exchange *x = take_free(h);
  if (x == NULL) return NULL;
  x->server = s;
  x->id = id;
  x->failed = NULL;
  x->next = NULL;
  x->parked = x->is_call = x->streams = false;
  x->settle = x->handed = 0;
  x->rights = 0;
  x->version = (dm_span){NULL, 0};
  x->retry_after = 0;
  x->echo.len = x->payload.len = x->job.len = x->method_length = 0;
  x->response_seconds = x->connect_seconds = 0;
  x->device = x->module = (dm_span){NULL, 0};
  x->component = x->command = (dm_span){NULL, 0};
  x->is_command = false;
  x->remote = NULL;
  h->open_exchanges++;
  return x;
}

void dm_exchange_park(dm_exchange *x) {
  dm_exchange **head = chain_of(x->hub, x->server, x->id);
  x->next = *head;
  *head = x;
  x->parked = true;
}

dm_exchange *dm_exchange_find(dm_hub *h, const dm_http_server *s, uint64_t id) {
  dm_exchange *x = *chain_of(h, s, id);
  while (x != NULL && (x->id != id || x->server != s))
    x = x->next;
  return x;
}

dm_exchange *dm_exchange_find_lent(dm_hub *h, uint64_t asked) {
  dm_exchange *x = *chain_of(h, NULL, asked);
  while (x != NULL && !(x->id == asked && dm_remote_is_lent(x)))
    x = x->next;
  return x;
}

static void unpark(dm_exchange *x) {
  dm_exchange **place = chain_of(x->hub, x->server, x->id);
  while (*place != NULL && *place != x)
    place = &(*place)->next;
  if (*place != NULL) *place = x->next;
  x->parked = false;
}

static void free_exchange(dm_exchange *x) {
  dm_buf_clear(&x->echo);
  dm_buf_clear(&x->job);
  dm_buf_clear(&x->payload);
  free(x);
}

void dm_exchange_free_spare(dm_hub *h) {
  while (h->free_exchanges != NULL) {
    dm_exchange *x = h->free_exchanges;
    h->free_exchanges = x->next;
    free_exchange(x);
  }
  h->free_count = 0;
}

void dm_exchange_end(dm_exchange *x) {
  dm_hub *h = x->hub;
  if (x->parked) unpark(x);
  if (x->handed != 0) dm_ids_remove(&h->handed, x->handed);
  free(x->remote);
  h->open_exchanges--;
  if (h->free_count == FREE_MAX) {
    free_exchange(x);
  } else {
    if (x->payload.capacity > KEPT_PAYLOAD) dm_buf_clear(&x->payload);
    x->next = h->free_exchanges;
    h->free_exchanges = x;
    h->free_count++;
  }
  dm_hub_check_stopped(h);
}

/* Answers */

/* A GUID in lower case. */
static bool add_guid(dm_buf *out, dm_hub *h) {
  char memory[33];
  dm_buf hex = dm_buf_fixed(memory, sizeof memory);
  uint64_t number[2] = {dm_hub_random(h), dm_hub_random(h)};
  char *p = dm_buf_reserve(out, 36);
  if (p == NULL) return false;
  dm_error_write_hex(&hex, number);
  memset(p, '-', 36);
  memcpy(p, memory, 8);
  memcpy(p + 9, memory + 8, 4);
  memcpy(p + 14, memory + 12, 4);
  memcpy(p + 19, memory + 16, 4);
  memcpy(p + 24, memory + 20, 12);
  out->len += 36;
  return true;
}

static bool add_etag(dm_buf *out, dm_hub *h) {
  return dm_buf_add_text(out, "ETag: \"") && add_guid(out, h) &&
         dm_buf_add_text(out, "\"\r\n");
}

/* The hub's id of the request, and the ids that the caller sent along. */
static bool add_ids(dm_buf *out, dm_exchange *x) {
  return dm_buf_add_text(out, "x-ms-request-id: ") && add_guid(out, x->hub) &&
         dm_buf_add_text(out, "\r\n") &&
         dm_buf_add_span(out, dm_buf_span(&x->echo));
}

/* 'fields' are all header lines of the answer. */
static bool finish(dm_exchange *x, int status, dm_span fields,
                   const dm_span part[3]) {
  if (x->settle != 0) dm_settle_set(&x->hub->loop->settle, x->settle, 1);
  bool sent = dm_http_server_answer(x->server, x->id, status, fields, part[0],
                                    part[1], part[2]);
  dm_exchange_end(x);
  return sent;
}

/* Is there a header line of this name? */
static bool has_field(dm_span fields, const char *name) {
  size_t n = strlen(name);
  while (fields.n > n) {
    dm_span start = {fields.p, n};
    if (dm_span_equal_nocase(start, dm_span_of(name)) && fields.p[n] == ':')
      return true;
    const char *end = memchr(fields.p, '\n', fields.n);
    if (end == NULL) return false;
    fields.n -= (size_t)(end + 1 - fields.p);
    fields.p = end + 1;
  }
  return false;
}

dm_span dm_exchange_guards(const dm_exchange *x) {
  if ((x->rights & DM_RIGHT_ADMIN) == 0) return (dm_span){NULL, 0};
  return DM_SPAN("X-Content-Type-Options: nosniff\r\n"
                 "Referrer-Policy: no-referrer\r\n"
                 "Cross-Origin-Resource-Policy: same-origin\r\n"
                 "X-Frame-Options: DENY\r\n");
}

#define NO_SOURCES                                                             \
  "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"    \
  "Cache-Control: no-store\r\n"

/* A page of the inspector has its own Content-Security-Policy and
** Cache-Control; other answers get the strictest ones here. */
static bool add_guards(dm_buf *out, const dm_exchange *x, dm_span fields) {
  dm_span guards = dm_exchange_guards(x);
  return dm_buf_add_span(out, guards) &&
         (guards.n == 0 || has_field(fields, "Content-Security-Policy") ||
          dm_buf_add_text(out, NO_SOURCES));
}

bool dm_exchange_answer(dm_exchange *x, int status, dm_span fields,
                        const dm_span part[3]) {
  char memory[FIELDS_MAX];
  dm_buf out = dm_buf_fixed(memory, sizeof memory);
  if (fields.n > FIELDS_MAX / 2) dm_buf_init(&out, fields.n + FIELDS_MAX);
  bool typed = part[0].n + part[1].n + part[2].n == 0 ||
               has_field(fields, "Content-Type");
  bool added = dm_buf_add_span(&out, fields) &&
               (typed || dm_buf_add_text(&out, JSON_TYPE)) &&
               (has_field(fields, "ETag") || add_etag(&out, x->hub)) &&
               add_guards(&out, x, fields) && add_ids(&out, x);
  if (!added) out.len = 0;
  bool sent = finish(x, status, dm_buf_span(&out), part);
  if (out.data != memory) dm_buf_clear(&out);
  return sent;
}

static bool answer_error(dm_exchange *x, int status, const char *name,
                         const dm_buf *body) {
  char memory[FIELD_MAX];
  dm_buf field = dm_buf_fixed(memory, sizeof memory);
  dm_buf_addf(&field, "iothub-errorcode: %s\r\n", name);
  if (x->retry_after > 0)
    dm_buf_addf(&field, "Retry-After: %d\r\n", x->retry_after);
  const dm_span part[3] = {dm_buf_span(body)};
  return dm_exchange_answer(x, status, dm_buf_span(&field), part);
}

/* Say what is wrong with a request. */
static void tell_wrong(const dm_exchange *x, int status, dm_span text) {
  if (status == BAD_REQUEST) dm_tell_request(x, status, NULL, text);
}

bool dm_exchange_refuse_as(dm_exchange *x, int status, const char *name,
                           dm_span text) {
  char memory[DM_ERROR_MAX];
  dm_buf body = dm_buf_fixed(memory, sizeof memory);
  dm_error_mark mark = dm_hub_mark(x->hub);
  dm_error_write_e(&body, name, text, &mark);
  if (dm_span_is(text, dm_error_of(DM_ERROR_BAD_VERSION)->text))
    text = DM_SPAN("api-version is missing, stands twice or is malformed");
  tell_wrong(x, status, text);
  return answer_error(x, status, name, &body);
}

bool dm_exchange_refuse(dm_exchange *x, dm_error_id id) {
  const dm_error *e = dm_error_of(id);
  return dm_exchange_refuse_as(x, e->code / 1000, e->name, dm_span_of(e->text));
}

/* The end of a method call */

/* A call of another hub's ends. */
static void reply(dm_exchange *x, const dm_bus_result *r) {
  dm_remote_reply(x, r);
  dm_exchange_end(x);
}

/* A call of the control plane's own ends. While dm_hub_invoke still starts it,
** the failure is dm_hub_invoke's result; later it is an event. */
static void tell_invoked(dm_exchange *x, dm_hub_result result) {
  dm_hub *h = x->hub;
  if (dm_remote_is_lent(x)) {
    reply(x, &(dm_bus_result){.end = result.code == 0 ? DM_BUS_ANSWERED
                                                      : DM_BUS_FAILED,
                              .status = result.status,
                              .payload = result.payload,
                              .code = result.code,
                              .name = result.name,
                              .text = result.text});
    return;
  }
  dm_hub_result *failed = x->failed;
  result.id = x->handed;
  dm_exchange_end(x);
  if (failed != NULL)
    *failed = result;
  else if (h->events != NULL)
    h->events->on_invoked(h->context, &result);
}

/* {"status":200,"payload": -- written without a format, since every answered
** call passes here. */
static dm_span open_envelope(char memory[ENVELOPE_MAX], int32_t status) {
  static const char first[] = "{\"status\":", second[] = ",\"payload\":";
  uint32_t left = status < 0 ? 0u - (uint32_t)status : (uint32_t)status;
  char *end = memory + ENVELOPE_MAX, *p = end - (sizeof second - 1);
  memcpy(p, second, sizeof second - 1);
  do {
    *--p = (char)('0' + left % 10);
    left /= 10;
  } while (left > 0);
  if (status < 0) *--p = '-';
  p -= sizeof first - 1;
  memcpy(p, first, sizeof first - 1);
  return (dm_span){p, (size_t)(end - p)};
}

/* A command of a digital twin: the payload alone; the status is in the header.
*/
static void answer_command(dm_exchange *x, int32_t status, dm_span value) {
  char memory[FIELD_MAX];
  dm_buf field = dm_buf_fixed(memory, sizeof memory);
  dm_buf_addf(&field, "x-ms-command-statuscode: %d\r\n", (int)status);
  const dm_span part[3] = {value};
  dm_exchange_answer(x, 200, dm_buf_span(&field), part);
}

void dm_exchange_answer_call(dm_exchange *x, int32_t status, dm_span value) {
  char memory[ENVELOPE_MAX];
  if (!dm_exchange_is_http(x)) {
    tell_invoked(x, (dm_hub_result){.status = status, .payload = value});
    return;
  }
  if (x->is_command) {
    answer_command(x, status, value);
    return;
  }
  const dm_span part[3] = {open_envelope(memory, status), value, DM_SPAN("}")};
  dm_exchange_answer(x, 200, (dm_span){NULL, 0}, part);
}

void dm_exchange_fail_call(dm_exchange *x, dm_error_id id, dm_span text,
                           int seconds) {
  const dm_error *e = dm_error_of(id);
  char memory[DM_ERROR_MAX];
  dm_buf body = dm_buf_fixed(memory, sizeof memory);
  if (!dm_exchange_is_http(x)) {
    tell_invoked(
        x, (dm_hub_result){.code = e->code,
                           .name = dm_span_of(e->name),
                           .text = text.p != NULL ? text : dm_span_of(e->text),
                           .absent = id == DM_ERROR_NOT_ONLINE});
    return;
  }
  dm_error_mark mark = dm_hub_mark(x->hub);
  dm_error_write_m(&body, e, text, seconds, &mark);
  if (id != DM_ERROR_TAKEN_OVER)
    tell_wrong(x, e->code / 1000, text.p ? text : dm_span_of(e->text));
  answer_error(x, e->code / 1000, e->name, &body);
}

/* The body that the rule gives, or Format M with its code and text. */
static void answer_rejection(dm_exchange *x, const dm_fault *f) {
  char memory[DM_ERROR_MAX], field[FIELD_MAX];
  dm_buf body = dm_buf_fixed(memory, sizeof memory);
  dm_buf fields = dm_buf_fixed(field, sizeof field);
  dm_error_mark mark = dm_hub_mark(x->hub);
  const dm_error e = {.code = f->o.code, .info = DM_INFO_EMPTY};
  if (f->o.name.n > 0) {
    dm_buf_addf(&fields, "iothub-errorcode: %.*s\r\n", (int)f->o.name.n,
                f->o.name.p);
  }
  if (f->o.body.p == NULL) dm_error_write_m(&body, &e, f->o.text, 0, &mark);
  const dm_span part[3] = {f->o.body.p != NULL ? f->o.body
                                               : dm_buf_span(&body)};
  dm_exchange_answer(x, f->o.status, dm_buf_span(&fields), part);
}

void dm_exchange_reject_call(dm_exchange *x, const dm_fault *f,
                             dm_span outcome) {
  if (dm_exchange_is_http(x))
    answer_rejection(x, f);
  else if (dm_remote_is_lent(x))
    reply(x, &(dm_bus_result){.end = DM_BUS_FAILED,
                              .payload = f->o.body,
                              .code = f->o.code,
                              .http_status = f->o.status,
                              .name = f->o.name,
                              .text = f->o.text});
  else
    tell_invoked(x, (dm_hub_result){
                        .code = f->o.code, .name = outcome, .text = f->o.text});
}
