/* http_client.c -- see http_client.h: starts and ends requests, and describes
** what failed. The transfers run on http_multi. Loop thread only.
*/
#include "net/http_client.h"

#include <stdlib.h>
#include <string.h>

#include "net/http_multi.h"
#include "net/http_request.h"

enum { SPARES_MAX = 64 }; /* requests that are kept to be used again */

struct dm_http_client {
  dm_loop *loop;
  dm_http_settings settings; /* owned */
  dm_list active, spare;
  int spares;
  void (*on_answer)(void *context, uint64_t id, const dm_http_answer *a);
  void (*on_piece)(void *context, uint64_t id, dm_span bytes);
  void *context; /* borrowed */
};

/* -- The end of a request -------------------------------------------------- */

/* Remove the request from the clock, the ids and the look-up, and keep it for
** the next one. */
static void end(dm_http_request *r) {
  dm_http_client *c = r->client;
  dm_loop *loop = c->loop;
  dm_clock_stop(&loop->contract, &r->deadline);
  dm_ids_remove(&loop->ids, r->id);
  dm_list_remove(&r->asker.node);
  dm_list_remove(&r->node);
  dm_http_request_clear(r);
  if (c->spares < SPARES_MAX) {
    dm_list_append(&c->spare, &r->node);
    c->spares++;
  } else {
    dm_http_request_free(r);
  }
}

/* The owner may send, cancel and free the client within on_answer. So the
** request has left its lists before, and the spans point into buffers that were
** moved out of it. */
static void answer(dm_http_request *r, dm_http_answer *a) {
  dm_http_client *c = r->client;
  dm_loop *loop = c->loop;
  uint64_t id = r->id, token = r->token;
  dm_buf fields = r->fields, body = r->answer;
  a->fields = dm_buf_span(&fields);
  a->body = dm_buf_span(&body);
  dm_buf_init(&r->fields, fields.limit);
  dm_buf_init(&r->answer, 0);
  end(r);
  c->on_answer(c->context, id, a);
  dm_buf_clear(&fields);
  dm_buf_clear(&body);
  dm_settle_close(&loop->settle, token);
}

static const char *where(const dm_http_request *r) {
  return r->client->settings.where;
}

static void fail_connect(const dm_http_request *r, CURLcode result, dm_err *e) {
  const char *to = r->client->settings.proxy ? "the proxy for " : "";
  long number = 0;
  curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &number);
  const char *why = number ? strerror((int)number) : "failed";
  if (result == CURLE_OPERATION_TIMEDOUT) why = "timed out";
  dm_fail(e, DM_CONNECT_FAILED, "connect to %s%s: %s", to, where(r), why);
}

static void fail_limit(const dm_http_request *r, dm_err *e) {
  dm_fail(e, DM_LIMIT_EXCEEDED, "%s: the answer is over %zu bytes", where(r),
          r->answer.limit);
}

/* Did the proxy answer CONNECT with another status than 2xx? */
static bool is_refused_by_proxy(const dm_http_request *r, dm_err *e) {
  long status = 0;
  curl_easy_getinfo(r->easy, CURLINFO_HTTP_CONNECTCODE, &status);
  if (status == 0 || status / 100 == 2) return false;
  dm_fail(e, DM_CONNECT_FAILED,
          "connect to %s: the proxy answered HTTP status %ld", where(r),
          status);
  return true;
}

/* curl's own words only where they say more, and can hold no secret. */
static void explain(const dm_http_request *r, CURLcode result, dm_err *e) {
  if (is_refused_by_proxy(r, e)) return;
  switch (result) {
  case CURLE_COULDNT_RESOLVE_HOST:
    dm_fail(e, DM_NAME_NOT_RESOLVED, "%s: the host name does not resolve",
            where(r));
    break;
  case CURLE_COULDNT_RESOLVE_PROXY:
    dm_fail(e, DM_NAME_NOT_RESOLVED, "%s: the proxy's name does not resolve",
            where(r));
    break;
  case CURLE_COULDNT_CONNECT:
  case CURLE_OPERATION_TIMEDOUT:
    fail_connect(r, result, e);
    break;
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
    dm_fail(e, DM_TLS_FAILED, "connect to %s: TLS: %s", where(r),
            r->reason[0] ? r->reason : curl_easy_strerror(result));
    break;
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_PARTIAL_FILE:
  case CURLE_ABORTED_BY_CALLBACK:
    dm_fail(e, DM_CONNECT_FAILED,
            "%s closed the connection before it had answered", where(r));
    break;
  case CURLE_WRITE_ERROR:
    fail_limit(r, e);
    break;
  case CURLE_OUT_OF_MEMORY:
    dm_fail(e, DM_SYSTEM_ERROR, "%s: out of memory", where(r));
    break;
  default:
    dm_fail(e, DM_PROTOCOL_ERROR, "%s: %s", where(r),
            curl_easy_strerror(result));
  }
}

static void on_done(void *context, CURL *easy, CURLcode result) {
  dm_http_answer a = {.sent = true};
  dm_http_request *r = NULL;
  long status = 0;
  (void)context;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, (void *)&r);
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  a.status = (int)status;
  if (result != CURLE_OK) {
    a.sent = dm_http_request_sent(r);
    explain(r, result, &a.error);
  }
  answer(r, &a);
}

static bool is_with_curl(const dm_http_request *r) {
  return dm_list_empty(&r->asker.node);
}

static void withdraw(dm_http_request *r) {
  if (is_with_curl(r)) dm_http_multi_remove(r->client->settings.multi, r->easy);
}

static void on_due(dm_timer *timer) {
  dm_http_request *r = DM_OWNER(timer, dm_http_request, deadline);
  dm_http_answer a = {.sent = is_with_curl(r) && dm_http_request_sent(r)};
  withdraw(r);
  dm_fail(&a.error, DM_TIMEOUT, "%s: no answer within %g s", where(r),
          (double)r->timeout_ms / 1000);
  answer(r, &a);
}

/* -- The start of a request ------------------------------------------------ */

static dm_http_request *request_take(dm_http_client *c) {
  if (dm_list_empty(&c->spare)) return dm_http_request_new(c, &c->settings);
  dm_http_request *r = DM_OWNER(c->spare.next, dm_http_request, node);
  dm_list_remove(&r->node);
  c->spares--;
  return r;
}

static dm_code out_of_memory(const dm_http_request *r, dm_err *e) {
  return dm_fail(e, DM_SYSTEM_ERROR, "%s: out of memory", where(r));
}

/* Give the address to curl, and then the request. */
static dm_code use_address(dm_http_request *r, const dm_address *to,
                           dm_err *e) {
  const dm_http_settings *s = &r->client->settings;
  char text[INET6_ADDRSTRLEN];
  int rc = to->any.sa_family == AF_INET6
               ? uv_ip6_name(&to->six, text, sizeof text)
               : uv_ip4_name(&to->four, text, sizeof text);
  if (rc == 0 && dm_http_request_address(r, s, text) &&
      dm_http_multi_add(s->multi, r->easy))
    return DM_OK;
  return out_of_memory(r, e);
}

static void on_found(dm_asker *asker, const dm_address *to, const dm_err *why) {
  dm_http_request *r = DM_OWNER(asker, dm_http_request, asker);
  dm_http_answer a = {.sent = false};
  if (to == NULL)
    dm_fail(&a.error, why->code, "%s: %s", where(r), why->text);
  else if (use_address(r, to, &a.error) == DM_OK)
    return;
  answer(r, &a);
}

static dm_code look_up(dm_http_request *r, const char *name, dm_err *e) {
  dm_address to;
  dm_lookup *lookup = dm_lookup_of(r->client->loop, e);
  if (lookup == NULL) return e->code;
  r->asker.on_found = on_found;
  dm_code code = dm_lookup_ask(lookup, name, &r->asker, &to, e);
  if (code != DM_OK || to.any.sa_family == AF_UNSPEC) return code;
  return use_address(r, &to, e);
}

static void give_piece(dm_http_request *r, dm_span bytes) {
  r->client->on_piece(r->client->context, r->id, bytes);
}

static dm_code start(dm_http_request *r, const dm_http_call *call, dm_err *e) {
  const dm_http_settings *s = &r->client->settings;
  dm_clock *contract = &r->client->loop->contract;
  r->deadline.on_due = on_due;
  if (call->pieces) r->on_piece = give_piece;
  if (call->timeout_ms > 0 &&
      !dm_clock_start(contract, &r->deadline,
                      dm_clock_now(contract) + call->timeout_ms))
    return out_of_memory(r, e);
  if (s->connect_name) return look_up(r, s->connect_name, e);
  return dm_http_multi_add(s->multi, r->easy) ? DM_OK : out_of_memory(r, e);
}

uint64_t dm_http_client_send(dm_http_client *c, const dm_http_call *call,
                             dm_err *e) {
  dm_http_request *r = request_take(c);
  if (r == NULL) {
    dm_fail(e, DM_SYSTEM_ERROR, "%s: out of memory", c->settings.where);
    return 0;
  }
  r->id = dm_loop_id(c->loop, r);
  dm_list_append(&c->active, &r->node);
  dm_code code = r->id != 0 && dm_http_request_fill(r, call, &c->settings)
                     ? start(r, call, e)
                     : out_of_memory(r, e);
  if (code == DM_OK) return r->id;
  end(r);
  return 0;
}

bool dm_http_client_fields(dm_http_client *c, const char *const *fields) {
  return dm_http_settings_fields(&c->settings, fields);
}

bool dm_http_client_cancel(dm_http_client *c, uint64_t id) {
  for (dm_list *n = c->active.next; n != &c->active; n = n->next) {
    dm_http_request *r = DM_OWNER(n, dm_http_request, node);
    if (r->id != id) continue;
    dm_settle_close(&c->loop->settle, r->token);
    withdraw(r);
    end(r);
    return true;
  }
  return false;
}

/* -- Answers --------------------------------------------------------------- */

static dm_span trim(dm_span s) {
  while (s.n > 0 && (*s.p == ' ' || *s.p == '\t'))
    s.p++, s.n--;
  while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]))
    s.n--;
  return s;
}

dm_span dm_http_answer_field(const dm_http_answer *a, const char *name) {
  dm_span left = a->fields, wanted = dm_span_of(name);
  while (left.n > 0) {
    const char *end_of_line = memchr(left.p, '\n', left.n);
    size_t n = end_of_line ? (size_t)(end_of_line - left.p) + 1 : left.n;
    if (n > wanted.n && left.p[wanted.n] == ':' &&
        dm_span_equal_nocase((dm_span){left.p, wanted.n}, wanted))
      return trim((dm_span){left.p + wanted.n + 1, n - wanted.n - 1});
    left.p += n;
    left.n -= n;
  }
  return (dm_span){NULL, 0};
}

/* -- Life ------------------------------------------------------------------ */

dm_http_client *dm_http_client_new(dm_loop *loop,
                                   const dm_http_client_options *o,
                                   void (*on_answer)(void *context, uint64_t id,
                                                     const dm_http_answer *a),
                                   void *context, dm_err *e) {
  dm_http_client *c = calloc(1, sizeof *c);
  if (c != NULL && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
    c->loop = loop;
    c->on_answer = on_answer;
    c->on_piece = o->on_piece;
    c->context = context;
    dm_list_init(&c->active);
    dm_list_init(&c->spare);
    c->settings.multi = dm_http_multi_new(loop, o->connections, on_done, c);
    if (c->settings.multi && dm_http_settings_init(&c->settings, o)) return c;
    dm_http_client_free(c);
  } else {
    free(c);
  }
  dm_fail(e, DM_SYSTEM_ERROR, "http client: out of memory");
  return NULL;
}

static void free_all(dm_list *requests) {
  while (!dm_list_empty(requests)) {
    dm_http_request *r = DM_OWNER(requests->next, dm_http_request, node);
    dm_list_remove(&r->node);
    dm_http_request_free(r);
  }
}

/* Teardown order: remove the requests from curl, the clock and the ids; close
** the multi handle, which closes the connections and needs no request; free the
** requests; then the settings, to which the requests point. */
void dm_http_client_free(dm_http_client *c) {
  while (!dm_list_empty(&c->active)) {
    dm_http_request *r = DM_OWNER(c->active.next, dm_http_request, node);
    dm_http_client_cancel(c, r->id);
  }
  dm_http_multi_close(c->settings.multi);
  free_all(&c->spare);
  dm_http_settings_clear(&c->settings);
  free(c);
}
