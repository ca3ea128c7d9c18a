/* http_message.h -- reads HTTP/1.x requests with llhttp behind a strict filter,
** and writes replies. Pure: bytes in, events out.
**
** The filter (http_filter.h) refuses what llhttp would accept: bare CR or LF,
** NUL, whitespace before a field's colon, obsolete folding, a second
** Content-Length or Host, Content-Length with Transfer-Encoding, a transfer
** coding other than "chunked", a Content-Length with anything but digits, chunk
** sizes of more than 15 digits, chunk extensions over 1 KB, trailers over 4 KB.
** The same bytes give the same answer however they are cut into pieces.
**
** The caller decides which methods it allows. Every method that llhttp knows is
** accepted, TRACE and CONNECT too (CONNECT has a target of its own form, and
** its connection is never kept alive); an unknown method is 501. A target
** begins with '/', or is '*' with OPTIONS; the absolute form is 400. HTTP/2 and
** its preface are 505.
**
** Memory between requests: a reader has at most 8 KB, itself (under 4 KB) and
** two buffers of up to 2 KB, so that small requests allocate nothing.
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
  size_t body;   /* bytes of the body, as received: the greatest limit */
} dm_http_limits;

enum { DM_HTTP_FIELDS = 100 }; /* the largest 'fields' */

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
  bool expect_continue; /* "Expect: 100-continue", and a body follows */
  bool upgrade;         /* Connection: upgrade (a WebSocket) */
  uint64_t length;      /* of Content-Length; 0: none, or the body is chunked */
  dm_http_field field[DM_HTTP_FIELDS];
  int field_count;
  dm_span body; /* chunks joined */
} dm_http_request;

/* The value of a field; its name is compared without case. p NULL: absent. */
dm_span dm_http_header(const dm_http_request *r, const char *name);

/* The method that counts. Java's service client sends PATCH as a POST with
** "X-HTTP-Method-Override: PATCH", in upper or lower case. A value that is not
** a method is ignored. */
dm_span dm_http_method(const dm_http_request *r);

/* The value of a query parameter, still encoded; p NULL: absent. The name is
** compared without case, as .NET does. *twice: it appears more than once; the
** value is the first one's. */
dm_span dm_http_query(const dm_http_request *r, const char *name, bool *twice);

typedef struct dm_http_reader dm_http_reader; /* one for each connection */

typedef enum dm_http_state {
  DM_HTTP_MORE,     /* all bytes were used; more are needed */
  DM_HTTP_HEADERS,  /* the header block is complete and a body follows: check
                    ** its length and Expect, set its limit or skip it now */
  DM_HTTP_COMPLETE, /* a request is complete; until dm_http_reader_next */
  DM_HTTP_BAD       /* answer with dm_http_reader_status and close */
} dm_http_state;

dm_http_reader *dm_http_reader_new(const dm_http_limits *limits);
void dm_http_reader_free(dm_http_reader *r);

/* Feed bytes; *used is how many were used (all of them after MORE). After
** COMPLETE and BAD no more bytes are used: feed the rest after
** dm_http_reader_next, or give it to the protocol that the connection was
** upgraded to. */
dm_http_state dm_http_reader_feed(dm_http_reader *r, dm_span bytes,
                                  size_t *used);

/* The current request: after HEADERS (without its body) or COMPLETE, not after
** BAD. Its spans are borrowed until dm_http_reader_next. */
const dm_http_request *dm_http_reader_request(const dm_http_reader *r);

/* After HEADERS: the bytes that this body may have if it is chunked. It is BAD
** as soon as a chunk's size exceeds them. The caller checks Content-Length. */
void dm_http_reader_limit(dm_http_reader *r, size_t bytes);

/* After HEADERS: read the rest of this body and throw it away, until COMPLETE.
** False: the rest is more than 'most' bytes, or its length is not known because
** it is chunked. True, too, if the body is complete. */
bool dm_http_reader_skip(dm_http_reader *r, uint64_t most);

/* The memory that this request's body needs: its Content-Length, or the bytes
** of a chunked body that have come. */
size_t dm_http_reader_needs(const dm_http_reader *r);

/* After BAD: 400, 413, 414, 417, 431, 501, 503 (out of memory) or 505, and why
** (static). */
int dm_http_reader_status(const dm_http_reader *r, const char **why);

/* Forget the request and get ready for the next one. BAD is final. */
void dm_http_reader_next(dm_http_reader *r);

/* No byte of a next request was fed yet. */
bool dm_http_reader_idle(const dm_http_reader *r);

/* The status line and header block of a reply. 'fields' are whole lines with
** CRLF ("ETag: x\r\n"), p NULL: none; the caller has checked their values.
** Content-Length is written here (not for 1xx and 204, which have none), and
** "Connection: close" unless keep_alive or 1xx. */
bool dm_http_write_head(dm_buf *out, int status, dm_span fields,
                        size_t content_length, bool keep_alive);

/* The same for a streamed body: it ends with the connection, so there is no
** Content-Length. */
bool dm_http_write_open_head(dm_buf *out, int status, dm_span fields);

const char *dm_http_reason(int status); /* "Not Found"; static */

/* May a header contain this value as it is? It has no control bytes and at most
** 256 bytes. Used before a caller's request id is echoed. */
bool dm_http_value_is_clean(dm_span value);

#pragma GCC visibility pop

#endif
