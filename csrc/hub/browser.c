/* browser.c -- see browser.h. */
#include "hub/browser.h"

#include "proto/text.h"

#define COOKIE "directmethods_"

/* The port of "host:1234"; n 0: there is none. */
static dm_span port_of(dm_span host) {
  size_t i = host.n;
  while (i > 0 && host.p[i - 1] >= '0' && host.p[i - 1] <= '9')
    i--;
  bool found = i > 0 && i < host.n && host.p[i - 1] == ':';
  return found ? (dm_span){host.p + i, host.n - i} : (dm_span){NULL, 0};
}

bool dm_browser_is_local(dm_span host) {
  static const char *const names[] = {"127.0.0.1", "[::1]", "localhost"};
  dm_span port = port_of(host), name = host;
  if (port.n > 0)
    name.n = host.n - port.n - 1;
  else if (host.n > 0 && host.p[host.n - 1] == ':')
    name.n = host.n - 1;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (dm_span_equal_nocase(name, dm_span_of(names[i]))) return true;
  }
  return false;
}

bool dm_browser_is_own_origin(dm_span origin, dm_span host, bool tls) {
  dm_span scheme = tls ? DM_SPAN("https://") : DM_SPAN("http://");
  if (origin.p == NULL) return true;
  return origin.n == scheme.n + host.n &&
         dm_span_equal_nocase((dm_span){origin.p, scheme.n}, scheme) &&
         dm_span_equal_nocase((dm_span){origin.p + scheme.n, host.n}, host);
}

bool dm_browser_is_own_site(dm_span fetch_site) {
  return fetch_site.p == NULL || dm_span_is(fetch_site, "same-origin") ||
         dm_span_is(fetch_site, "none");
}

dm_span dm_browser_cookie(dm_span cookies, dm_span host) {
  dm_span port = port_of(host), rest = cookies;
  while (rest.p != NULL) {
    dm_span value, suffix, pair = dm_text_cut(rest, ';', &rest);
    dm_span name = dm_text_cut(dm_text_trim(pair, " \t"), '=', &value);
    if (!dm_text_starts(name, COOKIE)) continue;
    suffix.p = name.p + sizeof COOKIE - 1;
    suffix.n = name.n - (sizeof COOKIE - 1);
    if (value.p != NULL && dm_span_equal(suffix, port)) return value;
  }
  return (dm_span){NULL, 0};
}
