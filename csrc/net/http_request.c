/* http_request.c -- see http_request.h. Loop thread only.
**
** Options that never change are set once. When a kept connection dies without
** an answer, curl repeats the request by itself. But a call that may have run
** must not run twice, so on_attempt allows this only for GET and HEAD.
*/
#include "net/http_request.h"

#include <stdlib.h>
#include <string.h>

enum {
  SPARE_BYTES = 64 * 1024,  /* larger buffers are not kept */
  FIELDS_LIMIT = 64 * 1024, /* bytes of an answer's header block */
  FIELDS_USUAL = 512        /* room that is reserved for a header block */
};

static size_t on_body(char *bytes, size_t one, size_t n, void *context) {
  dm_http_request *r = context;
  long status = 0;
  (void)one;
  if (r->on_piece) curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
  if (status == 200) {
    r->on_piece(r, (dm_span){bytes, n});
    return n;
  }
  if (dm_buf_add(&r->answer, bytes, n)) return n;
  return 0;
}

/* A status line begins a new header block; only the last one is kept (there may
** be a 100 Continue before it).
*/
static size_t on_field(char *line, size_t one, size_t n, void *context) {
  dm_http_request *r = context;
  (void)one;
  if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
    dm_buf_drop(&r->fields, r->fields.len);
    dm_buf_reserve(&r->fields, FIELDS_USUAL);
  }
  if (dm_buf_add(&r->fields, line, n)) return n;
  return 0;
}

/* Bytes sent so far; curl counts the CONNECT to a proxy too. */
static long bytes_sent(const dm_http_request *r) {
  long bytes = 0;
  curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &bytes);
  return bytes;
}

#if LIBCURL_VERSION_NUM >= 0x075000
bool dm_http_request_sent(const dm_http_request *r) {
  return r->attempted && bytes_sent(r) > r->prelude;
}

static int on_attempt(void *context, char *peer, char *local, int peer_port,
                      int local_port) {
  dm_http_request *r = context;
  (void)peer, (void)local, (void)peer_port, (void)local_port;
  if (!r->repeatable && dm_http_request_sent(r)) return CURL_PREREQFUNC_ABORT;
  r->attempted = true;
  r->prelude = bytes_sent(r);
  return CURL_PREREQFUNC_OK;
}
#else
bool dm_http_request_sent(const dm_http_request *r) {
  return bytes_sent(r) > 0;
}
#endif

static void set_tls(const dm_http_settings *s, CURL *easy) {
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, (long)s->verify);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, s->verify ? 2L : 0L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  if (s->ca_file) curl_easy_setopt(easy, CURLOPT_CAINFO, s->ca_file);
  if (s->ca_pem) {
    struct curl_blob ca = {s->ca_pem, strlen(s->ca_pem), CURL_BLOB_NOCOPY};
    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
  }
}

/* Set the options of every request. Proxies of the environment are ignored. */
static void set_once(dm_http_request *r, const dm_http_settings *s) {
  CURL *easy = r->easy;
  dm_http_multi_prepare(s->multi, easy);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, r);
  curl_easy_setopt(easy, CURLOPT_URL, s->url);
  if (s->connect_to.data)
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, &s->connect_to);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, s->proxy ? s->proxy : "");
  curl_easy_setopt(easy, CURLOPT_NOPROXY, s->proxy ? "" : "*");
  curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, (long)(s->proxy != NULL));
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, r->reason);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, r);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_field);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, r);
#if LIBCURL_VERSION_NUM >= 0x075000
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_attempt);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, r);
#endif
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS,
                   (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  if (s->tls) set_tls(s, easy);
}

void dm_http_request_free(dm_http_request *r) {
  if (r == NULL) return;
  curl_easy_cleanup(r->easy);
  dm_http_lines_drop(r->shared);
  dm_buf_clear(&r->lines);
  dm_buf_clear(&r->body);
  dm_buf_clear(&r->fields);
  dm_buf_clear(&r->answer);
  free(r->resolve.data);
  free(r);
}

dm_http_request *dm_http_request_new(dm_http_client *c,
                                     const dm_http_settings *s) {
  dm_http_request *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  dm_list_init(&r->node);
  dm_list_init(&r->asker.node);
  r->client = c;
  dm_buf_init(&r->lines, SIZE_MAX / 2);
  dm_buf_init(&r->body, SIZE_MAX / 2);
  dm_buf_init(&r->fields, FIELDS_LIMIT);
  r->easy = curl_easy_init();
  if (r->easy != NULL) {
    set_once(r, s);
    return r;
  }
  dm_http_request_free(r);
  return NULL;
}

static void empty(dm_buf *b) {
  if (b->capacity > SPARE_BYTES)
    dm_buf_clear(b);
  else
    b->len = 0;
}

static void clear_address(dm_http_request *r) {
  if (r->resolve.data == NULL) return;
  curl_easy_setopt(r->easy, CURLOPT_RESOLVE, NULL);
  free(r->resolve.data);
  r->resolve.data = NULL;
}

void dm_http_request_clear(dm_http_request *r) {
  clear_address(r);
  dm_http_lines_drop(r->shared);
  r->shared = NULL;
  empty(&r->lines);
  empty(&r->body);
  empty(&r->fields);
  empty(&r->answer);
  r->reason[0] = '\0';
  r->id = r->token = 0;
  r->attempted = false;
  r->on_piece = NULL;
  r->prelude = 0;
}

/* -- One call -------------------------------------------------------------- */

/* Put the call's own fields into one block: the nodes, then their text. The
** common fields follow them. */
static bool fill_lines(dm_http_request *r, const dm_http_call *call,
                       const dm_http_settings *s) {
  size_t count = 0, bytes = 0;
  for (; call->fields[count]; count++)
    bytes += strlen(call->fields[count]) + 1;
  size_t size = count * sizeof(struct curl_slist) + bytes;
  struct curl_slist *node = (void *)dm_buf_reserve(&r->lines, size);
  if (node == NULL) return false;
  r->shared = dm_http_lines_use(s);
  char *text = (char *)(node + count);
  for (size_t i = 0; i < count; i++) {
    node[i] = (struct curl_slist){text, &node[i + 1]};
    text = stpcpy(text, call->fields[i]) + 1;
  }
  if (count > 0) node[count - 1].next = r->shared->node;
  curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER,
                   count > 0 ? node : r->shared->node);
  return true;
}

/* The caller gives the method's name. What curl does with the bodies depends on
** HTTPGET, NOBODY and POSTFIELDS. */
static void set_method(dm_http_request *r, const dm_http_call *call) {
  CURL *easy = r->easy;
  bool head = strcmp(call->method, "HEAD") == 0;
  r->repeatable = head || strcmp(call->method, "GET") == 0;
  curl_easy_setopt(easy, CURLOPT_NOBODY, 0L);
  if (call->has_body) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     r->body.data ? r->body.data : "");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)r->body.len);
  } else if (head) {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  }
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

bool dm_http_request_fill(dm_http_request *r, const dm_http_call *call,
                          const dm_http_settings *s) {
  r->token = call->token;
  r->timeout_ms = call->timeout_ms;
  r->answer.limit = call->answer_limit;
  if (!fill_lines(r, call, s) || !dm_buf_add_span(&r->body, call->body))
    return false;
  set_method(r, call);
  curl_easy_setopt(r->easy, CURLOPT_REQUEST_TARGET, call->target);
  return true;
}

bool dm_http_request_address(dm_http_request *r, const dm_http_settings *s,
                             const char *address) {
  clear_address(r);
  r->resolve.data = dm_http_text("+%s:%d:%s%s%s", s->connect_name,
                                 s->connect_port, dm_http_bracket(address, "["),
                                 address, dm_http_bracket(address, "]"));
  if (r->resolve.data == NULL) return false;
  curl_easy_setopt(r->easy, CURLOPT_RESOLVE, &r->resolve);
  return true;
}
