/* path.h -- the path of a request target as its segments, decoded. Pure.
**
** C and Lua both read paths with this, so that they cannot differ. A path with
** a bad escape ("%zz", "%4") has no segments; the hub answers it 400.
*/
#ifndef DM_PROTO_PATH_H
#define DM_PROTO_PATH_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum { DM_PATH_SEGMENTS = 8 }; /* more than any route has */

typedef struct dm_path {
  dm_span segment[DM_PATH_SEGMENTS]; /* decoded once, in the caller's memory */
  int count; /* a longer path has its first ones alone */
} dm_path;

/* Split "/devices/a%2Fb/": "devices", "a/b"; a slash at the end makes no
** segment. IoT Explorer encodes whole paths: in a path without another slash
** "%2F" is one, so "/twins%2Fdev1" is "twins", "dev1". 'memory' must have room
** for the decoded text. False: the path does not begin with '/', has a bad
** escape, or does not fit. */
bool dm_path_split(dm_span text, dm_buf *memory, dm_path *out);

#pragma GCC visibility pop

#endif
