/* http_filter.h -- the strict filter of http_message: request lines, header
** fields and what they say about the body. Bytes reach llhttp only after it.
** Pure.
*/
#ifndef DM_PROTO_HTTP_FILTER_H
#define DM_PROTO_HTTP_FILTER_H

#include "proto/http_message.h"

#pragma GCC visibility push(hidden)

enum { DM_HTTP_METHOD_MAX = 32 }; /* bytes of a method */

typedef struct dm_http_framing { /* what the header says about the body */
  bool host;                     /* there is a Host field */
  bool has_length;               /* Content-Length */
  bool chunked;
  bool expect;       /* Expect: 100-continue */
  bool other_expect; /* Expect: anything else */
  uint64_t length;   /* of Content-Length; 0 without it */
} dm_http_framing;

/* These functions return 0, or the status to refuse with, and why (static). */

/* Check the first line, or the part of it that has arrived (without its CR LF
** when 'whole'): can it be a request line within the limits? */
int dm_http_filter_start(dm_span line, bool whole, const dm_http_limits *limits,
                         const char **why);

/* Read a whole header block: lines that end in CR LF, the last one empty. Fills
** in method, target, path, query, minor and the fields. The spans borrow from
** the block. */
int dm_http_filter_head(dm_span block, const dm_http_limits *limits,
                        dm_http_request *out, dm_http_framing *framing,
                        const char **why);

/* Cut "name: value" (without its CR LF). False: the field is malformed. */
bool dm_http_filter_field(dm_span line, dm_http_field *out);

/* Are these the extensions of a chunk, as they stand behind its size (without
** CR LF)? RFC 9112 7.1.1; n 0: there are none. */
bool dm_http_filter_extensions(dm_span s);

#pragma GCC visibility pop

#endif
