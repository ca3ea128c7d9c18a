/* list.h -- a circular doubly linked list whose nodes are embedded in their
** owners. One thread at a time. Every operation takes constant time.
**
**   struct job { dm_list node; int n; };
**   dm_list jobs; dm_list_init(&jobs);
**   dm_list_append(&jobs, &job->node);
**   struct job *first = DM_OWNER(jobs.next, struct job, node);
*/
#ifndef DM_BASE_LIST_H
#define DM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#pragma GCC visibility push(hidden)

typedef struct dm_list {
  struct dm_list *next, *prev; /* itself: an empty list, or a node in no list */
} dm_list;

/* The struct of 'type' whose member 'member' is at 'pointer'. */
#define DM_OWNER(pointer, type, member)                                        \
  ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void dm_list_init(dm_list *l) {
  l->next = l->prev = l;
}

static inline bool dm_list_empty(const dm_list *l) {
  return l->next == l;
}

static inline void dm_list_append(dm_list *l, dm_list *node) {
  node->prev = l->prev;
  node->next = l;
  l->prev->next = node;
  l->prev = node;
}

/* Take a node out of its list. It may be in no list; then nothing happens. */
static inline void dm_list_remove(dm_list *node) {
  node->prev->next = node->next;
  node->next->prev = node->prev;
  dm_list_init(node);
}

/* Move all nodes of 'from' to the end of 'to'; 'from' is empty afterwards. */
void dm_list_move(dm_list *to, dm_list *from);

#pragma GCC visibility pop

#endif
