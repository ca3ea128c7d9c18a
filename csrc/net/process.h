/* process.h -- a child process without a shell: input in, output out, killed
** with its group when its time is up. Loop thread only.
*/
#ifndef DM_NET_PROCESS_H
#define DM_NET_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "net/loop.h"

#pragma GCC visibility push(hidden)

typedef struct dm_process_options { /* borrowed within dm_process_start */
  char **argv;        /* NULL-terminated; argv[0] is looked up in PATH */
  dm_span input;      /* written to its stdin, which is then closed */
  int64_t timeout_ms; /* real time; <= 0: none */
  size_t max_output;  /* bytes of stdout and of stderr each */
} dm_process_options;

typedef struct dm_process_result {
  dm_err error;   /* DM_OK: it ended by itself */
  int64_t status; /* exit status */
  int signal;     /* that ended it; 0: none */
  dm_span out, err;
} dm_process_result;

/* Start it; its id, of loop->ids. on_done comes once, from the loop. 0: it
*could
** not be started, *e says why. */
uint64_t dm_process_start(dm_loop *loop, const dm_process_options *o,
                          void (*on_done)(void *context, uint64_t id,
                                          const dm_process_result *result),
                          void *context, dm_err *e);

/* Kill it with its group; on_done does not come any more. */
void dm_process_cancel(dm_loop *loop, uint64_t id);

/* All of them, when the loop ends. */
void dm_process_cancel_all(dm_loop *loop);

#pragma GCC visibility pop

#endif
