/* list.c -- what of lists is too long for the header. One thread at a time. */
#include "base/list.h"

void dm_list_move(dm_list *to, dm_list *from) {
  if (dm_list_empty(from)) return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  dm_list_init(from);
}
