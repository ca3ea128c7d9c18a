/* process.c -- see process.h. Loop thread only.
**
** A process is done when it has ended and both of its pipes have ended. The
** close callback of the last of its four handles frees it.
*/
#include "net/process.h"

#include <signal.h>
#include <stdlib.h>

#include "base/buf.h"
#include "net/inherit.h"

enum { HANDLES = 4 }; /* process, stdin, stdout, stderr */

typedef struct output {
  uv_pipe_t pipe;
  dm_buf text;
  bool ended;
} output;

typedef struct process {
  dm_loop *loop;
  dm_list node; /* in the loop's processes */
  uint64_t id;
  uv_process_t child;
  uv_pipe_t input_pipe;
  uv_write_t write;
  char *input; /* owned until written */
  output out, err;
  dm_timer timeout; /* on the I/O clock */
  dm_err error;
  int64_t status;
  int signal;
  bool ended, done;
  int open_handles;
  void (*on_done)(void *context, uint64_t id, const dm_process_result *result);
  void *context;
} process;

static void on_closed(uv_handle_t *handle) {
  process *p = handle->data;
  if (--p->open_handles > 0) return;
  dm_buf_clear(&p->out.text);
  dm_buf_clear(&p->err.text);
  free(p->input);
  p->loop->closing--;
  free(p);
}

static void close_handle(void *handle) {
  if (!uv_is_closing(handle)) uv_close(handle, on_closed);
}

static bool is_running(const process *p) {
  return uv_is_active((const uv_handle_t *)&p->child);
}

/* If the handle of a running child were closed, the child would stay a zombie.
** So that handle is closed when the child ends. */
static void process_close(process *p) {
  dm_list_remove(&p->node);
  dm_clock_stop(&p->loop->io, &p->timeout);
  dm_ids_remove(&p->loop->ids, p->id);
  if (!is_running(p)) close_handle(&p->child);
  close_handle(&p->input_pipe);
  close_handle(&p->out.pipe);
  close_handle(&p->err.pipe);
}

/* Report once, when the process and both pipes have ended or the process was
** killed. */
static void finish_if_over(process *p) {
  if (p->done || !p->ended || !p->out.ended || !p->err.ended) return;
  p->done = true;
  dm_process_result result = {.error = p->error,
                              .status = p->status,
                              .signal = p->signal,
                              .out = dm_buf_span(&p->out.text),
                              .err = dm_buf_span(&p->err.text)};
  p->on_done(p->context, p->id, &result);
  process_close(p);
}

/* Kill the whole group, because a grandchild would keep the pipes open. After
** the first process of the group has ended, its number is not given to another
** process as long as a group member, which holds a pipe, is alive. */
static void kill_group(process *p) {
  bool held = p->ended && !(p->out.ended && p->err.ended);
  if (is_running(p) || held) kill(-p->child.pid, SIGKILL);
}

static void fail(process *p, dm_code code, const char *why) {
  if (p->error.code == DM_OK) dm_fail(&p->error, code, "%s", why);
  kill_group(p);
  p->out.ended = p->err.ended = true;
  finish_if_over(p);
}

static void on_timeout(dm_timer *timer) {
  process *p = DM_OWNER(timer, process, timeout);
  fail(p, DM_TIMEOUT, "exec: the process did not end in time");
}

static void on_exit_status(uv_process_t *child, int64_t status, int signal) {
  process *p = child->data;
  p->ended = true;
  p->status = status;
  p->signal = signal;
  if (p->done)
    close_handle(&p->child); /* it was cancelled */
  else
    finish_if_over(p);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf) {
  process *p = handle->data;
  (void)size;
  *buf = uv_buf_init(p->loop->read, sizeof p->loop->read);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
  process *p = stream->data;
  output *o = stream == (uv_stream_t *)&p->out.pipe ? &p->out : &p->err;
  if (n < 0) {
    o->ended = true;
    finish_if_over(p);
  } else if (!dm_buf_add(&o->text, buf->base, (size_t)n)) {
    fail(p, DM_LIMIT_EXCEEDED, "exec: the process wrote more than max_output");
  }
}

static void on_written(uv_write_t *write, int status) {
  process *p = write->data;
  (void)status; /* a child may ignore its input */
  close_handle(&p->input_pipe);
}

static process *process_new(dm_loop *loop, const dm_process_options *o) {
  process *p = calloc(1, sizeof *p);
  if (p == NULL) return NULL;
  p->loop = loop;
  p->input = malloc(o->input.n + 1);
  p->id = p->input != NULL ? dm_loop_id(loop, p) : 0;
  if (p->id == 0) {
    free(p->input);
    free(p);
    return NULL;
  }
  if (o->input.n > 0) memcpy(p->input, o->input.p, o->input.n);
  dm_buf_init(&p->out.text, o->max_output);
  dm_buf_init(&p->err.text, o->max_output);
  p->timeout.on_due = on_timeout;
  uv_pipe_init(&loop->uv, &p->input_pipe, 0);
  uv_pipe_init(&loop->uv, &p->out.pipe, 0);
  uv_pipe_init(&loop->uv, &p->err.pipe, 0);
  p->child.data = p->input_pipe.data = p->out.pipe.data = p->err.pipe.data = p;
  p->write.data = p;
  p->open_handles = HANDLES;
  loop->closing++;
  dm_list_append(&loop->processes, &p->node);
  return p;
}

static int spawn(process *p, char **argv) {
  uv_stdio_container_t stdio[3] = {
      {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE,
       .data.stream = (uv_stream_t *)&p->input_pipe},
      {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
       .data.stream = (uv_stream_t *)&p->out.pipe},
      {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
       .data.stream = (uv_stream_t *)&p->err.pipe},
  };
  uv_process_options_t options = {
      .exit_cb = on_exit_status,
      .file = argv[0],
      .args = argv,
      .flags = UV_PROCESS_DETACHED, /* make it lead a group */
      .stdio_count = 3,
      .stdio = stdio,
  };
  if (!dm_inherit_nothing(true)) return UV_ENOMEM;
  int rc = uv_spawn(&p->loop->uv, &p->child, &options);
  dm_inherit_nothing(false);
  return rc;
}

static void start_io(process *p, const dm_process_options *o) {
  uv_buf_t buf = uv_buf_init(p->input, (unsigned)o->input.n);
  if (buf.len == 0)
    close_handle(&p->input_pipe);
  else
    uv_write(&p->write, (uv_stream_t *)&p->input_pipe, &buf, 1, on_written);
  uv_read_start((uv_stream_t *)&p->out.pipe, on_alloc, on_read);
  uv_read_start((uv_stream_t *)&p->err.pipe, on_alloc, on_read);
  if (o->timeout_ms > 0)
    dm_clock_start(&p->loop->io, &p->timeout,
                   dm_clock_now(&p->loop->io) + o->timeout_ms);
}

/* End it without on_done. */
static void give_up(process *p) {
  p->done = true;
  kill_group(p);
  process_close(p);
}

uint64_t dm_process_start(dm_loop *loop, const dm_process_options *o,
                          void (*on_done)(void *context, uint64_t id,
                                          const dm_process_result *result),
                          void *context, dm_err *e) {
  process *p = process_new(loop, o);
  if (p == NULL) {
    dm_fail(e, DM_SYSTEM_ERROR, "exec: out of memory");
    return 0;
  }
  p->on_done = on_done;
  p->context = context;
  int rc = spawn(p, o->argv);
  if (rc != 0) {
    dm_fail(e, DM_SYSTEM_ERROR, "exec %s: %s", o->argv[0], uv_strerror(rc));
    give_up(p);
    return 0;
  }
  start_io(p, o);
  return p->id;
}

void dm_process_cancel(dm_loop *loop, uint64_t id) {
  process *p = dm_ids_get(&loop->ids, id);
  if (p != NULL) give_up(p);
}

void dm_process_cancel_all(dm_loop *loop) {
  while (!dm_list_empty(&loop->processes))
    give_up(DM_OWNER(loop->processes.next, process, node));
}
