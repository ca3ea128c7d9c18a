/* table.h -- finds objects by bytes that they contain. The nodes are embedded
** in their owners. One thread at a time. A zeroed table is empty.
**
**   struct peer { dm_table_node node; char id[8]; };
**   p->node.key = (dm_span){p->id, 8};
**   if (dm_table_add(&t, &p->node)) ...
**   dm_table_node *n = dm_table_find(&t, key);
*/
#ifndef DM_CLUSTER_TABLE_H
#define DM_CLUSTER_TABLE_H

#include <stdint.h>

#include "base/span.h"

#pragma GCC visibility push(hidden)

typedef struct dm_table_node {
  struct dm_table_node *next; /* in its chain */
  dm_span key; /* borrowed from the owner; it stays while the node is added */
  uint32_t hash;
} dm_table_node;

typedef struct dm_table {
  dm_table_node **chain; /* owned */
  uint32_t chains;       /* a power of 2, or 0 */
  uint32_t count;        /* of nodes */
} dm_table;

void dm_table_clear(dm_table *t); /* forget all nodes */

dm_table_node *dm_table_find(const dm_table *t, dm_span key); /* NULL: none */

/* Add a node whose key is set, and is not in the table. False: no memory. */
bool dm_table_add(dm_table *t, dm_table_node *n);
void dm_table_remove(dm_table *t, dm_table_node *n);

/* To remove all nodes: start with *chain = 0, and remove the node that is
** returned before the next call. NULL: there are no more. */
dm_table_node *dm_table_first(const dm_table *t, uint32_t *chain);

#pragma GCC visibility pop

#endif
