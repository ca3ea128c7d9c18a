/* mqtt_paho_probe.c -- see mqtt_paho_probe.h.
**
** make a TLS context (worker, because it may read all of the system's
** authorities) -> TCP and TLS -> the stream's end, which reports
*/
#include "net/mqtt_paho_probe.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "net/stream.h"

enum { OUTPUT = 64 * 1024, WRITE_MS = 10000 };

struct dm_paho_probe {
  uv_work_t work;
  dm_loop *loop;
  dm_tls *tls;             /* the worker's while it works */
  dm_stream *stream;       /* NULL: not begun, or ended */
  dm_paho_probe_options o; /* name and ca_pem owned */
  dm_err error;            /* why there is no context */
  bool good;
};

static void probe_free(dm_paho_probe *p) {
  dm_tls_free(p->tls);
  free((char *)(uintptr_t)p->o.name);
  free((char *)(uintptr_t)p->o.ca_pem);
  p->loop->closing--;
  free(p);
}

static void finish(dm_paho_probe *p, const dm_err *why) {
  if (p->o.on_done) p->o.on_done(p->o.owner, why);
  probe_free(p);
}

static void on_open(void *owner) {
  dm_paho_probe *p = owner;
  p->good = true;
  dm_stream_abort(p->stream, NULL);
}

static void on_data(void *owner, dm_span bytes) {
  (void)owner; /* ignored: a hub does not send first */
  (void)bytes;
}

static void on_drained(void *owner) {
  (void)owner; /* the probe never asks for it */
}

static void on_close(void *owner, const dm_err *why) {
  dm_paho_probe *p = owner;
  dm_err e = *why;
  p->stream = NULL;
  if (!p->good && e.code == DM_OK) dm_fail(&e, DM_CLOSED, "closed");
  finish(p, &e);
}

static const dm_stream_events probe_events = {.on_open = on_open,
                                              .on_data = on_data,
                                              .on_drained = on_drained,
                                              .on_close = on_close};

static dm_code reach(dm_paho_probe *p, dm_err *e) {
  dm_connector_options o = {.tls = p->tls,
                            .limits = {.output = OUTPUT, .write_ms = WRITE_MS},
                            .events = &probe_events};
  dm_connector *connector = dm_connector_new(p->loop, &o);
  if (connector == NULL) return dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  p->stream = dm_stream_connect(connector, &p->o.to.any, p->o.name, p, e);
  dm_connector_free(connector); /* the stream holds it */
  return p->stream ? DM_OK : e->code;
}

/* The thread outlives OpenSSL at exit, so it must keep nothing of OpenSSL. */
static void make_context(uv_work_t *work) {
  dm_paho_probe *p = work->data;
  p->tls = dm_tls_client(dm_span_of(p->o.ca_pem), true, &p->error);
  OPENSSL_thread_stop();
}

static void on_context(uv_work_t *work, int status) {
  dm_paho_probe *p = work->data;
  (void)status;
  if (p->o.on_done == NULL || p->tls == NULL || reach(p, &p->error) != DM_OK)
    finish(p, &p->error);
}

dm_paho_probe *dm_paho_probe_start(dm_loop *loop,
                                   const dm_paho_probe_options *o) {
  dm_paho_probe *p = calloc(1, sizeof *p);
  if (p == NULL) return NULL;
  p->loop = loop;
  p->work.data = p;
  p->o = *o;
  loop->closing++;
  p->o.name = strdup(o->name);
  p->o.ca_pem = o->ca_pem ? strdup(o->ca_pem) : NULL;
  if (p->o.name == NULL || (o->ca_pem && p->o.ca_pem == NULL)) {
    probe_free(p);
    return NULL;
  }
  uv_queue_work(&loop->uv, &p->work, make_context, on_context);
  return p;
}

void dm_paho_probe_forget(dm_paho_probe *p) {
  if (p == NULL) return;
  p->o.on_done = NULL;
  if (p->stream) dm_stream_abort(p->stream, NULL);
}
