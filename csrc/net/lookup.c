/* lookup.c -- see lookup.h. Loop thread only. A name is kept while it is looked
** up or known.
*/
#include "net/lookup.h"

#include <stdlib.h>
#include <string.h>

#include "net/resolve.h"

struct dm_lookup {
  dm_loop *loop;
  dm_list names;
  int count; /* of names */
};

typedef struct name {
  dm_resolve *resolve; /* NULL: the address is known */
  dm_lookup *lookup;
  dm_list node, askers;
  dm_address address; /* AF_UNSPEC: not known yet */
  int64_t until;      /* I/O time: valid until then */
  char host[];
} name;

static void name_free(name *n) {
  dm_resolve_forget(n->resolve);
  dm_list_remove(&n->node);
  n->lookup->count--;
  free(n);
}

dm_lookup *dm_lookup_new(dm_loop *loop) {
  dm_lookup *l = calloc(1, sizeof *l);
  if (l == NULL) return NULL;
  l->loop = loop;
  dm_list_init(&l->names);
  return l;
}

void dm_lookup_free(dm_lookup *l) {
  if (l == NULL) return;
  while (!dm_list_empty(&l->names))
    name_free(DM_OWNER(l->names.next, name, node));
  free(l);
}

dm_lookup *dm_lookup_of(dm_loop *loop, dm_err *e) {
  if (loop->lookup == NULL) loop->lookup = dm_lookup_new(loop);
  if (loop->lookup == NULL) dm_fail(e, DM_SYSTEM_ERROR, "out of memory");
  return loop->lookup;
}

static bool is_known(const name *n) {
  return n->address.any.sa_family != AF_UNSPEC;
}

/* Choose the first IPv4 address, or else the first address. */
static void choose(name *n, const struct addrinfo *found) {
  const struct addrinfo *best = NULL;
  for (const struct addrinfo *a = found; a; a = a->ai_next) {
    if (a->ai_addrlen > sizeof n->address) continue;
    if (!best || (a->ai_family == AF_INET && best->ai_family != AF_INET))
      best = a;
  }
  if (best) memcpy(&n->address, best->ai_addr, best->ai_addrlen);
}

/* An asker may ask again within on_found, or end together with others that
** wait. */
static void tell(name *n, const dm_err *why) {
  dm_list askers;
  dm_list_init(&askers);
  dm_list_move(&askers, &n->askers);
  dm_address address = n->address;
  bool known = is_known(n);
  if (!known) name_free(n);
  while (!dm_list_empty(&askers)) {
    dm_asker *asker = DM_OWNER(askers.next, dm_asker, node);
    dm_list_remove(&asker->node);
    asker->on_found(asker, known ? &address : NULL, why);
  }
}

static void on_resolved(void *owner, const struct addrinfo *found,
                        const char *why) {
  name *n = owner;
  dm_err e = {0};
  n->resolve = NULL;
  choose(n, found);
  n->until = dm_clock_now(&n->lookup->loop->io) + DM_LOOKUP_KEEP_MS;
  if (!is_known(n))
    dm_fail(&e, DM_NAME_NOT_RESOLVED, "look up '%.100s': %s", n->host,
            why ? why : "no usable address");
  tell(n, &e);
}

static name *find(dm_lookup *l, const char *host) {
  int64_t now = dm_clock_now(&l->loop->io);
  name *found = NULL;
  dm_list *next;
  for (dm_list *p = l->names.next; p != &l->names; p = next) {
    name *n = DM_OWNER(p, name, node);
    next = p->next;
    if (is_known(n) && now >= n->until)
      name_free(n);
    else if (strcmp(n->host, host) == 0)
      found = n;
  }
  return found;
}

static name *name_new(dm_lookup *l, const char *host, dm_err *e) {
  size_t n = strlen(host) + 1;
  name *made = calloc(1, sizeof *made + n);
  if (made == NULL) {
    dm_fail(e, DM_SYSTEM_ERROR, "look up '%.100s': out of memory", host);
    return NULL;
  }
  memcpy(made->host, host, n);
  made->lookup = l;
  dm_list_init(&made->askers);
  made->resolve = dm_resolve_start(l->loop, host, on_resolved, made, e);
  if (made->resolve == NULL) {
    free(made);
    return NULL;
  }
  dm_list_append(&l->names, &made->node);
  l->count++;
  return made;
}

static bool read_address(const char *text, dm_address *to) {
  return uv_ip4_addr(text, 0, &to->four) == 0 ||
         uv_ip6_addr(text, 0, &to->six) == 0;
}

dm_code dm_lookup_ask(dm_lookup *l, const char *host, dm_asker *asker,
                      dm_address *to, dm_err *e) {
  *to = (dm_address){0};
  if (read_address(host, to)) return DM_OK;
  *to = (dm_address){0};
  name *n = find(l, host);
  if (n == NULL && l->count >= DM_LOOKUP_NAMES)
    return dm_fail(e, DM_LIMIT_EXCEEDED, "look up '%.100s': too many names",
                   host);
  if (n == NULL) n = name_new(l, host, e);
  if (n == NULL) return e->code;
  if (is_known(n))
    *to = n->address;
  else
    dm_list_append(&n->askers, &asker->node);
  return DM_OK;
}
