/* errors.h -- every error of the hub, with IoT Hub's code, name and text, in
** Format M for method calls and in Format E for everything else
** (docs/protocol.md 2). Pure: the caller brings ids and time.
*/
#ifndef DM_HUB_ERRORS_H
#define DM_HUB_ERRORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum { DM_ERROR_MAX = 16384 }; /* room for every error's body */

/* What stands as "info" in Format M. */
typedef enum dm_error_info {
  DM_INFO_ABSENT,
  DM_INFO_EMPTY,  /* {} */
  DM_INFO_TIMEOUT /* {"timeout":"hh:mm:ss"} */
} dm_error_info;

/* name in C, code (HTTP status = code / 1000), IoT Hub's name, info, text */
#define DM_ERROR_MAP(X)                                                        \
  X(BAD_VERSION, 400001, "InvalidProtocolVersion", ABSENT, "BadRequest")       \
  X(ARGUMENT, 400004, "ArgumentInvalid", ABSENT, "BadRequest")                 \
  X(TAKEN_OVER, 400027, "ConnectionForcefullyClosedOnNewConnection", EMPTY,    \
    "BadRequest")                                                              \
  X(UNAUTHORIZED, 401002, "IotHubUnauthorizedAccess", ABSENT, "Unauthorized")  \
  X(QUOTA, 403002, "IotHubQuotaExceeded", EMPTY,                               \
    "The hub's messages of this day are used up: no calls until the next UTC " \
    "day.")                                                                    \
  X(IN_FLIGHT, 403800, "DeviceMaximumInflightMethodExceeded", EMPTY,           \
    "Too many method calls are under way at the device.")                      \
  X(NO_DEVICE, 404001, "DeviceNotFound", EMPTY, "NotFound")                    \
  X(NO_MODULE, 404010, "ModuleNotFound", EMPTY, "NotFound")                    \
  X(NOT_ONLINE, 404103, "DeviceNotOnline", TIMEOUT,                            \
    "The operation failed because the requested device isn't online or "       \
    "hasn't registered the direct method callback. To learn more, see "        \
    "https://aka.ms/iothub404103")                                             \
  X(DISCONNECTED, 404104, "DeviceConnectionClosedRemotely", EMPTY,             \
    "The device closed its connection before it answered.")                    \
  X(MEDIA, 415000, "GenericUnsupportedMediaType", ABSENT,                      \
    "The body must be application/json in UTF-8 without a content coding.")    \
  X(THROTTLED, 429001, "ThrottlingException", EMPTY,                           \
    "The request has been throttled. Wait 10 seconds and try again.")          \
  X(NOT_JSON, 502001, "InvalidResponseWhileProxying", EMPTY,                   \
    "The device's response is not valid JSON.")                                \
  X(TOO_LARGE, 502001, "InvalidResponseWhileProxying", EMPTY,                  \
    "The device's response is larger than its api-version allows.")            \
  X(UNAVAILABLE, 503001, "ServiceUnavailable", EMPTY,                          \
    "The hub has no room for the call.")                                       \
  X(TIMEOUT, 504101, "GatewayTimeout", TIMEOUT,                                \
    "Timed out waiting for the response from device.")

typedef enum dm_error_id {
#define X(id, code, name, info, text) DM_ERROR_##id,
  DM_ERROR_MAP(X)
#undef X
      DM_ERRORS
} dm_error_id;

typedef struct dm_error {
  const char *name; /* "DeviceNotOnline", the header iothub-errorcode */
  const char *text;
  int code; /* 404103 */
  dm_error_info info;
} dm_error;

const dm_error *dm_error_of(dm_error_id id); /* static */

/* The error of this code; of several, the one that has this text. False: there
** is none. */
bool dm_error_find(int code, dm_span text, dm_error_id *id);

/* Makes each error document unique. */
typedef struct dm_error_mark {
  uint64_t random[2]; /* of the tracking id */
  int64_t wall;       /* unix milliseconds */
} dm_error_mark;

/* Of a text, its first 2,048 bytes are told. In a text that is not UTF-8, '?'
** stands for each byte that is not ASCII. */

/* {"Message":"{\"errorCode\":...}","ExceptionMessage":""}; 'text' p NULL: the
** error's own; 'seconds' for DM_INFO_TIMEOUT. */
bool dm_error_write_m(dm_buf *out, const dm_error *e, dm_span text, int seconds,
                      const dm_error_mark *mark);

/* {"errorCode":400004,"trackingId":...,"message":...,"timestampUtc":...}: what
** Format M wraps, as it is told to a device (docs/protocol.md 13.2). */
bool dm_error_write_device(dm_buf *out, int code, dm_span text,
                           const dm_error_mark *mark);

/* {"Message":"ErrorCode:{name};{text}","ExceptionMessage":"Tracking ID:..."} */
bool dm_error_write_e(dm_buf *out, const char *name, dm_span text,
                      const dm_error_mark *mark);

/* 32 hex digits of the two numbers. */
bool dm_error_write_hex(dm_buf *out, const uint64_t number[2]);

#pragma GCC visibility pop

#endif
