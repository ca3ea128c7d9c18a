/* interest.c -- which identities this hub holds, and which its callers wait
** for. Loop thread only. Each is a subscription; its subject is the key.
*/
#include "cluster/cluster_state.h"

#include <stdlib.h>

#define GROUP "holder" /* one of the hubs that hold an identity gets its call */

typedef struct interest {
  dm_table_node node;
  dm_link_topic *topic;
  size_t device_n, module_n; /* bytes of these, which are in 'text' */
  bool has_module;
  char text[]; /* subject, its NUL, device, module */
} interest;

typedef bool write_subject(dm_buf *out, dm_span cluster, dm_span device,
                           dm_span module);

static interest *interest_of(dm_table_node *n) {
  return DM_OWNER(n, interest, node);
}

static dm_span device_of(const interest *i) {
  return (dm_span){i->text + i->node.key.n + 1, i->device_n};
}

static dm_span module_of(const interest *i) {
  if (!i->has_module) return (dm_span){0};
  return (dm_span){i->text + i->node.key.n + 1 + i->device_n, i->module_n};
}

static interest *new_interest(dm_span subject, dm_span device, dm_span module) {
  interest *i = malloc(sizeof *i + subject.n + 1 + device.n + module.n);
  if (i == NULL) return NULL;
  char *p = i->text;
  memcpy(p, subject.p, subject.n + 1); /* with its NUL */
  memcpy(p + subject.n + 1, device.p, device.n);
  if (module.n > 0) memcpy(p + subject.n + 1 + device.n, module.p, module.n);
  i->node.key = (dm_span){p, subject.n};
  i->device_n = device.n;
  i->module_n = module.n;
  i->has_module = module.p != NULL;
  return i;
}

static interest *add(dm_cluster *c, dm_table *t, interest *i,
                     const char *group) {
  if (i == NULL) return NULL;
  i->topic = dm_link_subscribe(c->link, i->text, group);
  if (i->topic != NULL && dm_table_add(t, &i->node)) return i;
  if (i->topic != NULL) dm_link_unsubscribe(c->link, i->topic);
  free(i);
  return NULL;
}

static void drop(dm_cluster *c, dm_table *t, interest *i) {
  dm_link_unsubscribe(c->link, i->topic);
  dm_table_remove(t, &i->node);
  free(i);
}

/* Begin or end an interest. The new one; NULL: there is none to begin. */
static interest *set(dm_cluster *c, dm_table *t, dm_span subject,
                     dm_span device, dm_span module, bool on) {
  const char *group = t == &c->holds ? GROUP : NULL;
  dm_table_node *n = dm_table_find(t, subject);
  if (n != NULL && !on) drop(c, t, interest_of(n));
  if (n != NULL || !on || c->link == NULL) return NULL;
  return add(c, t, new_interest(subject, device, module), group);
}

static void tell_up(dm_cluster *c, dm_span device, dm_span module) {
  char memory[DM_SUBJECT_MAX];
  dm_buf subject = dm_buf_fixed(memory, sizeof memory);
  dm_wire w = {.kind = DM_WIRE_UP, .device = device, .module = module};
  if (dm_subject_up(&subject, c->name, device, module))
    dm_post(c, memory, NULL, &w);
}

void dm_interest_hold(void *bus, dm_span device, dm_span module, bool on) {
  char memory[DM_SUBJECT_MAX];
  dm_cluster *c = bus;
  dm_buf subject = dm_buf_fixed(memory, sizeof memory);
  if (!dm_subject_call(&subject, c->name, device, module)) return;
  if (set(c, &c->holds, dm_buf_span(&subject), device, module, on) != NULL)
    tell_up(c, device, module);
}

bool dm_interest_has(const dm_cluster *c, dm_span subject) {
  return dm_table_find(&c->holds, subject) != NULL;
}

/* Ask the hub that has the device to answer with UP. The device may have
** connected there before this hub had subscribed to UP. */
static void seek(dm_cluster *c, dm_span device, dm_span module) {
  char memory[DM_SUBJECT_MAX];
  dm_buf subject = dm_buf_fixed(memory, sizeof memory);
  dm_wire w = {.kind = DM_WIRE_SEEK, .device = device, .module = module};
  if (dm_subject_call(&subject, c->name, device, module))
    dm_post(c, memory, NULL, &w);
}

void dm_interest_want(void *bus, dm_span device, dm_span module, bool on) {
  char memory[DM_SUBJECT_MAX];
  dm_cluster *c = bus;
  dm_buf subject = dm_buf_fixed(memory, sizeof memory);
  if (!dm_subject_up(&subject, c->name, device, module)) return;
  if (set(c, &c->wants, dm_buf_span(&subject), device, module, on) != NULL)
    seek(c, device, module);
}

/* It may have been wanted when it was sent, and no longer. */
void dm_interest_on_up(dm_cluster *c, const dm_wire *w) {
  char memory[DM_SUBJECT_MAX];
  dm_buf subject = dm_buf_fixed(memory, sizeof memory);
  if (!dm_subject_up(&subject, c->name, w->device, w->module)) return;
  bool wanted = dm_table_find(&c->wants, dm_buf_span(&subject)) != NULL;
  if (wanted && c->events != NULL)
    c->events->on_up(c->context, w->device, w->module);
}

void dm_interest_on_seek(dm_cluster *c, const dm_wire *w) {
  dm_wire up = {.kind = DM_WIRE_UP, .device = w->device, .module = w->module};
  dm_post_hub(c, w->hub, NULL, &up);
}

void dm_interest_seek_all(dm_cluster *c) {
  for (uint32_t i = 0; i < c->wants.chains; i++) {
    for (dm_table_node *n = c->wants.chain[i]; n != NULL; n = n->next)
      seek(c, device_of(interest_of(n)), module_of(interest_of(n)));
  }
}

static void clear(dm_cluster *c, dm_table *t) {
  uint32_t chain = 0;
  dm_table_node *n;
  while ((n = dm_table_first(t, &chain)) != NULL)
    drop(c, t, interest_of(n));
  dm_table_clear(t);
}

void dm_interest_clear(dm_cluster *c) {
  clear(c, &c->holds);
  clear(c, &c->wants);
}
