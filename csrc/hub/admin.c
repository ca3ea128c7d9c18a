/* admin.c -- see admin.h. Loop thread only.
**
** Without TLS the listener is for this machine alone. A Host header that names
** another is refused, so that a web page cannot reach the listener by a domain
** name that resolves to 127.0.0.1. With TLS the certificate prevents this.
** Everything but /healthz and the inspector's files needs the hub's bearer
** token.
*/
#include "hub/admin.h"

#include <openssl/crypto.h>

#include "hub/exchange.h"
#include "hub/secret.h"
#include "proto/text.h"

bool dm_hub_admin_token(dm_hub *h, dm_span token) {
  dm_secret_release(&h->admin_token);
  return dm_secret_copy(&h->admin_token, token);
}

/* Is it ":1234", or nothing? */
static bool is_port(dm_span s) {
  if (s.n == 0) return true;
  if (s.p[0] != ':') return false;
  for (size_t i = 1; i < s.n; i++) {
    if (s.p[i] < '0' || s.p[i] > '9') return false;
  }
  return true;
}

static bool is_this_machine(dm_span host) {
  static const char *const names[] = {"127.0.0.1", "[::1]", "localhost"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    dm_span name = dm_span_of(names[i]);
    if (host.n >= name.n &&
        dm_span_equal_nocase((dm_span){host.p, name.n}, name) &&
        is_port((dm_span){host.p + name.n, host.n - name.n}))
      return true;
  }
  return false;
}

static bool is_bearer(const dm_hub *h, dm_span authorization) {
  dm_span token;
  dm_span scheme = dm_text_cut(authorization, ' ', &token);
  return dm_span_equal_nocase(scheme, DM_SPAN("Bearer")) &&
         h->admin_token.n > 0 && token.n == h->admin_token.n &&
         CRYPTO_memcmp(token.p, h->admin_token.p, token.n) == 0;
}

static bool begins_with(dm_span s, dm_span start) {
  return s.n >= start.n && dm_span_equal((dm_span){s.p, start.n}, start);
}

/* What tells nothing about the hub: is it there, and the page that asks for the
** rest with a token. */
static bool is_open_to_all(dm_span path) {
  return dm_span_is(path, "/healthz") || dm_span_is(path, "/") ||
         begins_with(path, DM_SPAN("/inspector/"));
}

static void refuse(dm_exchange *x, int status, dm_span fields, dm_span why) {
  const dm_span part[3] = {DM_SPAN("{\"Message\":\""), why, DM_SPAN("\"}")};
  x->hub->counted.admin_refused++;
  dm_exchange_answer(x, status, fields, part);
}

size_t dm_admin_admit(dm_exchange *x, const dm_http_request *r, bool tls) {
  const dm_span none = {NULL, 0};
  bool known = is_bearer(x->hub, dm_http_header(r, "Authorization"));
  if (!tls && !is_this_machine(dm_http_header(r, "Host"))) {
    refuse(x, 403, none, DM_SPAN("Host must name this machine."));
    return 0;
  }
  if (!known && !is_open_to_all(r->path)) {
    refuse(x, 401, DM_SPAN("WWW-Authenticate: Bearer\r\n"),
           DM_SPAN("The bearer token of this hub is needed."));
    return 0;
  }
  x->rights = DM_RIGHT_ADMIN;
  dm_exchange_park(x);
  return known ? (size_t)x->hub->limits.body_size : 0;
}
