/* nats.h -- a connection to a NATS server by libnats, which calls back on its
** own threads. The thread of link.c makes all calls here: they may wait for the
** network, and libnats holds its lock while it connects.
**
** A connection that was lost is not made again: close it and connect anew. So
** nothing is sent late, and files with credentials are read again.
*/
#ifndef DM_CLUSTER_NATS_H
#define DM_CLUSTER_NATS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum { DM_NATS_URLS = 16 }; /* servers that are tried, at most */

/* All are texts; those without "needed" may be NULL, which means none. urls:
** "nats://host:port" or "tls://...", separated by commas; without user names
** and passwords. */
#define DM_NATS_OPTION_MAP(X)                                                  \
  X(urls) /* needed */                                                         \
  X(name) /* needed: of the connection, for lists of the server */             \
  X(user)                                                                      \
  X(password_file)    /* its first line is the password */                     \
  X(credentials_file) /* of NATS: a JWT and its seed */                        \
  X(ca_file)          /* NULL: the system's authorities */                     \
  X(cert_file)        /* of the client, with its key: */                       \
  X(key_file)

typedef struct dm_nats_options {
#define X(field) const char *field;
  DM_NATS_OPTION_MAP(X)
#undef X
} dm_nats_options;

/* Called on threads of libnats. They copy, post and wake, nothing else. After
** dm_nats_close none is called. */
typedef struct dm_nats_events {
  /* nobody: the answer of the server to a request that has no receiver; its
  ** subject is that of the reply. */
  void (*on_message)(void *owner, dm_span subject, dm_span bytes, bool nobody);
  void (*on_lost)(void *owner, const char *why); /* once */
} dm_nats_events;

typedef struct dm_nats dm_nats;
typedef struct dm_nats_subscription dm_nats_subscription; /* libnats's own */

/* Connect to one of the servers. NULL: CONNECT_FAILED, UNAUTHORIZED or
** TLS_FAILED with the reason. */
dm_nats *dm_nats_connect(const dm_nats_options *o, const dm_nats_events *events,
                         void *owner, dm_err *e);
void dm_nats_close(dm_nats *n); /* n may be NULL */

/* The greatest message that the server takes. */
size_t dm_nats_limit(const dm_nats *n);

/* reply NULL: none. If the connection is lost, the message is, too. */
void dm_nats_publish(dm_nats *n, const char *subject, const char *reply,
                     dm_span bytes);

/* group NULL: each subscriber gets each message; else one of the group does.
** NULL: the connection is lost. It ends with the connection, but its memory is
** freed by dm_nats_unsubscribe. */
dm_nats_subscription *dm_nats_subscribe(dm_nats *n, const char *subject,
                                        const char *group);
void dm_nats_unsubscribe(dm_nats_subscription *s); /* s may be NULL */

#pragma GCC visibility pop

#endif
