/* nats.c -- see nats.h. Functions that begin with 'on_' run on threads of
** libnats; all others on the link's.
**
** libnats may call back while its connection is being closed. So callbacks get
** a 'line', which lives until the last of them was called; dm_nats_close cuts
** it off from its owner.
*/
#include "cluster/nats.h"

#include <errno.h>
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"

enum {
  CONNECT_MS = 2000, /* to connect to one server */
  WRITE_MS = 2000,   /* for a write that does not get on */
  PING_MS = 2000,    /* is the server alive? */
  PINGS = 2,         /* without an answer: it is not */
  SECRET_MAX = 1024  /* bytes of a password */
};

typedef struct line {
  const dm_nats_events *events; /* static */
  void *owner;                  /* borrowed; NULL: cut off */
  uv_mutex_t lock;
  int uses; /* dm_nats, the connection, and each subscription */
} line;

struct dm_nats {
  natsConnection *connection; /* owned */
  line *line;
};

/* The line ----------------------------------------------------------------- */

static line *line_new(const dm_nats_events *events, void *owner) {
  line *l = calloc(1, sizeof *l);
  if (l == NULL) return NULL;
  if (uv_mutex_init(&l->lock) != 0) {
    free(l);
    return NULL;
  }
  l->events = events;
  l->owner = owner;
  l->uses = 1;
  return l;
}

static void line_use(line *l) {
  uv_mutex_lock(&l->lock);
  l->uses++;
  uv_mutex_unlock(&l->lock);
}

static void line_release(line *l) {
  uv_mutex_lock(&l->lock);
  bool last = --l->uses == 0;
  uv_mutex_unlock(&l->lock);
  if (!last) return;
  uv_mutex_destroy(&l->lock);
  free(l);
}

static void line_cut(line *l) {
  uv_mutex_lock(&l->lock);
  l->owner = NULL;
  uv_mutex_unlock(&l->lock);
  line_release(l);
}

/* Threads of libnats ------------------------------------------------------- */

static void on_message(natsConnection *connection, natsSubscription *s,
                       natsMsg *m, void *closure) {
  line *l = closure;
  (void)connection, (void)s;
  uv_mutex_lock(&l->lock);
  if (l->owner != NULL)
    l->events->on_message(
        l->owner, dm_span_of(natsMsg_GetSubject(m)),
        (dm_span){natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m)},
        natsMsg_IsNoResponders(m));
  uv_mutex_unlock(&l->lock);
  natsMsg_Destroy(m);
}

static void on_unsubscribed(void *closure) {
  line_release(closure);
}

static void on_closed(natsConnection *connection, void *closure) {
  line *l = closure;
  const char *why = NULL;
  natsConnection_GetLastError(connection, &why);
  uv_mutex_lock(&l->lock);
  if (l->owner != NULL)
    l->events->on_lost(l->owner, why != NULL && *why != '\0' ? why : "closed");
  uv_mutex_unlock(&l->lock);
  line_release(l);
}

/* libnats prints errors to stderr when it has no handler for them. */
static void on_error(natsConnection *connection, natsSubscription *s,
                     natsStatus status, void *closure) {
  (void)connection, (void)s, (void)status, (void)closure;
}

/* Connecting --------------------------------------------------------------- */

/* libnats begins its messages with "(file:line): ". */
static const char *message_of(const char *why) {
  const char *text = why != NULL && *why == '(' ? strstr(why, "): ") : NULL;
  return text != NULL ? text + strlen("): ") : why;
}

static dm_code fail(dm_err *e, const char *what, natsStatus status) {
  const char *why = message_of(nats_GetLastError(NULL));
  dm_code code = status == NATS_CONNECTION_AUTH_FAILED ? DM_UNAUTHORIZED
                 : status == NATS_SSL_ERROR            ? DM_TLS_FAILED
                                                       : DM_CONNECT_FAILED;
  if (why == NULL || *why == '\0') why = natsStatus_GetText(status);
  return dm_fail(e, code, "%s: %s", what, why);
}

static natsStatus set_urls(natsOptions *o, const char *urls) {
  const char *url[DM_NATS_URLS];
  int count = 0;
  char *copy = strdup(urls), *rest = copy;
  if (copy == NULL) return NATS_NO_MEMORY;
  while (count < DM_NATS_URLS && (url[count] = strsep(&rest, ",")) != NULL)
    count++;
  natsStatus s = natsOptions_SetServers(o, url, count);
  free(copy);
  return s;
}

static natsStatus set_times(natsOptions *o) {
  natsStatus s = natsOptions_SetTimeout(o, CONNECT_MS);
  if (s == NATS_OK) s = natsOptions_SetWriteDeadline(o, WRITE_MS);
  if (s == NATS_OK) s = natsOptions_SetPingInterval(o, PING_MS);
  if (s == NATS_OK) s = natsOptions_SetMaxPingsOut(o, PINGS);
  return s;
}

/* One thread for all subscriptions, and no delay before what is published goes
** out; libnats has other defaults. */
static natsStatus set_ways(natsOptions *o, const char *name, line *l) {
  natsStatus s = natsOptions_UseGlobalMessageDelivery(o, true);
  if (s == NATS_OK) s = natsOptions_SetSendAsap(o, true);
  if (s == NATS_OK) s = natsOptions_SetAllowReconnect(o, false);
  if (s == NATS_OK) s = natsOptions_SetNoEcho(o, true);
  if (s == NATS_OK) s = natsOptions_SetName(o, name);
  if (s == NATS_OK) s = natsOptions_SetClosedCB(o, on_closed, l);
  if (s == NATS_OK) s = natsOptions_SetErrorHandler(o, on_error, l);
  return s;
}

static dm_code read_password(const char *path, char *password, dm_err *e) {
  FILE *file = fopen(path, "re");
  if (file == NULL)
    return dm_fail(e, DM_SYSTEM_ERROR, "%s: %s", path, strerror(errno));
  if (fgets(password, SECRET_MAX, file) == NULL) password[0] = '\0';
  fclose(file);
  password[strcspn(password, "\r\n")] = '\0';
  return DM_OK;
}

static dm_code set_user(natsOptions *o, const dm_nats_options *from,
                        dm_err *e) {
  char password[SECRET_MAX] = "";
  natsStatus s = NATS_OK;
  dm_code code = DM_OK;
  if (from->password_file != NULL)
    code = read_password(from->password_file, password, e);
  if (code != DM_OK) return code;
  if (from->user != NULL) s = natsOptions_SetUserInfo(o, from->user, password);
  if (s == NATS_OK && from->credentials_file != NULL)
    s = natsOptions_SetUserCredentialsFromFiles(o, from->credentials_file,
                                                NULL);
  dm_memory_wipe(password, sizeof password);
  return s == NATS_OK ? DM_OK : fail(e, "credentials", s);
}

static dm_code set_tls(natsOptions *o, const dm_nats_options *from, dm_err *e) {
  natsStatus s = NATS_OK;
  if (from->ca_file != NULL || from->cert_file != NULL ||
      strstr(from->urls, "tls://") != NULL)
    s = natsOptions_SetSecure(o, true);
  if (s == NATS_OK && from->ca_file != NULL)
    s = natsOptions_LoadCATrustedCertificates(o, from->ca_file);
  if (s != NATS_OK) return fail(e, "ca_file", s);
  if (from->cert_file != NULL)
    s = natsOptions_LoadCertificatesChain(o, from->cert_file, from->key_file);
  return s == NATS_OK ? DM_OK : fail(e, "cert_file, key_file", s);
}

static dm_code set_options(natsOptions *o, const dm_nats_options *from, line *l,
                           dm_err *e) {
  natsStatus s = set_urls(o, from->urls);
  if (s == NATS_OK) s = set_times(o);
  if (s == NATS_OK) s = set_ways(o, from->name, l);
  if (s != NATS_OK) return fail(e, from->urls, s);
  dm_code code = set_tls(o, from, e);
  return code == DM_OK ? set_user(o, from, e) : code;
}

static dm_code start(dm_nats *n, const dm_nats_options *from, dm_err *e) {
  natsOptions *o = NULL;
  natsStatus s = natsOptions_Create(&o);
  if (s != NATS_OK) return fail(e, from->urls, s);
  dm_code code = set_options(o, from, n->line, e);
  if (code == DM_OK) {
    line_use(n->line); /* on_closed releases it */
    s = natsConnection_Connect(&n->connection, o);
    if (s != NATS_OK) line_release(n->line);
    if (s != NATS_OK) code = fail(e, from->urls, s);
  }
  natsOptions_Destroy(o);
  return code;
}

dm_nats *dm_nats_connect(const dm_nats_options *o, const dm_nats_events *events,
                         void *owner, dm_err *e) {
  dm_nats *n = calloc(1, sizeof *n);
  if (n != NULL) n->line = line_new(events, owner);
  if (n == NULL || n->line == NULL) {
    free(n);
    dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
    return NULL;
  }
  if (start(n, o, e) == DM_OK) return n;
  line_cut(n->line);
  free(n);
  return NULL;
}

void dm_nats_close(dm_nats *n) {
  if (n == NULL) return;
  line_cut(n->line);
  natsConnection_Destroy(n->connection);
  free(n);
}

/* Using it ----------------------------------------------------------------- */

size_t dm_nats_limit(const dm_nats *n) {
  int64_t limit = natsConnection_GetMaxPayload(n->connection);
  return limit > 0 ? (size_t)limit : 0;
}

void dm_nats_publish(dm_nats *n, const char *subject, const char *reply,
                     dm_span bytes) {
  if (reply != NULL)
    natsConnection_PublishRequest(n->connection, subject, reply, bytes.p,
                                  (int)bytes.n);
  else
    natsConnection_Publish(n->connection, subject, bytes.p, (int)bytes.n);
}

dm_nats_subscription *dm_nats_subscribe(dm_nats *n, const char *subject,
                                        const char *group) {
  natsSubscription *sub = NULL;
  natsStatus s =
      group != NULL
          ? natsConnection_QueueSubscribe(&sub, n->connection, subject, group,
                                          on_message, n->line)
          : natsConnection_Subscribe(&sub, n->connection, subject, on_message,
                                     n->line);
  if (s != NATS_OK) return NULL;
  line_use(n->line);
  /* This fails if the connection was lost just now. Then nothing tells when
  ** on_message was called for the last time, so this use is never released: the
  ** line stays allocated, but it has no owner any more. */
  natsSubscription_SetOnCompleteCB(sub, on_unsubscribed, n->line);
  return (dm_nats_subscription *)(void *)sub;
}

void dm_nats_unsubscribe(dm_nats_subscription *s) {
  natsSubscription_Destroy((natsSubscription *)(void *)s);
}
