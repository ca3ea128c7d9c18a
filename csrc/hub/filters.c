/* filters.c -- see filters.h. Loop thread only. */
#include "hub/filters.h"

#include <stdlib.h>

struct dm_filter {
  dm_filter *next;
  size_t n;
  dm_topic_kind kind;
  char text[];
};

static dm_span text_of(const dm_filter *filter) {
  return (dm_span){filter->text, filter->n};
}

/* The place that points to the filter, or the end of the list. */
static dm_filter **find(dm_filters *f, dm_span text) {
  dm_filter **place = &f->first;
  while (*place != NULL && !dm_span_equal(text_of(*place), text))
    place = &(*place)->next;
  return place;
}

bool dm_filters_add(dm_filters *f, dm_span text, dm_topic_kind kind,
                    int limit) {
  dm_filter **place = find(f, text);
  if (*place != NULL) return true;
  if (f->count >= limit) return false;
  dm_filter *filter = malloc(sizeof *filter + text.n);
  if (filter == NULL) return false;
  filter->next = NULL;
  filter->n = text.n;
  filter->kind = kind;
  memcpy(filter->text, text.p, text.n);
  *place = filter;
  f->count++;
  return true;
}

void dm_filters_remove(dm_filters *f, dm_span text) {
  dm_filter **place = find(f, text);
  dm_filter *filter = *place;
  if (filter == NULL) return;
  *place = filter->next;
  f->count--;
  free(filter);
}

void dm_filters_clear(dm_filters *f) {
  while (f->first != NULL) {
    dm_filter *filter = f->first;
    f->first = filter->next;
    free(filter);
  }
  f->count = 0;
}

void dm_filters_each(const dm_filters *f,
                     void (*each)(void *context, dm_span text), void *context) {
  for (const dm_filter *i = f->first; i != NULL; i = i->next)
    each(context, text_of(i));
}

bool dm_filters_have(const dm_filters *f, dm_topic_kind kind) {
  const dm_filter *filter = f->first;
  while (filter != NULL && filter->kind != kind)
    filter = filter->next;
  return filter != NULL;
}

bool dm_filters_take(const dm_filters *f, dm_span method) {
  for (const dm_filter *i = f->first; i != NULL; i = i->next) {
    if (i->kind == DM_TOPIC_METHODS &&
        dm_topic_filter_takes(text_of(i), method))
      return true;
  }
  return false;
}
