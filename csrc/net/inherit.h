/* inherit.h -- keeps this process's descriptors out of a child. Any thread.
**
** paho opens its sockets without close-on-exec, on its own threads and at any
** moment, and other libraries and Lua do so too. The parent cannot mark all of
** them before it forks. So the child marks them, between fork and exec, where
** no other thread runs.
*/
#ifndef DM_NET_INHERIT_H
#define DM_NET_INHERIT_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)

/* From now on a child that this thread forks keeps descriptors 0, 1 and 2 alone
** when it runs another program; with false it keeps again what is inheritable.
** False: out of memory. */
bool dm_inherit_nothing(bool on);

#pragma GCC visibility pop

#endif
