/* logins.c -- see logins.h. Pure. */
#include "hub/logins.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

void dm_logins_init(dm_logins *l, int64_t limit, uint64_t seed) {
  *l = (dm_logins){.limit = limit, .seed = seed | 1};
}

void dm_logins_clear(dm_logins *l) {
  free(l->login);
  l->login = NULL;
  l->until = 0;
}

/* Big-endian. */
static uint64_t number_of(const unsigned char *p, int n) {
  uint64_t number = 0;
  for (int i = 0; i < n; i++)
    number = number << 8 | p[i];
  return number;
}

/* The same number for an IPv4 address and for its form in IPv6. */
static uint64_t source_of_four(const unsigned char *p) {
  return (uint64_t)0xffff << 32 | number_of(p, 4);
}

static uint64_t source_of_six(const unsigned char address[16]) {
  static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
  if (memcmp(address, mapped, sizeof mapped) == 0)
    return source_of_four(address + sizeof mapped);
  return number_of(address, 8);
}

bool dm_logins_source(const char *peer, uint64_t *source) {
  char host[INET6_ADDRSTRLEN + 1];
  unsigned char address[16];
  bool six = peer[0] == '[';
  const char *start = six ? peer + 1 : peer;
  size_t n = strcspn(start, six ? "]%" : ":");
  if (n >= sizeof host) return false;
  memcpy(host, start, n);
  host[n] = '\0';
  if (inet_pton(six ? AF_INET6 : AF_INET, host, address) != 1) return false;
  *source = six ? source_of_six(address) : source_of_four(address);
  return true;
}

static dm_login *set_of(const dm_logins *l, uint64_t source) {
  uint64_t hash = (source ^ l->seed) * 0x9e3779b97f4a7c15u * l->seed;
  return &l->login[((hash >> 40) & (DM_LOGINS_SETS - 1)) * DM_LOGINS_WAYS];
}

int64_t dm_logins_wait(const dm_logins *l, uint64_t source, int64_t now) {
  if (l->login == NULL) return 0;
  const dm_login *set = set_of(l, source);
  for (int i = 0; i < DM_LOGINS_WAYS; i++) {
    if (set[i].failures > 0 && set[i].source == source)
      return set[i].until > now ? set[i].until - now : 0;
  }
  return 0;
}

/* The source's place, or the place of the one that failed longest ago. */
static dm_login *place_for(dm_logins *l, uint64_t source) {
  dm_login *set = set_of(l, source), *oldest = set;
  for (int i = 0; i < DM_LOGINS_WAYS; i++) {
    if (set[i].failures > 0 && set[i].source == source) return &set[i];
    if (set[i].failures == 0 || set[i].last < oldest->last) oldest = &set[i];
  }
  *oldest = (dm_login){.source = source};
  return oldest;
}

bool dm_logins_failed(dm_logins *l, uint64_t source, int64_t now) {
  if (l->login == NULL)
    l->login = calloc(DM_LOGINS_SETS * DM_LOGINS_WAYS, sizeof *l->login);
  if (l->login == NULL) return false;
  dm_login *f = place_for(l, source);
  if (f->failures == 0 || now - f->since >= DM_LOGINS_WINDOW_MS) {
    f->since = now;
    f->failures = 0;
  }
  f->last = now;
  if (++f->failures < l->limit) return false;
  f->failures = 1; /* keeps its place; counted anew when it may come again */
  f->since = now - DM_LOGINS_WINDOW_MS;
  f->until = now + DM_LOGINS_WAIT_MS;
  if (f->until > l->until) l->until = f->until;
  return true;
}
