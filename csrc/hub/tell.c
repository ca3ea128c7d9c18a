/* tell.c -- see tell.h. Loop thread only. */
#include "hub/tell.h"

#include <stdio.h>
#include <time.h>

enum {
  DETAIL_MAX = 200 /* bytes of a printable detail, with its NUL */
};

typedef struct printable {
  char device[DM_DEVICE_ID_MAX], module[DM_DEVICE_ID_MAX];
  char policy[DM_DEVICE_ID_MAX], detail[DETAIL_MAX];
  char text[DM_DEVICE_TEXT_MAX];
} printable;

static dm_span clean(char *memory, size_t room, dm_span s) {
  if (s.p == NULL) return s;
  return (dm_span){memory, dm_log_escape(memory, room, s)};
}

/* How the log line of this event begins; NULL: the event is no fault, so it is
** not logged. */
static const char *log_word(const dm_news *news) {
  switch (news->kind) {
  case DM_DEVICE_DISCONNECTED:
    return news->why == DM_WHY_KEEP_ALIVE || news->why == DM_WHY_PROTOCOL ||
                   news->why == DM_WHY_LIMIT || news->why == DM_WHY_TIMEOUT ||
                   news->why == DM_WHY_NOT_KEPT ||
                   news->why == DM_WHY_FAULT_MESSAGE
               ? "connection closed"
               : NULL;
  case DM_DEVICE_REFUSED:
    return news->why == DM_WHY_FAULT_RULE ? NULL : "CONNECT refused";
  case DM_DEVICE_HANDSHAKE:
    return "TLS handshake failed";
  case DM_DEVICE_REQUEST:
    return news->why == DM_WHY_BAD_REQUEST ? NULL : "request refused";
  default:
    return NULL;
  }
}

void dm_tell(dm_hub *h, const dm_news *news) {
  printable p;
  const dm_subject who = {
      .device = clean(p.device, sizeof p.device, news->device),
      .module = clean(p.module, sizeof p.module, news->module),
      .policy = clean(p.policy, sizeof p.policy, news->policy)};
  dm_span detail = clean(p.detail, sizeof p.detail, news->detail);
  dm_buf text = dm_buf_fixed(p.text, sizeof p.text - 1);
  dm_why_text(&text, news->why, &who, detail);
  p.text[text.len] = '\0';
  dm_device_event event = {.wall = dm_clock_wall(&h->loop->contract),
                           .kind = news->kind,
                           .why = news->why,
                           .code = news->code,
                           .device = who.device,
                           .module = who.module,
                           .text = dm_buf_span(&text)};
  if (news->address != NULL && news->address[0] != '\0')
    event.address = dm_span_of(news->address);
  dm_device_events_add(&h->devices, &event);
  const char *what = log_word(news);
  if (what != NULL) dm_hub_log(h, what, who.device, p.text);
  if (h->watching_devices && h->events != NULL)
    h->events->on_device(h->context, &event);
}

/* Report an event with this connection's identity and address. */
static void tell_session(const dm_session *s, dm_news news) {
  char address[DM_PEER_MAX] = "";
  dm_mqtt_server_peer(s->server, s->connection, address, sizeof address);
  news.device = dm_identity_device(s->identity);
  news.module = dm_identity_module(s->identity);
  news.address = address;
  dm_tell(s->hub, &news);
}

void dm_tell_session_refused(const dm_session *s, int code, dm_why why) {
  tell_session(s,
               (dm_news){.kind = DM_DEVICE_REFUSED, .why = why, .code = code});
}

void dm_tell_session(const dm_session *s, dm_device_event_kind kind, dm_why why,
                     dm_span detail) {
  tell_session(s, (dm_news){.kind = kind, .why = why, .detail = detail});
}

void dm_tell_request(const dm_exchange *x, int status, const dm_grant *grant,
                     dm_span detail) {
  char address[DM_PEER_MAX] = "", date[DM_TELL_DATE];
  dm_news news = {.kind = DM_DEVICE_REQUEST,
                  .why = DM_WHY_BAD_REQUEST,
                  .code = status,
                  .device = x->device,
                  .module = x->module,
                  .detail = detail,
                  .address = address};
  dm_http_server_peer(x->server, x->id, address, sizeof address);
  if (grant != NULL) {
    news.why = grant->why;
    news.policy = grant->policy;
    if (grant->why == DM_WHY_TOKEN_EXPIRED)
      news.detail = dm_tell_date(date, grant->expiry);
  }
  dm_tell(x->hub, &news);
}

dm_news dm_tell_unused(const dm_err *why) {
  dm_news news = {.kind = DM_DEVICE_HANDSHAKE,
                  .why = DM_WHY_TLS,
                  .detail = dm_span_of(why->text)};
  if (why->code == DM_OK || why->code == DM_CLOSED || why->code == DM_TLS_LEFT)
    news.why = DM_WHY_SILENT;
  if (why->code == DM_TLS_UNTRUSTED) news.why = DM_WHY_UNTRUSTED;
  if (why->code == DM_TLS_PLAIN) news.why = DM_WHY_PLAIN;
  return news;
}

dm_span dm_tell_date(char memory[DM_TELL_DATE], int64_t seconds) {
  time_t t = (time_t)seconds;
  struct tm d = {0};
  if (gmtime_r(&t, &d) == NULL) return DM_SPAN("an impossible time");
  size_t n = strftime(memory, DM_TELL_DATE, "%Y-%m-%dT%H:%M:%SZ", &d);
  return (dm_span){memory, n};
}
