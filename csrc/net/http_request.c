/* http_request.c -- see http_request.h. Loop thread only.
**
** What does not change is set once. curl repeats a request by itself when a
** kept connection dies without an answer; a call that may have run must not run
** twice, so on_attempt allows that for GET and HEAD alone.
*/
#include "net/http_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
  SPARE_BYTES = 64 * 1024,    /* a buffer over it is not kept */
  FIELDS_LIMIT = 64 * 1024,   /* header block of an answer */
  CONNECT_BACKSTOP_MS = 60000 /* TCP and TLS, real time */
};

static size_t on_body(char *bytes, size_t one, size_t n, void *context) {
  dm_http_request *r = context;
  (void)one;
  if (dm_buf_add(&r->answer, bytes, n)) return n;
  return 0;
}

/* A status line begins a new block: the last answer's is kept (100 Continue).
*/
static size_t on_field(char *line, size_t one, size_t n, void *context) {
  dm_http_request *r = context;
  (void)one;
  if (n >= 5 && memcmp(line, "HTTP/", 5) == 0)
    dm_buf_drop(&r->fields, r->fields.len);
  if (dm_buf_add(&r->fields, line, n)) return n;
  return 0;
}

/* What went out so far; curl counts the CONNECT to a proxy, too. */
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

/* What holds for every request. The environment is not asked for proxies. */
static void set_once(dm_http_request *r, const dm_http_settings *s) {
  CURL *easy = r->easy;
  dm_http_multi_prepare(s->multi, easy);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, r);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_BACKSTOP_MS);
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
  dm_buf_clear(&r->url);
  dm_buf_clear(&r->body);
  dm_buf_clear(&r->fields);
  dm_buf_clear(&r->answer);
  free(r->lines);
  free(r->connect_to.data);
  free(r->resolve.data);
  free(r->where);
  free(r);
}

dm_http_request *dm_http_request_new(dm_http_client *c,
                                     const dm_http_settings *s) {
  dm_http_request *r = calloc(1, sizeof *r);
  if (r == NULL) return NULL;
  dm_list_init(&r->node);
  r->client = c;
  dm_buf_init(&r->url, SIZE_MAX / 2);
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

static void clear_text(char **text) {
  free(*text);
  *text = NULL;
}

static void clear_lines(dm_http_request *r) {
  free(r->lines);
  r->lines = NULL;
}

void dm_http_request_clear(dm_http_request *r) {
  clear_lines(r);
  clear_text(&r->connect_to.data);
  clear_text(&r->resolve.data);
  clear_text(&r->where);
  empty(&r->url);
  empty(&r->body);
  empty(&r->fields);
  empty(&r->answer);
  r->reason[0] = '\0';
  r->id = r->token = 0;
  r->attempted = false;
  r->prelude = 0;
}

/* -- One call -------------------------------------------------------------- */

static char *format_text(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

static char *format_text(const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  char *text = n < 0 ? NULL : malloc((size_t)n + 1);
  if (text == NULL) return NULL;
  va_start(args, fmt);
  vsnprintf(text, (size_t)n + 1, fmt, args);
  va_end(args);
  return text;
}

/* An IPv6 address stands in brackets. */
static const char *bracket(const char *host, const char *which) {
  return strchr(host, ':') && host[0] != '[' ? which : "";
}

/* "http://host:port" NUL target NUL: the target goes out as it is. */
static bool fill_url(dm_http_request *r, const dm_http_call *call, bool tls) {
  const char *host = call->host;
  return dm_buf_addf(&r->url, "http%s://%s%s%s:%d", tls ? "s" : "",
                     bracket(host, "["), host, bracket(host, "]"),
                     call->port) &&
         dm_buf_add(&r->url, "", 1) &&
         dm_buf_add(&r->url, call->target, strlen(call->target) + 1);
}

/* curl would add these two by itself: "Name:" leaves a field out. */
static const char *const LEFT_OUT[] = {"Expect:", "Content-Type:"};

enum { LEFT_OUT_MAX = sizeof LEFT_OUT / sizeof LEFT_OUT[0] };

static bool has_field(const char *const *fields, const char *name) {
  for (; *fields; fields++)
    if (strncasecmp(*fields, name, strlen(name)) == 0) return true;
  return false;
}

static struct curl_slist *add_line(struct curl_slist *node, char **text,
                                   const char *line) {
  size_t n = strlen(line) + 1;
  node->data = memcpy(*text, line, n);
  node->next = node + 1;
  *text += n;
  return node + 1;
}

/* curl's list of fields as one block: the nodes, then their text. */
static bool fill_lines(dm_http_request *r, const char *const *fields) {
  size_t count = LEFT_OUT_MAX,
         bytes = sizeof "Expect:" + sizeof "Content-Type:";
  for (size_t i = 0; fields[i]; i++) {
    count++;
    bytes += strlen(fields[i]) + 1;
  }
  r->lines = malloc(count * sizeof *r->lines + bytes);
  if (r->lines == NULL) return false;
  char *text = (char *)(r->lines + count);
  struct curl_slist *node = r->lines;
  for (int i = 0; i < LEFT_OUT_MAX; i++)
    if (!has_field(fields, LEFT_OUT[i]))
      node = add_line(node, &text, LEFT_OUT[i]);
  for (; *fields; fields++)
    node = add_line(node, &text, *fields);
  if (node == r->lines)
    clear_lines(r);
  else
    node[-1].next = NULL;
  return true;
}

static bool fill_texts(dm_http_request *r, const dm_http_call *call) {
  const char *to = call->connect_host;
  r->where = format_text("%s:%d", call->host, call->port);
  if (to)
    r->connect_to.data = format_text("::%s%s%s:%d", bracket(to, "["), to,
                                     bracket(to, "]"), call->port);
  return r->where && (to == NULL || r->connect_to.data);
}

/* The method's name is the caller's; what curl does with the bodies of request
** and answer follows HTTPGET, NOBODY and POSTFIELDS. */
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
                          bool tls) {
  CURL *easy = r->easy;
  r->token = call->token;
  r->timeout_ms = call->timeout_ms;
  r->answer.limit = call->answer_limit;
  if (!fill_url(r, call, tls) || !fill_lines(r, call->fields) ||
      !fill_texts(r, call) || !dm_buf_add_span(&r->body, call->body))
    return false;
  set_method(r, call);
  curl_easy_setopt(easy, CURLOPT_URL, r->url.data);
  curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET,
                   r->url.data + strlen(r->url.data) + 1);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->lines);
  curl_easy_setopt(easy, CURLOPT_CONNECT_TO,
                   r->connect_to.data ? &r->connect_to : NULL);
  curl_easy_setopt(easy, CURLOPT_RESOLVE, NULL);
  return true;
}

bool dm_http_request_address(dm_http_request *r, const char *host, int port,
                             const char *address) {
  clear_text(&r->resolve.data);
  r->resolve.data =
      format_text("+%s:%d:%s%s%s", host, port, bracket(address, "["), address,
                  bracket(address, "]"));
  if (r->resolve.data == NULL) return false;
  curl_easy_setopt(r->easy, CURLOPT_RESOLVE, &r->resolve);
  return true;
}
