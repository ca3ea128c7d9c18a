/* l_device_connection.c -- see l_device_connection.h. Loop thread only. */
#include "lua/l_device_connection.h"

#include <stdlib.h>
#include <string.h>

#include "lua/bind.h"
#include "proto/topic.h"

/* Life ------------------------------------------------------------------- */

void l_connection_free(l_connection *c) {
  dm_settle_close(&c->loop->settle, c->token);
  dm_settle_close(&c->loop->settle, c->closing);
  dm_ids_remove(&c->loop->ids, c->id);
  free(c);
}

l_connection *l_connection_new(dm_loop *loop) {
  l_connection *c = calloc(1, sizeof *c);
  if (c == NULL) return NULL;
  c->loop = loop;
  c->id = dm_loop_id(loop, c);
  c->token = dm_settle_open(&loop->settle);
  if (c->id != 0 && c->token != 0) return c;
  l_connection_free(c);
  return NULL;
}

void l_connection_count(l_connection *c, long by) {
  dm_settle_change(&c->loop->settle, c->token, by);
}

bool l_connection_is_counted(const l_connection *c) {
  return dm_settle_attached(&c->loop->settle, c->token);
}

/* Events ----------------------------------------------------------------- */
/* The count changes before Lua gets the event, because Lua may close the
** connection, which changes the count too. */

typedef struct failure {
  const dm_err *why;
  int connack;
} failure;

typedef struct message {
  dm_span first, second, third; /* pushed up to the first with p NULL */
} message;

static void deliver(l_connection *c, const char *name,
                    int (*push)(void *lua, void *data), void *data) {
  dm_loop_deliver(c->loop, &(dm_event){c->id, name, push, data});
}

typedef struct acceptance {
  bool session_present, counted;
} acceptance;

static int push_acceptance(void *lua, void *data) {
  const acceptance *a = data;
  lua_pushboolean(lua, a->session_present);
  lua_pushboolean(lua, a->counted);
  return 2;
}

static int push_int(void *lua, void *data) {
  lua_pushinteger(lua, *(int *)data);
  return 1;
}

static int push_failure(void *lua, void *data) {
  const failure *f = data;
  lua_pushstring(lua, dm_err_name(f->why->code));
  lua_pushstring(lua, f->why->text);
  lua_pushinteger(lua, f->connack);
  return 3;
}

static int push_message(void *lua, void *data) {
  const message *m = data;
  const dm_span spans[] = {m->first, m->second, m->third};
  int n = 0;
  while (n < 3 && spans[n].p != NULL)
    dm_bind_push_span(lua, spans[n++]);
  return n;
}

static void on_connected(void *owner, bool session_present) {
  acceptance a = {session_present, l_connection_is_counted(owner)};
  deliver(owner, "connected", push_acceptance, &a);
}

static void on_failed(void *owner, const dm_err *why, int connack) {
  l_connection *c = owner;
  failure f = {why, connack};
  dm_settle_set(&c->loop->settle, c->token, 0);
  deliver(c, "failed", push_failure, &f);
}

static void on_subscribed(void *owner, int granted) {
  l_connection *c = owner;
  if (!c->standing || l_connection_is_counted(c)) l_connection_count(c, -1);
  c->standing = true;
  deliver(c, "subscribed", push_int, &granted);
}

static void on_unsubscribed(void *owner) {
  l_connection *c = owner;
  if (l_connection_is_counted(c)) l_connection_count(c, -1);
  deliver(c, "unsubscribed", NULL, NULL);
}

static void on_lost(void *owner, const dm_err *why) {
  l_connection *c = owner;
  failure f = {why, 0};
  dm_settle_set(&c->loop->settle, c->token, 0);
  deliver(c, "lost", push_failure, &f);
}

/* Is it the topic of a method request, valid or malformed? */
static bool is_request(dm_span topic) {
  static const char filter[] = DM_TOPIC_METHODS_FILTER;
  size_t n = sizeof filter - 2; /* without '#' and NUL */
  return topic.n >= n && memcmp(topic.p, filter, n) == 0;
}

/* Ignore a malformed request: the hub's call will time out. */
static void drop_request(l_connection *c) {
  c->malformed++;
  if (l_connection_is_counted(c)) l_connection_count(c, -1);
}

static void on_message(void *owner, dm_span topic, dm_span payload) {
  l_connection *c = owner;
  dm_topic_request request;
  if (payload.p == NULL) payload = DM_SPAN("");
  if (dm_topic_parse_request(topic, &request)) {
    message m = {request.method, request.rid, payload};
    deliver(c, "request", push_message, &m);
  } else if (is_request(topic)) {
    drop_request(c);
  } else {
    message m = {topic, payload, {NULL, 0}};
    deliver(c, "message", push_message, &m);
  }
}

static void on_overflow(void *owner, dm_span topic) {
  l_connection *c = owner;
  dm_topic_request request;
  if (dm_topic_parse_request(topic, &request)) {
    message m = {request.rid, {NULL, 0}, {NULL, 0}};
    deliver(c, "overflow", push_message, &m);
  } else if (is_request(topic)) {
    drop_request(c);
  }
}

/* A hub in this process counts requests. Few other messages come, so count all
** lost ones as requests. */
static void on_dropped(void *owner, uint64_t n) {
  l_connection *c = owner;
  if (l_connection_is_counted(c)) l_connection_count(c, -(long)n);
}

/* Close the tokens last: what Lua starts at "gone" is counted before that. */
static void on_gone(void *owner) {
  deliver(owner, "gone", NULL, NULL);
  l_connection_free(owner);
}

const dm_mqtt_events l_connection_events = {
    .on_connected = on_connected,
    .on_failed = on_failed,
    .on_subscribed = on_subscribed,
    .on_unsubscribed = on_unsubscribed,
    .on_message = on_message,
    .on_overflow = on_overflow,
    .on_dropped = on_dropped,
    .on_lost = on_lost,
    .on_gone = on_gone,
};
