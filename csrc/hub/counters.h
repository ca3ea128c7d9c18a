/* counters.h -- what the hub counts: every drop and refusal, by its reason.
** Loop thread only.
*/
#ifndef DM_HUB_COUNTERS_H
#define DM_HUB_COUNTERS_H

#pragma GCC visibility push(hidden)

/* Each is a member of dm_hub_counters, and its name in Lua. */
#define DM_HUB_COUNTER_MAP(X)                                                  \
  X(http_requests)        /* requests whose header fields arrived */           \
  X(admin_refused)        /* at the admin listener: no token, foreign page */  \
  X(http_refused)         /* refused by the HTTP server: 4xx of its own */     \
  X(http_gone)            /* the caller left before the answer */              \
  X(http_unauthorized)    /* 401 */                                            \
  X(http_bad_version)     /* api-version missing, twice or malformed */        \
  X(internal_errors)      /* 500: a defect of the hub, see its log */          \
  X(websocket_refused)    /* requests for a WebSocket that got none */         \
  X(calls)                /* method calls that passed authorisation */         \
  X(calls_answered)       /* ended with the device's answer */                 \
  X(calls_failed)         /* ended with an error of any kind */                \
  X(calls_timed_out)      /* 404103 after a wait, or 504101 */                 \
  X(calls_over_limit)     /* 403800, or no memory for the wait */              \
  X(calls_asked)          /* times that another hub was asked for a call */    \
  X(calls_lent)           /* calls that another hub has asked for */           \
  X(calls_lost)           /* 404104: the hub that had taken them is dead */    \
  X(bus_unknown)          /* results dropped: their call had ended */          \
  X(shaped)               /* calls that were delayed to keep the rate */       \
  X(sends_shaped)         /* messages that made their device wait */           \
  X(throttled)            /* 429001, and CONNACK 3: over the tier's rates */   \
  X(quota_exceeded)       /* 403002: the day's messages are used up */         \
  X(messages_charged)     /* messages that the quota was charged with */       \
  X(logins_refused)       /* unread: the source has failed too often */        \
  X(sources_refused)      /* times that an address began to be refused */      \
  X(connects)             /* CONNECTs that were accepted */                    \
  X(connect_refused)      /* CONNACK 1 to 5 */                                 \
  X(connect_unauthorized) /* of these, CONNACK 5 */                            \
  X(connect_bad_will)     /* a will outside of the device's topics: closed */  \
  X(taken_over)           /* connections closed by a newer one */              \
  X(expired)              /* connections closed because their token ended */   \
  X(identity_closed)      /* connections closed with their identity or key */  \
  X(disconnected)         /* connections that ended by themselves */           \
  X(mqtt_malformed)       /* closed: MQTT 3.1.1 or this hub forbids it */      \
  X(mqtt_over_limit)      /* closed: a packet too large, or a slow reader */   \
  X(mqtt_timed_out)       /* closed: handshake, CONNECT or keep-alive */       \
  X(mqtt_tls_failed)      /* closed: the handshake or a record */              \
  X(responses)            /* method answers that reached their call */         \
  X(response_unknown_rid) /* dropped: late, twice, foreign or invented */      \
  X(response_malformed)   /* dropped: status or $rid cannot be read */         \
  X(response_not_json)    /* answered 502001 */                                \
  X(response_too_large)   /* answered 502001 */                                \
  X(telemetry)            /* device-to-cloud messages */                       \
  X(twin_requests)        /* twin GET and reported PATCH */                    \
  X(twin_malformed)       /* dropped: $rid too long */                         \
  X(publish_refused)      /* closed: PUBLISH to a topic that is not theirs */  \
  X(subscribe_refused)    /* filters answered 0x80 */                          \
  X(subscribe_flood)      /* closed: too many filters in one packet */         \
  X(puback_unowed)        /* ignored: nothing here is sent with QoS 1 */       \
  X(faults)               /* times that a fault rule acted */                  \
  X(fault_messages)       /* messages by which a device asked for a fault */   \
  X(log_suppressed)       /* refusals that were not logged: too many */

typedef struct dm_hub_counters {
#define X(name) unsigned long long name;
  DM_HUB_COUNTER_MAP(X)
#undef X
} dm_hub_counters;

#pragma GCC visibility pop

#endif
