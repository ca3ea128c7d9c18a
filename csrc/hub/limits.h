/* limits.h -- every limit of the hub with its default; they have the same names
** in Lua. Pure data.
*/
#ifndef DM_HUB_LIMITS_H
#define DM_HUB_LIMITS_H

#include <stdint.h>

#pragma GCC visibility push(hidden)

/* name, default: numbers and bytes, from 1 to DM_HUB_LIMIT_MAX */
#define DM_HUB_COUNT_MAP(X)                                                    \
  X(connections, 200000)     /* of each listener; by default `ulimit -n` */    \
  X(identities, 1000000)     /* devices and modules */                         \
  X(calls, 50000)            /* under way at the hub */                        \
  X(calls_per_device, 100)   /* under way at one identity: then 403800 */      \
  X(waiting_bytes, 67108864) /* payloads that wait for their device */         \
  X(filters, 128)            /* subscriptions of one session: then 0x80 */     \
  X(filter_size, 512)        /* bytes of one filter: then 0x80 */              \
  X(packet_filters, 256)     /* in one SUBSCRIBE, at most 1024: then closed */ \
  X(connect_size, 8192)      /* bytes of a CONNECT */                          \
  X(packet_size, 262144)     /* bytes of any other MQTT packet */              \
  X(websocket_size, 1048576) /* bytes of a WebSocket message */                \
  X(mqtt_output, 16777216)   /* queued for a device: 100 calls of 128 KiB */   \
  X(http_output, 16777216)   /* bytes queued for a caller */                   \
  X(target_size, 8192)       /* bytes of a request target: then 414 */         \
  X(header_size, 16384)      /* bytes of a header block: then 431 */           \
  X(header_fields, 64)       /* header fields: then 431 */                     \
  X(body_size, 1048576)      /* bytes of a request body: then 413 */           \
  X(body_bytes, 67108864)    /* of all unanswered bodies together: then 503 */ \
  X(control_requests, 64)    /* of the control plane that run at a time */     \
  X(trace_bytes, 1048576)    /* of the latest calls, with their payloads */    \
  X(message_bytes, 1048576)  /* of the latest device-to-cloud messages */      \
  X(event_bytes, 1048576)    /* of the latest events of devices */

/* name, default in milliseconds of real time */
#define DM_HUB_TIME_MAP(X)                                                     \
  X(handshake_timeout, 10000) /* TLS */                                        \
  X(connect_timeout, 10000)   /* from accept to a whole CONNECT */             \
  X(keepalive_cap, 1767000)   /* 29.45 min: the greatest wait for a packet */  \
  X(header_timeout, 10000)    /* for a whole header block */                   \
  X(body_timeout, 30000)      /* for a whole body */                           \
  X(idle_timeout, 120000)     /* between two requests */                       \
  X(write_timeout, 60000)     /* queued bytes must move within */

#define DM_HUB_LIMIT_MAX 2147483647

typedef struct dm_hub_limits {
#define X(name, value) int64_t name;
  DM_HUB_COUNT_MAP(X)
  DM_HUB_TIME_MAP(X)
#undef X
} dm_hub_limits;

/* The defaults. */
static inline dm_hub_limits dm_hub_limits_default(void) {
#define X(name, value) .name = value,
  return (dm_hub_limits){DM_HUB_COUNT_MAP(X) DM_HUB_TIME_MAP(X)};
#undef X
}

#pragma GCC visibility pop

#endif
