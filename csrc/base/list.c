/* list.c -- the list functions that are too long to be inline. One thread at a
** time. */
#include "base/list.h"

void dm_list_move(dm_list *to, dm_list *from) {
  if (dm_list_empty(from)) return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  dm_list_init(from);
}
