/* invoke.c -- see invoke.h. Loop thread only. */
#include "hub/invoke.h"

#include <stdio.h>

#include "hub/call.h"
#include "hub/charset.h"
#include "hub/control.h"
#include "hub/dispatch.h"
#include "hub/inject.h"
#include "hub/record.h"
#include "proto/json.h"
#include "proto/text.h"

enum {
  WHY_MAX = 160, /* bytes of a message, with its NUL */
  NAME_ROOM = 4 * DM_METHOD_NAME_MAX
};

enum { METHOD_NAME, RESPONSE_TIMEOUT, CONNECT_TIMEOUT, PAYLOAD, MEMBERS };

/* True: the body is not compressed. */
static bool is_plain_coding(dm_span coding) {
  return coding.p == NULL ||
         dm_span_equal_nocase(coding, DM_SPAN("identity")) ||
         dm_span_equal_nocase(coding, DM_SPAN("utf-8"));
}

/* application/json; a charset, if there is one, must be UTF-8. */
static bool is_json_type(dm_span type) {
  dm_span rest;
  dm_span media = dm_text_trim(dm_text_cut(type, ';', &rest), " \t");
  if (!dm_span_equal_nocase(media, DM_SPAN("application/json"))) return false;
  while (rest.p != NULL) {
    dm_span value;
    dm_span name = dm_text_cut(dm_text_cut(rest, ';', &rest), '=', &value);
    if (!dm_span_equal_nocase(dm_text_trim(name, " \t"), DM_SPAN("charset")))
      continue;
    if (!dm_span_equal_nocase(dm_text_trim(value, " \t\""), DM_SPAN("utf-8")))
      return false;
  }
  return true;
}

static bool is_null(dm_span value) {
  return value.p == NULL || dm_span_is(value, "null");
}

static bool refuse(char why[WHY_MAX], const char *text) {
  snprintf(why, WHY_MAX, "%s", text);
  return false;
}

static bool read_name(dm_exchange *x, dm_span value, char why[WHY_MAX]) {
  char memory[NAME_ROOM];
  dm_buf name = dm_buf_fixed(memory, sizeof memory);
  if (!is_null(value) && dm_json_kind_of(value) != DM_JSON_STRING)
    return refuse(why, "methodName must be a string.");
  if (!is_null(value) && !dm_json_string(&name, value))
    return refuse(why, DM_METHOD_NAME_LONG);
  const char *wrong = dm_contract_wrong_method_name(dm_buf_span(&name));
  if (wrong != NULL) return refuse(why, wrong);
  memcpy(x->method, memory, name.len);
  x->method_length = name.len;
  return true;
}

static bool read_seconds(dm_span value, const char *name, int least,
                         int greatest, int absent, int *out,
                         char why[WHY_MAX]) {
  int64_t n = 0;
  *out = absent;
  if (is_null(value)) return true;
  bool whole = dm_json_int64_text(value, &n);
  if (!whole || n < least || n > greatest) {
    bool is_text = dm_json_kind_of(value) == DM_JSON_STRING;
    snprintf(why, WHY_MAX, "%s must be within [%d; %d].%s", name, least,
             greatest,
             is_text && !whole ? " Its text is no whole number." : "");
    return false;
  }
  *out = (int)n;
  return true;
}

static bool read_payload(const dm_exchange *x, dm_span value, size_t limit,
                         char why[WHY_MAX]) {
  if (value.n > limit) {
    snprintf(why, WHY_MAX, "'payload' size must not exceed %zu bytes.", limit);
    return false;
  }
  if (x->hub->documented_charset && !dm_charset_holds(value))
    return refuse(why, "'payload' holds a character that is not allowed in "
                       "property names and values.");
  return true;
}

/* Find the members of the envelope. False: it is no object, or has one of them
** twice. */
static bool read_envelope(dm_span body, dm_json_member member[MEMBERS],
                          char why[WHY_MAX]) {
  dm_span envelope;
  dm_err e;
  if (dm_json_check(body, DM_JSON_DEPTH + 1, &envelope, NULL, &e) != DM_OK) {
    snprintf(why, WHY_MAX, "The body is not valid JSON: %.120s", e.text);
    return false;
  }
  if (dm_json_kind_of(envelope) != DM_JSON_OBJECT)
    return refuse(why, "The body must be a JSON object.");
  if (dm_json_members(envelope, member, MEMBERS, &e) != DM_OK) {
    snprintf(why, WHY_MAX, "The body is ambiguous: %.120s", e.text);
    return false;
  }
  return true;
}

/* Read the whole body. False: 'why' says what is wrong with it. */
static bool read_body(dm_exchange *x, dm_span body, const dm_contract *contract,
                      dm_span *payload, char why[WHY_MAX]) {
  dm_json_member m[MEMBERS] = {
      [METHOD_NAME] = {.name = "methodName"},
      [RESPONSE_TIMEOUT] = {.name = "responseTimeoutInSeconds"},
      [CONNECT_TIMEOUT] = {.name = "connectTimeoutInSeconds"},
      [PAYLOAD] = {.name = "payload"}};
  if (!read_envelope(body, m, why)) return false;
  *payload = m[PAYLOAD].value;
  return read_name(x, m[METHOD_NAME].value, why) &&
         read_seconds(m[RESPONSE_TIMEOUT].value, m[RESPONSE_TIMEOUT].name,
                      contract->response_min, contract->response_max,
                      contract->response_default, &x->response_seconds, why) &&
         read_seconds(m[CONNECT_TIMEOUT].value, m[CONNECT_TIMEOUT].name, 0,
                      contract->connect_max, 0, &x->connect_seconds, why) &&
         read_payload(x, *payload, contract->payload, why);
}

/* A command of a digital twin: its name is in the path, the seconds are in the
** query, and the body is the payload alone. */

static bool read_command_name(dm_exchange *x, char why[WHY_MAX]) {
  dm_buf name = dm_buf_fixed(x->method, sizeof x->method);
  bool fits = x->component.p == NULL || (dm_buf_add_span(&name, x->component) &&
                                         dm_buf_add(&name, "*", 1));
  if (!fits || !dm_buf_add_span(&name, x->command))
    return refuse(why, DM_METHOD_NAME_LONG);
  const char *wrong = dm_contract_wrong_method_name(dm_buf_span(&name));
  if (wrong != NULL) return refuse(why, wrong);
  x->method_length = name.len;
  return true;
}

static bool read_command_payload(dm_exchange *x, dm_span body, size_t limit,
                                 dm_span *payload, char why[WHY_MAX]) {
  dm_err e;
  *payload = (dm_span){NULL, 0};
  if (body.n == 0) return true;
  if (dm_json_check(body, DM_JSON_DEPTH, payload, NULL, &e) != DM_OK) {
    snprintf(why, WHY_MAX, "The body is not valid JSON: %.120s", e.text);
    return false;
  }
  return read_payload(x, *payload, limit, why);
}

/* Like read_seconds, for a query parameter, whose value may be empty. */
static bool read_parameter(const dm_http_request *r, const char *name,
                           int least, int greatest, int absent, int *out,
                           char why[WHY_MAX]) {
  bool twice;
  dm_span value = dm_http_query(r, name, &twice);
  if (twice) {
    snprintf(why, WHY_MAX, "'%s' stands twice.", name);
    return false;
  }
  if (value.n == 0) value.p = NULL;
  return read_seconds(value, name, least, greatest, absent, out, why);
}

static bool read_command(dm_exchange *x, const dm_http_request *r,
                         const dm_contract *contract, dm_span *payload,
                         char why[WHY_MAX]) {
  return read_command_name(x, why) &&
         read_parameter(r, "responseTimeoutInSeconds", contract->response_min,
                        contract->response_max, contract->response_default,
                        &x->response_seconds, why) &&
         read_parameter(r, "connectTimeoutInSeconds", 0, contract->connect_max,
                        0, &x->connect_seconds, why) &&
         read_command_payload(x, r->body, contract->payload, payload, why);
}

static bool read_request(dm_exchange *x, const dm_http_request *r,
                         dm_span *payload, char why[WHY_MAX]) {
  const dm_contract *contract = dm_hub_contract_of(x->hub, x->version);
  if (x->is_command) return read_command(x, r, contract, payload, why);
  return read_body(x, r->body, contract, payload, why);
}

/* Check a call of the admin listener. It is like a command, but its seconds
** came as numbers and are checked already. */
static bool read_own(dm_exchange *x, const dm_hub_invocation *o,
                     dm_span *payload, char why[WHY_MAX]) {
  const dm_hub *h = x->hub;
  const dm_contract *contract =
      h->contract != NULL ? h->contract : dm_contract_newest();
  return read_command_name(x, why) &&
         read_command_payload(x, o->payload, contract->payload, payload, why);
}

/* Accept a well-formed call: record it, then apply fault rules or dispatch it.
*/
static void go_on(dm_exchange *x, dm_span payload, unsigned azure) {
  dm_record_accepted(x, azure);
  dm_trace_request(&x->hub->trace, &x->facts, payload);
  dm_inject_http(x, payload, dm_dispatch);
}

static void start_own(dm_exchange *x, const dm_hub_invocation *o) {
  char why[WHY_MAX];
  dm_span payload;
  x->command = o->method;
  dm_record_begin_own(x, o);
  if (!dm_dispatch_admits(x)) return;
  if (read_own(x, o, &payload, why))
    go_on(x, payload, 0);
  else
    dm_call_fail_as(x, DM_ERROR_ARGUMENT, dm_span_of(why));
}

bool dm_hub_call_for(dm_hub *h, uint64_t request, const dm_hub_invocation *o) {
  dm_exchange *x = dm_control_request(h, request);
  if (x == NULL) return false;
  dm_http_server *server = x->server;
  uint64_t id = x->id;
  start_own(x, o);
  dm_http_server_release(server, id); /* its body was sent, or 'x' has a copy */
  return true;
}

/* Would Azure refuse the api-version of a call that this hub has accepted? */
static unsigned azure_of(const dm_exchange *x) {
  if (x->version.p == NULL) return DM_AZURE_NO_VERSION;
  bool fits = dm_contract_is_dated(x->version) &&
              (!x->is_command || dm_contract_has_commands(x->version));
  return fits ? 0 : DM_AZURE_VERSION;
}

void dm_invoke(dm_exchange *x, const dm_http_request *r) {
  dm_hub *h = x->hub;
  char why[WHY_MAX];
  dm_span payload;
  h->counted.calls++;
  dm_record_reached(x, DM_CALL_AUTHORISED);
  if (!dm_dispatch_admits(x)) return;
  if (!is_plain_coding(dm_http_header(r, "Content-Encoding")) ||
      (r->body.n > 0 && !is_json_type(dm_http_header(r, "Content-Type")))) {
    dm_call_fail(x, DM_ERROR_MEDIA);
  } else if (!read_request(x, r, &payload, why)) {
    dm_call_fail_as(x, DM_ERROR_ARGUMENT, dm_span_of(why));
  } else {
    go_on(x, payload, azure_of(x));
  }
}
