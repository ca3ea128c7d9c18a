/* mqtt_paho_setup.c -- what a paho client needs to connect: copies of the
** options, checked, and files for TLS. Loop thread only.
*/
#include "net/mqtt_paho.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "proto/upgrade.h"

enum {
  BACKSTOP_S = 5, /* paho's connect time-out is so much longer than ours */
  KEEPALIVE_MAX_S = 65535
};

static void wipe(char **text) {
  if (*text) OPENSSL_cleanse(*text, strlen(*text));
  free(*text);
  *text = NULL;
}

void dm_paho_setup_clear(dm_paho_setup *s) {
  wipe(&s->password);
  wipe(&s->key_password);
  wipe(&s->proxy);
  free(s->uri);
  free(s->client_id);
  free(s->username);
  free(s->ca_pem);
  dm_tls_file_clear(&s->ca);
  dm_tls_file_clear(&s->cert);
  dm_tls_file_clear(&s->key);
  memset(s, 0, sizeof *s);
}

/* False: out of memory. A missing text stays NULL. */
static bool copy(char **to, const char *text) {
  if (text == NULL) return true;
  *to = strdup(text);
  return *to != NULL;
}

/* Our option begins with "http://", the protocol of the proxy. paho uses that
** part for something else when TLS is on, so remove it. */
#define SCHEME "https://"

static bool copy_proxy(char **to, const char *proxy) {
  if (proxy == NULL) return true;
  const char *start = strstr(proxy, "://");
  start = start ? start + 3 : proxy;
  size_t size = sizeof SCHEME + strlen(start);
  *to = malloc(size);
  if (*to) snprintf(*to, size, SCHEME "%s", start);
  return *to != NULL;
}

const char *dm_paho_plain_proxy(const dm_paho_setup *s) {
  return s->proxy ? s->proxy + strlen(SCHEME) : NULL;
}

static bool setup_texts(dm_paho_setup *s, const dm_mqtt_options *o) {
  return copy(&s->client_id, o->client_id) && copy(&s->username, o->username) &&
         copy(&s->password, o->password) &&
         copy(&s->key_password, o->key_password) &&
         copy(&s->ca_pem, o->ca_pem) && copy_proxy(&s->proxy, o->proxy);
}

static dm_code setup_tls(dm_paho_setup *s, const dm_mqtt_options *o,
                         dm_err *e) {
  dm_code code = DM_OK;
  if (!o->tls) return code;
  if (o->verify && o->verify_name && strcmp(o->verify_name, o->host) != 0)
    return dm_fail(e, DM_TLS_FAILED,
                   "TLS to '%s': engine paho cannot check the certificate "
                   "for another name",
                   o->host);
  if (o->ca_pem) code = dm_tls_check_ca(o->ca_pem, e);
  if (code == DM_OK && o->cert_pem)
    code = dm_tls_check_pair(o->cert_pem, o->key_pem ? o->key_pem : o->cert_pem,
                             o->key_password, e);
  if (code == DM_OK && o->ca_pem) code = dm_tls_file_make(&s->ca, o->ca_pem, e);
  if (code == DM_OK && o->cert_pem)
    code = dm_tls_file_make(&s->cert, o->cert_pem, e);
  if (code == DM_OK && o->key_pem)
    code = dm_tls_file_make(&s->key, o->key_pem, e);
  return code;
}

/* Make the URI that paho connects to. */
static bool setup_uri(dm_paho *c, const char *host) {
  dm_paho_setup *s = &c->setup;
  const char *plain = s->websocket ? "ws" : "tcp";
  const char *secure = s->websocket ? "wss" : "ssl";
  bool bare_v6 = strchr(host, ':') != NULL && host[0] != '[';
  size_t room = strlen(host) + 64;
  char *uri = malloc(room);
  if (uri == NULL) return false;
  snprintf(uri, room, "%s://%s%s%s:%d%s", s->tls ? secure : plain,
           bare_v6 ? "[" : "", host, bare_v6 ? "]" : "", c->port,
           s->websocket ? DM_MQTT_WEBSOCKET_PATH : "");
  free(s->uri);
  s->uri = uri;
  return true;
}

dm_code dm_paho_setup_fill(dm_paho *c, const dm_mqtt_options *o, dm_err *e) {
  dm_paho_setup *s = &c->setup;
  int64_t seconds = o->connect_ms / 1000 + BACKSTOP_S;
  s->tls = o->tls;
  s->websocket = o->websocket;
  s->verify = o->tls && o->verify;
  s->clean_session = o->clean_session;
  c->keepalive_s =
      o->keepalive_s < KEEPALIVE_MAX_S ? o->keepalive_s : KEEPALIVE_MAX_S;
  s->timeout_s = seconds < INT_MAX / 1000 ? (int)seconds : INT_MAX / 1000;
  if (!setup_texts(s, o) || !setup_uri(c, o->host))
    return dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  return setup_tls(s, o, e);
}

bool dm_paho_setup_address(dm_paho *c, const dm_address *found) {
  const dm_paho_setup *s = &c->setup;
  char text[INET6_ADDRSTRLEN];
  int rc;
  c->address = *found;
  if (found->any.sa_family == AF_INET6)
    c->address.six.sin6_port = htons((uint16_t)c->peer_port);
  else
    c->address.four.sin_port = htons((uint16_t)c->peer_port);
  if (s->tls || s->websocket || s->proxy) return true;
  if (found->any.sa_family == AF_INET)
    rc = uv_ip4_name(&found->four, text, sizeof text);
  else
    rc = uv_ip6_name(&found->six, text, sizeof text);
  return rc == 0 && setup_uri(c, text);
}

bool dm_paho_proxy_host(const char *url, char *host, size_t room, int *port) {
  dm_upgrade_proxy proxy;
  if (!dm_upgrade_read_proxy(dm_span_of(url), &proxy) || proxy.host.n >= room)
    return false;
  memcpy(host, proxy.host.p, proxy.host.n);
  host[proxy.host.n] = '\0';
  *port = proxy.port;
  return true;
}
