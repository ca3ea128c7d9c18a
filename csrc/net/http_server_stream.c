/* http_server_stream.c -- streamed answers. Loop thread only.
**
** Such an answer has no Content-Length: the end of the connection ends it.
** Bytes that the caller sends meanwhile are kept up to a limit and never read.
*/
#include "net/http_server_state.h"

static dm_http_caller *streaming(const dm_http_server *s, uint64_t id) {
  dm_http_caller *c = dm_ids_get(&s->requests, id);
  return c && c->phase == DM_CALLER_STREAM ? c : NULL;
}

bool dm_http_server_begin(dm_http_server *s, uint64_t id, int status,
                          dm_span fields) {
  dm_http_caller *c = dm_ids_get(&s->requests, id);
  if (!c || c->phase != DM_CALLER_WAITING) return false;
  dm_http_server_release(s, id);
  c->phase = DM_CALLER_STREAM;
  s->fields.len = 0;
  dm_buf *out = dm_stream_output(c->stream);
  bool fits = dm_buf_add_text(&s->fields, dm_http_caller_date(s)) &&
              dm_buf_add_span(&s->fields, fields) &&
              dm_http_write_open_head(out, status, dm_buf_span(&s->fields));
  return dm_stream_written(c->stream, fits);
}

bool dm_http_server_send(dm_http_server *s, uint64_t id, dm_span bytes) {
  dm_http_caller *c = streaming(s, id);
  return c && dm_stream_write(c->stream, bytes);
}

bool dm_http_server_queued(const dm_http_server *s, uint64_t id, size_t *n) {
  const dm_http_caller *c = streaming(s, id);
  if (c) *n = dm_stream_queued(c->stream);
  return c != NULL;
}

void dm_http_server_await_drain(dm_http_server *s, uint64_t id) {
  dm_http_caller *c = streaming(s, id);
  if (c) dm_stream_await_drain(c->stream);
}

void dm_http_server_finish(dm_http_server *s, uint64_t id) {
  dm_http_caller *c = streaming(s, id);
  if (!c) return;
  c->request = 0;
  dm_ids_remove(&s->requests, id);
  dm_http_caller_close(c);
}
