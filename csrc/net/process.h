/* process.h -- runs a child process without a shell, with input and output.
** When its time is over, it is killed with its process group. Loop thread only.
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
  size_t max_output;  /* bytes of stdout, and of stderr */
} dm_process_options;

typedef struct dm_process_result {
  dm_err error;   /* DM_OK: the process ended by itself */
  int64_t status; /* exit status */
  int signal;     /* the signal that ended it; 0: none */
  dm_span out, err;
} dm_process_result;

/* Start a process. Returns its id, from loop->ids; 0: it could not be started,
** *e says why. on_done comes once, from the loop. */
uint64_t dm_process_start(dm_loop *loop, const dm_process_options *o,
                          void (*on_done)(void *context, uint64_t id,
                                          const dm_process_result *result),
                          void *context, dm_err *e);

/* Kill the process and its group; on_done does not come. */
void dm_process_cancel(dm_loop *loop, uint64_t id);

/* Cancel all processes, when the loop ends. */
void dm_process_cancel_all(dm_loop *loop);

#pragma GCC visibility pop

#endif
