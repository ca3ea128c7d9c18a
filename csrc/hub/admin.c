/* admin.c -- see admin.h. Loop thread only.
**
** Without TLS the listener serves this machine alone. It refuses a Host header
** that names another machine, so that a web page cannot reach the listener by a
** domain name that resolves to 127.0.0.1. With TLS the certificate prevents
** this. The listener also refuses an Origin header that names another listener.
**
** A browser that has shown the token gets a cookie with the session's secret.
** The secret is derived from the token, so the cookie stays valid after a
** restart with the same token. Pages of other sites cannot read the cookie, but
** pages on other ports of this machine can make the browser send it. So a
** request with the cookie alone is accepted only from the hub's own page. If
** the request may change something, it must also have a header that no form can
** send.
**
** Every path except /healthz and the inspector's files needs the hub's bearer
** token.
*/
#include "hub/admin.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "hub/browser.h"
#include "hub/exchange.h"
#include "hub/secret.h"
#include "proto/text.h"

enum { SECRET_BYTES = 32 }; /* of SHA-256 */

/* The secret of sessions: hexadecimal digits that do not reveal the token. */
static bool make_session(dm_span *session, dm_span token) {
  static const char about[] = "directmethods session";
  unsigned char bytes[EVP_MAX_MD_SIZE];
  char digits[2 * SECRET_BYTES];
  unsigned int n = 0;
  if (HMAC(EVP_sha256(), token.p, (int)token.n, (const unsigned char *)about,
           sizeof about - 1, bytes, &n) == NULL)
    return false;
  for (size_t i = 0; i < SECRET_BYTES; i++) {
    digits[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
    digits[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
  }
  return dm_secret_copy(session, (dm_span){digits, sizeof digits});
}

bool dm_hub_admin_token(dm_hub *h, dm_span token) {
  dm_secret_release(&h->admin_token);
  dm_secret_release(&h->admin_session);
  return dm_secret_copy(&h->admin_token, token) &&
         make_session(&h->admin_session, token);
}

dm_span dm_hub_admin_session(const dm_hub *h) {
  return h->admin_session;
}

static bool is_secret(dm_span given, dm_span secret) {
  return secret.n > 0 && given.n == secret.n &&
         CRYPTO_memcmp(given.p, secret.p, secret.n) == 0;
}

static bool is_bearer(const dm_hub *h, dm_span authorization) {
  dm_span token;
  dm_span scheme = dm_text_cut(authorization, ' ', &token);
  return dm_span_equal_nocase(scheme, DM_SPAN("Bearer")) &&
         is_secret(token, h->admin_token);
}

static bool has_session(const dm_hub *h, const dm_http_request *r) {
  dm_span cookies = dm_http_header(r, "Cookie");
  return is_secret(dm_browser_cookie(cookies, dm_http_header(r, "Host")),
                   h->admin_session);
}

/* Did the hub's own page send the request, so that the cookie may authorise it?
*/
static bool is_own_page(const dm_http_request *r) {
  bool changes =
      !dm_span_is(r->method, "GET") && !dm_span_is(r->method, "HEAD");
  if (changes && dm_http_header(r, "X-Directmethods").p == NULL) return false;
  return dm_browser_is_own_site(dm_http_header(r, "Sec-Fetch-Site"));
}

/* Paths that need no token, because their answers have no data of the hub: the
** health check and the inspector's files. */
static bool is_open_to_all(dm_span path) {
  return dm_span_is(path, "/healthz") || dm_span_is(path, "/") ||
         dm_text_starts(path, "/inspector/");
}

static void refuse(dm_exchange *x, int status, dm_span fields, dm_span why) {
  const dm_span part[3] = {DM_SPAN("{\"Message\":\""), why, DM_SPAN("\"}")};
  x->hub->counted.admin_refused++;
  dm_exchange_answer(x, status, fields, part);
}

/* Refuse a request that a page at another address has made. True: it was
** refused. */
static bool refuse_foreign(dm_exchange *x, const dm_http_request *r, bool tls) {
  const dm_span none = {NULL, 0};
  dm_span host = dm_http_header(r, "Host");
  if (!tls && !dm_browser_is_local(host))
    refuse(x, 403, none, DM_SPAN("Host must name this machine."));
  else if (!dm_browser_is_own_origin(dm_http_header(r, "Origin"), host, tls))
    refuse(x, 403, none, DM_SPAN("Origin must be this listener."));
  else
    return false;
  return true;
}

size_t dm_admin_admit(dm_exchange *x, const dm_http_request *r, bool tls) {
  const dm_span none = {NULL, 0};
  bool bearer = is_bearer(x->hub, dm_http_header(r, "Authorization"));
  bool session = !bearer && has_session(x->hub, r);
  bool known = bearer || session;
  bool open = is_open_to_all(r->path);
  x->rights = DM_RIGHT_ADMIN; /* its answers have an admin listener's headers */
  if (refuse_foreign(x, r, tls)) return 0;
  if (!known && !open) {
    refuse(x, 401, DM_SPAN("WWW-Authenticate: Bearer\r\n"),
           DM_SPAN("The bearer token of this hub is needed."));
    return 0;
  }
  if (session && !open && !is_own_page(r)) {
    refuse(x, 403, none,
           DM_SPAN("With the cookie alone, a request must come from the hub's "
                   "page, with the header X-Directmethods: 1."));
    return 0;
  }
  dm_exchange_park(x);
  return known ? (size_t)x->hub->limits.body_size : 0;
}
