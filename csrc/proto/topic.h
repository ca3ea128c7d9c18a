/* topic.h -- the MQTT topics of IoT Hub and the user name of its CONNECT:
** build, parse, classify. Pure. The protocol's strings (docs/protocol.md 3.5)
** are here and nowhere else. "No match" is a valid answer, so that a caller can
** try one parser after another.
*/
#ifndef DM_PROTO_TOPIC_H
#define DM_PROTO_TOPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

#define DM_TOPIC_METHODS_FILTER "$iothub/methods/POST/#"

/* $iothub/methods/POST/{method}/?$rid={rid}[&name=value...] */
typedef struct dm_topic_request {
  dm_span method; /* borrowed from the topic */
  dm_span rid;    /* up to the first '&'; echo it as it is; never empty */
} dm_topic_request;

bool dm_topic_write_request(dm_buf *out, dm_span method, dm_span rid);
bool dm_topic_parse_request(dm_span topic, dm_topic_request *out);

/* $iothub/methods/res/{status}/?$rid={rid}[&name=value...] */
typedef struct dm_topic_response {
  int32_t status;
  dm_span rid; /* up to the first '&' */
} dm_topic_response;

typedef enum dm_topic_match {
  DM_TOPIC_NO,  /* not this kind of topic */
  DM_TOPIC_BAD, /* this kind, but malformed: drop it and count it */
  DM_TOPIC_YES
} dm_topic_match;

bool dm_topic_write_response(dm_buf *out, int32_t status, dm_span rid);
dm_topic_match dm_topic_parse_response(dm_span topic, dm_topic_response *out);

/* What a device may publish or subscribe to at the hub. */
typedef enum dm_topic_kind {
  DM_TOPIC_UNKNOWN,
  DM_TOPIC_METHOD_RESPONSE, /* publish $iothub/methods/res/... */
  DM_TOPIC_METHODS,         /* subscribe $iothub/methods/POST/... */
  DM_TOPIC_TELEMETRY,       /* publish devices/{own id}/messages/events/... */
  DM_TOPIC_TWIN_GET,        /* publish $iothub/twin/GET/?$rid= */
  DM_TOPIC_TWIN_REPORTED, /* publish $iothub/twin/PATCH/properties/reported/ */
  DM_TOPIC_TWIN_RESULT,   /* subscribe $iothub/twin/res/# */
  DM_TOPIC_TWIN_DESIRED,  /* subscribe $iothub/twin/PATCH/properties/desired/ */
  DM_TOPIC_DEVICEBOUND    /* subscribe devices/{own id}/messages/devicebound/
                            ** and devices/{id}/modules/{mid}/... */
} dm_topic_kind;

/* 'device' and 'module' (n 0: none) are the connection's own identity. Topics
** of another identity are DM_TOPIC_UNKNOWN, and so is a publish topic with a
** wildcard. */
dm_topic_kind dm_topic_of_publish(dm_span topic, dm_span device,
                                  dm_span module);
dm_topic_kind dm_topic_of_filter(dm_span filter, dm_span device,
                                 dm_span module);

/* The properties of a device's own telemetry topic: what follows
** "messages/events/", still encoded; n 0: none. */
dm_span dm_topic_properties(dm_span topic, dm_span device, dm_span module);

/* Does a subscription filter for methods ("$iothub/methods/POST/#",
** "$iothub/methods/POST/reboot/#", "+" too) match requests of 'method'? By the
** rules of MQTT [MQTT-4.7]. */
bool dm_topic_filter_takes(dm_span filter, dm_span method);

/* The $rid of a twin topic ("...?$rid=7"); false: it has none. */
bool dm_topic_rid(dm_span topic, dm_span *rid);

/* $version of such a topic ("...?$rid=7&$version=3"), not yet checked to be a
** number; p NULL: none; empty: it has no value. */
dm_span dm_topic_version(dm_span topic);

/* $iothub/twin/res/{status}/?$rid={rid}[&$version={version}]; a version below 0
** is left out */
bool dm_topic_write_twin_result(dm_buf *out, int status, dm_span rid,
                                int64_t version);

/* $iothub/twin/PATCH/properties/desired/?$version={version} */
bool dm_topic_write_twin_desired(dm_buf *out, int64_t version);

/* The MQTT user name of docs/protocol.md 3.2. */
typedef struct dm_username {
  dm_span host, device, module; /* module: p NULL for a device */
  dm_span api_version;          /* its first value; p NULL: there is none */
  dm_span client_type; /* DeviceClientType, still encoded; p NULL: none */
  dm_span model_id;    /* of a digital twin, still encoded; p NULL: none */
} dm_username;

/* False: the text does not follow the grammar of docs/protocol.md 3.2, or
** contains an invalid id. "host/device", "host/device/" and
** "host/device/module/" are accepted without api-version (C35). */
bool dm_username_parse(dm_span text, dm_username *out);

/* Values are percent-encoded here. Without an api_version (n 0) no property is
** written. */
bool dm_username_write(dm_buf *out, dm_span host, dm_span device,
                       dm_span module, dm_span api_version,
                       dm_span client_type);

#pragma GCC visibility pop

#endif
