/* tunnel.c -- see tunnel.h. Loop thread only. */
#include "net/tunnel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "net/websocket.h"
#include "proto/text.h"
#include "proto/upgrade.h"

enum { KEY_BYTES = 16, PROXY_TEXT = 300, REQUEST_MAX = 4096 };

typedef enum tunnel_stage {
  WAITING,   /* for the stream */
  AT_PROXY,  /* CONNECT was sent */
  SECURING,  /* TLS begins behind the proxy */
  REQUESTED, /* the WebSocket was asked for */
  THROUGH    /* open */
} tunnel_stage;

struct dm_tunnel {
  dm_tunnel_options o;     /* host, proxy owned; path and protocol static */
  dm_upgrade_proxy proxy;  /* borrowed from o.proxy */
  dm_stream *stream;       /* borrowed */
  dm_websocket *websocket; /* owned; NULL: not open, or there is none */
  dm_buf head;             /* of an answer, until it is whole */
  dm_buf message;          /* that is being written, for a frame */
  int64_t date;            /* 0: no answer had the time */
  const char *dated_by;    /* static */
  tunnel_stage stage;
  char key[DM_UPGRADE_KEY + 1];
  char address[PROXY_TEXT]; /* of the proxy, without brackets */
  char proxy_text[PROXY_TEXT];
};

static void wipe(const char *text) {
  if (text) OPENSSL_cleanse((char *)(uintptr_t)text, strlen(text));
  free((char *)(uintptr_t)text);
}

void dm_tunnel_free(dm_tunnel *t) {
  if (!t) return;
  dm_websocket_free(t->websocket);
  dm_buf_clear(&t->head);
  dm_buf_clear(&t->message);
  free((char *)(uintptr_t)t->o.host);
  wipe(t->o.proxy);
  free(t);
}

static bool copy_texts(dm_tunnel *t) {
  const char *host = t->o.host, *proxy = t->o.proxy;
  t->o.host = strdup(host);
  t->o.proxy = proxy ? strdup(proxy) : NULL;
  return t->o.host && (t->o.proxy || !proxy);
}

static dm_code read_proxy(dm_tunnel *t, dm_err *e) {
  dm_upgrade_proxy *p = &t->proxy;
  if (!t->o.proxy) return DM_OK;
  if (!dm_upgrade_read_proxy(dm_span_of(t->o.proxy), p) ||
      p->host.n >= sizeof t->address - 16)
    return dm_fail(e, DM_CONNECT_FAILED, "proxy: must be 'http://host:port'");
  memcpy(t->address, p->host.p, p->host.n);
  snprintf(t->proxy_text, sizeof t->proxy_text, "%.*s:%d", (int)p->host.n,
           p->host.p, p->port);
  return DM_OK;
}

static bool make_key(dm_tunnel *t) {
  unsigned char bytes[KEY_BYTES];
  dm_buf key = dm_buf_fixed(t->key, sizeof t->key);
  return RAND_bytes(bytes, sizeof bytes) == 1 &&
         dm_text_base64_encode(&key, bytes, sizeof bytes);
}

dm_tunnel *dm_tunnel_new(const dm_tunnel_options *o, dm_err *e) {
  dm_tunnel *t = calloc(1, sizeof *t);
  if (t) t->o = *o;
  if (!t || !copy_texts(t) || !make_key(t)) {
    dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
    dm_tunnel_free(t);
    return NULL;
  }
  dm_buf_init(&t->head, 2 * DM_UPGRADE_HEAD + DM_LOOP_READ);
  dm_buf_init(&t->message, o->output);
  if (read_proxy(t, e) == DM_OK) return t;
  dm_tunnel_free(t);
  return NULL;
}

const char *dm_tunnel_address(const dm_tunnel *t, uint16_t *port) {
  *port = (uint16_t)(t->o.proxy ? t->proxy.port : t->o.port);
  return t->o.proxy ? t->address : t->o.host;
}

const char *dm_tunnel_proxy(const dm_tunnel *t) {
  return t->proxy_text;
}

int64_t dm_tunnel_date(const dm_tunnel *t, const char **who) {
  *who = t->dated_by;
  return t->date;
}

/* Sending. */

dm_buf *dm_tunnel_output(dm_tunnel *t) {
  return t->websocket ? &t->message : dm_stream_output(t->stream);
}

bool dm_tunnel_written(dm_tunnel *t, bool complete) {
  if (!t->websocket || !complete) return dm_stream_written(t->stream, complete);
  bool sent = dm_websocket_send(t->websocket, dm_buf_span(&t->message));
  dm_buf_clear(&t->message);
  return sent;
}

void dm_tunnel_close(dm_tunnel *t) {
  if (t->websocket) dm_websocket_close(t->websocket, DM_WEBSOCKET_NORMAL);
}

/* The way. */

static dm_upgrade_target target_of(const dm_tunnel *t) {
  return (dm_upgrade_target){dm_span_of(t->o.host), t->o.port};
}

static dm_code ask_proxy(dm_tunnel *t, dm_err *e) {
  dm_upgrade_target to = target_of(t);
  dm_buf *out = dm_stream_output(t->stream);
  bool good = dm_upgrade_write_connect(out, &to, t->proxy.user);
  t->stage = AT_PROXY;
  if (dm_stream_written(t->stream, good)) return DM_OK;
  return dm_fail(e, DM_CONNECT_FAILED, "the request to the proxy is too long");
}

static dm_code go_through(dm_tunnel *t, dm_err *e) {
  if (t->o.path) {
    t->websocket =
        dm_websocket_new(t->stream, DM_WEBSOCKET_CLIENT, t->o.output);
    if (!t->websocket) return dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  }
  t->stage = THROUGH;
  t->o.on_open(t->o.owner);
  return DM_OK;
}

static dm_code ask_websocket(dm_tunnel *t, dm_err *e) {
  dm_upgrade_target to = target_of(t);
  if (!t->o.path) return go_through(t, e);
  bool good =
      dm_upgrade_write_websocket(dm_stream_output(t->stream), &to, t->o.path,
                                 t->o.protocol, dm_span_of(t->key));
  t->stage = REQUESTED;
  if (dm_stream_written(t->stream, good)) return DM_OK;
  return dm_fail(e, DM_CONNECT_FAILED, "the request for a WebSocket failed");
}

dm_code dm_tunnel_opened(dm_tunnel *t, dm_stream *s, dm_err *e) {
  t->stream = s;
  if (t->stage == WAITING && t->o.proxy) return ask_proxy(t, e);
  return ask_websocket(t, e);
}

/* Receiving. */

/* The proxy has answered CONNECT. Bytes that follow its answer, and unsent
** bytes of ours, would become part of the TLS connection to the server, so
** refuse them. */
static dm_code leave_proxy(dm_tunnel *t, const dm_upgrade_answer *a,
                           dm_err *e) {
  if (a->status / 100 != 2)
    return dm_fail(e, DM_CONNECT_FAILED, "the proxy answered HTTP %d%s",
                   a->status, a->status == 407 ? " (user and password?)" : "");
  if (!t->o.tls) return ask_websocket(t, e);
  if (t->head.len > a->size || dm_stream_queued(t->stream) > 0)
    return dm_fail(e, DM_PROTOCOL_ERROR, "the proxy sends more than an answer");
  t->stage = SECURING;
  dm_stream_secure(t->stream);
  return DM_OK;
}

static dm_code enter_websocket(dm_tunnel *t, const dm_upgrade_answer *a,
                               dm_err *e) {
  if (dm_upgrade_accepts(a, t->o.protocol, dm_span_of(t->key)))
    return go_through(t, e);
  if (a->status == 101)
    return dm_fail(e, DM_PROTOCOL_ERROR,
                   "the hub opens the WebSocket with a wrong answer");
  return dm_fail(e, DM_CONNECT_FAILED,
                 "the request for a WebSocket was answered HTTP %d", a->status);
}

static void keep_date(dm_tunnel *t, dm_span text, const char *who) {
  int64_t date = dm_upgrade_date(text);
  if (date == 0) return;
  t->date = date;
  t->dated_by = who;
}

/* Take an answer from the head; what follows it stays there. */
static dm_code take_answer(dm_tunnel *t, dm_err *e) {
  dm_upgrade_answer a;
  bool proxy = t->stage == AT_PROXY;
  dm_code code = dm_upgrade_read(dm_buf_span(&t->head), &a, e);
  if (code != DM_OK || a.size == 0) return code;
  keep_date(t, a.date, proxy ? "the proxy" : "the hub");
  code = proxy ? leave_proxy(t, &a, e) : enter_websocket(t, &a, e);
  dm_buf_drop(&t->head, a.size);
  return code;
}

static dm_code pass_on(dm_tunnel *t, dm_span bytes, dm_err *e) {
  if (t->websocket)
    return dm_websocket_read(t->websocket, bytes, t->o.on_bytes, t->o.owner, e);
  t->o.on_bytes(t->o.owner, bytes);
  return DM_OK;
}

dm_code dm_tunnel_read(dm_tunnel *t, dm_span bytes, dm_err *e) {
  if (t->stage == THROUGH) return pass_on(t, bytes, e);
  if (!dm_buf_add_span(&t->head, bytes))
    return dm_fail(e, DM_LIMIT_EXCEEDED, "the answer is too long");
  size_t before;
  dm_code code = DM_OK;
  do { /* an answer may follow another one */
    before = t->head.len;
    code = take_answer(t, e);
  } while (code == DM_OK && t->stage < THROUGH && t->head.len < before);
  if (code == DM_OK && t->stage == THROUGH && t->head.len > 0)
    code = pass_on(t, dm_buf_span(&t->head), e);
  if (t->stage == THROUGH) dm_buf_clear(&t->head);
  return code;
}
