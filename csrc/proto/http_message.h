/* http_message.h -- HTTP/1.x requests, read with llhttp behind a strict filter,
** and replies, written. Pure: bytes in, events out.
**
** In front of llhttp a filter (http_filter.h) refuses what it lets through:
** bare CR or LF, NUL, whitespace before a field's colon, obsolete folding, a
** second Content-Length or Host, Content-Length with Transfer-Encoding, any
** transfer coding but "chunked", a Content-Length that is not digits alone,
** chunk sizes of over 15 digits, chunk extensions over 1 KB, trailers over
** 4 KB. The same bytes give the same answer however they are cut into feeds.
**
** Methods are the caller's to judge: any that llhttp knows passes, TRACE and
** CONNECT (whose target is its own form, and which is never kept alive) too;
** another one is 501. A target starts with '/', or is '*' with OPTIONS; the
** absolute form is 400. HTTP/2 and its preface are 505.
**
** Memory between requests: a reader holds at most 8 KB, itself (under 4 KB)
** and two buffers of up to 2 KB, so that small requests allocate nothing.
*/
#ifndef DM_PROTO_HTTP_MESSAGE_H
#define DM_PROTO_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

typedef struct dm_http_limits {
  size_t target; /* bytes of the request target: over it, 414 */
  size_t header; /* bytes of request line and header fields: over it, 431 */
  int fields;    /* header fields: over it, 431 */
  size_t body;   /* bytes of the body, as received: over it, 413 */
} dm_http_limits;

enum { DM_HTTP_FIELDS = 100 }; /* header fields kept; the greatest 'fields' */

typedef struct dm_http_field {
  dm_span name, value; /* value without the blanks around it */
} dm_http_field;

typedef struct dm_http_request {
  dm_span method;       /* "POST" */
  dm_span target;       /* as sent */
  dm_span path;         /* the target up to '?', still encoded */
  dm_span query;        /* after '?'; p NULL: no '?' */
  int minor;            /* HTTP/1.minor */
  bool keep_alive;      /* HTTP/1.1 without "Connection: close" */
  bool expect_continue; /* "Expect: 100-continue" and a body to come */
  bool upgrade;         /* Connection: upgrade (a WebSocket) */
  dm_http_field field[DM_HTTP_FIELDS];
  int field_count;
  dm_span body; /* chunks joined */
} dm_http_request;

/* The value of a field, name compared without case; p NULL: absent. */
dm_span dm_http_header(const dm_http_request *r, const char *name);

/* The method that counts: Java's service client sends PATCH as a POST with
** "X-HTTP-Method-Override: PATCH". What is no method's name is passed over. */
dm_span dm_http_method(const dm_http_request *r);

/* The value of a query parameter, still encoded; p NULL: absent. *twice tells
** whether the name stands more than once; the value is the first one's. */
dm_span dm_http_query(const dm_http_request *r, const char *name, bool *twice);

typedef struct dm_http_reader dm_http_reader; /* one a connection, reused */

typedef enum dm_http_state {
  DM_HTTP_MORE,     /* all bytes were taken, more are needed */
  DM_HTTP_HEADERS,  /* the header block ended, a body follows: limits and
                    ** Expect can be answered now; go on feeding */
  DM_HTTP_COMPLETE, /* a request is there until dm_http_reader_next */
  DM_HTTP_BAD       /* refuse with dm_http_reader_status and close */
} dm_http_state;

dm_http_reader *dm_http_reader_new(const dm_http_limits *limits);
void dm_http_reader_free(dm_http_reader *r);

/* Feed bytes; *used tells how many were taken (all of them after MORE). After
** COMPLETE and BAD nothing more is taken: feed the rest after
** dm_http_reader_next, or to what the connection was upgraded to. */
dm_http_state dm_http_reader_feed(dm_http_reader *r, dm_span bytes,
                                  size_t *used);

/* The request being read: after HEADERS (without body) or COMPLETE, not after
** BAD; its spans are borrowed until dm_http_reader_next. */
const dm_http_request *dm_http_reader_request(const dm_http_reader *r);

/* After BAD: 400, 413, 414, 417, 431, 501, 503 (no memory) or 505, and why
** (static). A body too large by its Content-Length is told in place of HEADERS,
** a chunked one as soon as a chunk's size passes the limit. */
int dm_http_reader_status(const dm_http_reader *r, const char **why);

/* Forget the request, be ready for the next one; BAD is final. */
void dm_http_reader_next(dm_http_reader *r);

/* Nothing of a next request was fed yet. */
bool dm_http_reader_idle(const dm_http_reader *r);

/* The status line and header block of a reply. 'fields' are whole lines with
** CRLF ("ETag: x\r\n"), p NULL: none; their values must be clean already.
** Content-Length is written here (but for 1xx and 204, which have none), and
** "Connection: close" unless keep_alive or 1xx. */
bool dm_http_write_head(dm_buf *out, int status, dm_span fields,
                        size_t content_length, bool keep_alive);

const char *dm_http_reason(int status); /* "Not Found"; static */

/* May this text stand in a header value as it is? (no control bytes; at most
** 256 bytes: used before a caller's request id is echoed) */
bool dm_http_value_is_clean(dm_span value);

#pragma GCC visibility pop

#endif
