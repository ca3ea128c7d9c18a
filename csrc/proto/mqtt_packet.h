/* mqtt_packet.h -- reads and writes MQTT 3.1.1 packets. Pure. Readers check
** every length, and every rule of the standard that one packet can break. They
** answer DM_PROTOCOL_ERROR with a reason. Strings are UTF-8 without U+0000 and
** noncharacters (U+FFFE ...) [MQTT-1.5.3]; packet ids are never 0. Writers add
** a whole packet, or nothing when it does not fit, and then return false.
*/
#ifndef DM_PROTO_MQTT_PACKET_H
#define DM_PROTO_MQTT_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

typedef enum dm_mqtt_type {
  DM_MQTT_CONNECT = 1,
  DM_MQTT_CONNACK,
  DM_MQTT_PUBLISH,
  DM_MQTT_PUBACK,
  DM_MQTT_PUBREC,
  DM_MQTT_PUBREL,
  DM_MQTT_PUBCOMP,
  DM_MQTT_SUBSCRIBE,
  DM_MQTT_SUBACK,
  DM_MQTT_UNSUBSCRIBE,
  DM_MQTT_UNSUBACK,
  DM_MQTT_PINGREQ,
  DM_MQTT_PINGRESP,
  DM_MQTT_DISCONNECT
} dm_mqtt_type;

/* One packet cut from a stream. */
typedef struct dm_mqtt_frame {
  dm_mqtt_type type;
  uint8_t flags; /* low four bits of the first byte */
  dm_span body;  /* borrowed: the bytes after the remaining length */
  size_t size;   /* bytes of the whole packet */
} dm_mqtt_frame;

/* Cut the next packet from 'bytes'. DM_OK with frame->size 0: more bytes are
** needed. DM_PROTOCOL_ERROR: type 0 or 15, flags that this type does not allow
** [MQTT-2.2.2-2] (QoS 3, and DUP with QoS 0, too), which the first byte
** already shows; a remaining length of five bytes, or one that this type
** cannot have. DM_LIMIT_EXCEEDED: the packet is larger than 'limit', which
** shows as soon as the length is there. The readers below need a frame that
** this function made. */
dm_code dm_mqtt_cut(dm_span bytes, size_t limit, dm_mqtt_frame *frame,
                    dm_err *e);

typedef struct dm_mqtt_connect {
  uint8_t level; /* 4 is 3.1.1; the rest is filled only for "MQTT" 4 */
  bool clean_session;
  uint16_t keepalive; /* seconds */
  dm_span client_id;
  bool has_will, has_username, has_password;
  uint8_t will_qos;
  bool will_retain;
  dm_span will_topic, will_message, username, password;
} dm_mqtt_connect;

/* A CONNECT with another protocol name or level is DM_OK with that level (0 for
** another name), so that the caller can answer CONNACK 1. An empty client id is
** accepted with and without clean_session; the caller may answer CONNACK 2. The
** writer always writes "MQTT" 4. It refuses a password without a user name. */
dm_code dm_mqtt_read_connect(const dm_mqtt_frame *f, dm_mqtt_connect *out,
                             dm_err *e);
bool dm_mqtt_write_connect(dm_buf *out, const dm_mqtt_connect *c);

typedef struct dm_mqtt_connack {
  bool session_present;
  uint8_t code;
} dm_mqtt_connack;
dm_code dm_mqtt_read_connack(const dm_mqtt_frame *f, dm_mqtt_connack *out,
                             dm_err *e);
bool dm_mqtt_write_connack(dm_buf *out, dm_mqtt_connack ack);

typedef struct dm_mqtt_publish {
  dm_span topic; /* valid UTF-8, no NUL, no wildcard, not empty */
  dm_span payload;
  uint16_t packet_id; /* 0 with QoS 0 */
  uint8_t qos;
  bool retain, dup;
} dm_mqtt_publish;
dm_code dm_mqtt_read_publish(const dm_mqtt_frame *f, dm_mqtt_publish *out,
                             dm_err *e);
bool dm_mqtt_write_publish(dm_buf *out, const dm_mqtt_publish *p);
/* The packet without its payload, for a caller that sends that itself. */
bool dm_mqtt_write_publish_head(dm_buf *out, const dm_mqtt_publish *p);

/* PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK: only a packet id. */
dm_code dm_mqtt_read_ack(const dm_mqtt_frame *f, uint16_t *packet_id,
                         dm_err *e);
bool dm_mqtt_write_ack(dm_buf *out, dm_mqtt_type type, uint16_t packet_id);

/* SUBSCRIBE and UNSUBSCRIBE. dm_mqtt_read_filters checks the whole packet and
** reads the id; then dm_mqtt_next_filter returns each filter, and false after
** the last one. */
typedef struct dm_mqtt_filters {
  uint16_t packet_id;
  dm_span rest;  /* the filters not read yet */
  bool with_qos; /* SUBSCRIBE */
} dm_mqtt_filters;
dm_code dm_mqtt_read_filters(const dm_mqtt_frame *f, dm_mqtt_filters *out,
                             dm_err *e);
bool dm_mqtt_next_filter(dm_mqtt_filters *f, dm_span *filter, uint8_t *qos);
bool dm_mqtt_write_subscribe(dm_buf *out, uint16_t packet_id,
                             const dm_span *filter, const uint8_t *qos,
                             int count);
bool dm_mqtt_write_unsubscribe(dm_buf *out, uint16_t packet_id,
                               const dm_span *filter, int count);

/* SUBACK: one code for each filter; 0x80 is a refusal. */
typedef struct dm_mqtt_suback {
  uint16_t packet_id;
  dm_span codes; /* a byte each: 0, 1, 2 or 0x80 */
} dm_mqtt_suback;
dm_code dm_mqtt_read_suback(const dm_mqtt_frame *f, dm_mqtt_suback *out,
                            dm_err *e);
bool dm_mqtt_write_suback(dm_buf *out, dm_mqtt_suback ack);

/* PINGREQ, PINGRESP, DISCONNECT: two bytes. There is nothing to read, because
** dm_mqtt_cut has checked the flags and the empty body. */
bool dm_mqtt_write_empty(dm_buf *out, dm_mqtt_type type);

#pragma GCC visibility pop

#endif
