/* faults.c -- see faults.h. Loop thread only. */
#include "hub/faults.h"

#include <stdlib.h>

void dm_faults_init(dm_faults *t) {
  *t = (dm_faults){.count = 0};
  dm_list_init(&t->list);
  dm_ids_init(&t->ids, DM_FAULTS_MAX);
}

static void remove_fault(dm_faults *t, dm_fault *f) {
  dm_ids_remove(&t->ids, f->id);
  dm_list_remove(&f->node);
  t->count--;
  free(f);
}

void dm_faults_clear(dm_faults *t) {
  while (!dm_list_empty(&t->list))
    remove_fault(t, DM_OWNER(t->list.next, dm_fault, node));
}

void dm_faults_free(dm_faults *t) {
  dm_faults_clear(t);
  dm_ids_clear(&t->ids);
}

/* Copy to *at, which moves on. */
static void keep(dm_span *s, char **at) {
  if (s->p == NULL) return;
  if (s->n > 0) memcpy(*at, s->p, s->n);
  s->p = *at;
  *at += s->n;
}

uint64_t dm_faults_add(dm_faults *t, const dm_fault_options *o) {
  size_t n = o->device.n + o->module.n + o->method.n + o->name.n + o->text.n +
             o->body.n;
  dm_fault *f = calloc(1, sizeof *f + n);
  if (f == NULL) return 0;
  f->id = dm_ids_add(&t->ids, f);
  if (f->id == 0) {
    free(f);
    return 0;
  }
  f->o = *o;
  f->random = o->seed;
  char *at = (char *)(f + 1);
  dm_span *text[] = {&f->o.device, &f->o.module, &f->o.method,
                     &f->o.name,   &f->o.text,   &f->o.body};
  for (size_t i = 0; i < sizeof text / sizeof *text; i++)
    keep(text[i], &at);
  dm_list_append(&t->list, &f->node);
  t->count++;
  return f->id;
}

dm_fault *dm_faults_find(const dm_faults *t, uint64_t id) {
  return dm_ids_get(&t->ids, id);
}

bool dm_faults_remove(dm_faults *t, uint64_t id) {
  dm_fault *f = dm_faults_find(t, id);
  if (f == NULL) return false;
  remove_fault(t, f);
  return true;
}

/* The rule's next number in [0, 1), by splitmix64. */
static double draw(dm_fault *f) {
  uint64_t z = f->random += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return (double)(z >> 11) / 9007199254740992.0;
}

static bool fits(dm_span wanted, dm_span name) {
  return wanted.p == NULL || dm_span_equal(wanted, name);
}

/* Does the rule act on an event that has its names? */
static bool fires(dm_fault *f) {
  if (f->seen++ < f->o.after) return false;
  if (f->o.times > 0 && f->hits >= f->o.times) return false;
  return f->o.probability >= 1 || draw(f) < f->o.probability;
}

static void note(dm_call_facts *facts, const dm_fault *f) {
  if (facts == NULL || facts->faults == DM_CALL_FAULTS) return;
  facts->fault[facts->faults++] = (uint8_t)(f->o.stage * 16 + f->o.action);
}

bool dm_faults_judge(dm_faults *t, dm_fault_stage stage, dm_span device,
                     dm_span module, dm_span method, dm_call_facts *facts,
                     dm_verdict *out) {
  *out = (dm_verdict){.delay = 0};
  for (dm_list *n = t->list.next; n != &t->list && out->fault == NULL;
       n = n->next) {
    dm_fault *f = DM_OWNER(n, dm_fault, node);
    if (f->o.stage != stage || !fits(f->o.device, device) ||
        !fits(f->o.module, module) || !fits(f->o.method, method) || !fires(f))
      continue;
    f->hits++;
    out->rules++;
    note(facts, f);
    out->delay += f->o.delay;
    if (f->o.action != DM_FAULT_DELAY) out->fault = f;
  }
  return out->rules > 0;
}
