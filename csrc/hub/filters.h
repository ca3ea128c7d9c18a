/* filters.h -- the subscriptions of a session: a bounded set of topic filters.
** Loop thread only. A zeroed dm_filters is empty.
*/
#ifndef DM_HUB_FILTERS_H
#define DM_HUB_FILTERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "proto/topic.h"

#pragma GCC visibility push(hidden)

typedef struct dm_filter dm_filter;

typedef struct dm_filters {
  dm_filter *first; /* owned */
  int count;
} dm_filters;

/* Add a filter, unless the set has it. False: the set has 'limit' filters, or
** there is no memory. */
bool dm_filters_add(dm_filters *f, dm_span text, dm_topic_kind kind, int limit);
void dm_filters_remove(dm_filters *f, dm_span text); /* unknown: nothing */
void dm_filters_clear(dm_filters *f);

/* Call 'each' with the text of every filter. */
void dm_filters_each(const dm_filters *f,
                     void (*each)(void *context, dm_span text), void *context);

/* Is there a filter of this kind? */
bool dm_filters_have(const dm_filters *f, dm_topic_kind kind);

/* Is there a filter that takes requests of this method? */
bool dm_filters_take(const dm_filters *f, dm_span method);

#pragma GCC visibility pop

#endif
