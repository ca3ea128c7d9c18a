/* http_filter.h -- the strict filter of http_message: request lines, header
** fields and what they say about the body. It sees them before llhttp does.
** Pure.
*/
#ifndef DM_PROTO_HTTP_FILTER_H
#define DM_PROTO_HTTP_FILTER_H

#include "proto/http_message.h"

#pragma GCC visibility push(hidden)

enum { DM_HTTP_METHOD_MAX = 32 }; /* bytes of a method */

typedef struct dm_http_framing { /* what the fields say about the body */
  bool host;                     /* a Host field was there */
  bool has_length;               /* Content-Length */
  bool chunked;
  bool expect;       /* Expect: 100-continue */
  bool other_expect; /* Expect: anything else */
  uint64_t length;   /* of Content-Length; 0 without it */
} dm_http_framing;

/* All of these: 0, or the status to refuse with, and why (static). */

/* Judge the first line, or as much of it as is there (without its CR LF when
** 'whole'): may it become a request line within the limits? */
int dm_http_filter_start(dm_span line, bool whole, const dm_http_limits *limits,
                         const char **why);

/* Read a whole header block, whose lines end in CR LF, the last one empty.
** Fills method, target, path, query, minor and the fields; spans borrow from
** the block. */
int dm_http_filter_head(dm_span block, const dm_http_limits *limits,
                        dm_http_request *out, dm_http_framing *framing,
                        const char **why);

/* Cut "name: value" (without its CR LF). False: no field as it has to be. */
bool dm_http_filter_field(dm_span line, dm_http_field *out);

/* Are these the extensions of a chunk, as they stand behind its size (without
** CR LF)? RFC 9112 7.1.1; n 0: there are none. */
bool dm_http_filter_extensions(dm_span s);

#pragma GCC visibility pop

#endif
