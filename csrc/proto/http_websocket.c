/* http_websocket.c -- see http_websocket.h. Pure. */
#include "proto/http_websocket.h"

#include "proto/text.h"
#include "proto/upgrade.h"

enum { KEY_BYTES = 16 }; /* bytes of a decoded Sec-WebSocket-Key */

#define VERSION "13"

/* The next field with this name, from *at on; false: there is none. */
static bool next_field(const dm_http_request *r, const char *name, int *at,
                       dm_span *value) {
  for (; *at < r->field_count; (*at)++) {
    if (dm_span_equal_nocase(r->field[*at].name, dm_span_of(name))) {
      *value = r->field[(*at)++].value;
      return true;
    }
  }
  return false;
}

/* The element of the field's comma-separated lists that equals 'wanted' without
** case; p NULL: none. */
static dm_span find_token(const dm_http_request *r, const char *name,
                          const char *wanted) {
  int at = 0;
  dm_span value;
  while (next_field(r, name, &at, &value)) {
    while (value.p != NULL) {
      dm_span token = dm_text_trim(dm_text_cut(value, ',', &value), " \t");
      if (dm_span_equal_nocase(token, dm_span_of(wanted))) return token;
    }
  }
  return (dm_span){NULL, 0};
}

/* The only field with this name; p NULL: none, or more than one. */
static dm_span only_field(const dm_http_request *r, const char *name) {
  int at = 0;
  dm_span value = {NULL, 0}, second;
  if (next_field(r, name, &at, &value) && next_field(r, name, &at, &second))
    value.p = NULL;
  return value;
}

static bool is_key(dm_span key) {
  char memory[KEY_BYTES + 4];
  dm_buf bytes = dm_buf_fixed(memory, sizeof memory);
  return key.p != NULL && dm_text_base64_decode(&bytes, key) &&
         bytes.len == KEY_BYTES;
}

static bool add_accept(dm_buf *fields, dm_span key) {
  return dm_buf_add_text(fields, "Sec-WebSocket-Accept: ") &&
         dm_upgrade_write_accept(fields, key) &&
         dm_buf_add_text(fields, "\r\n");
}

static int refuse(int status, const char *text, const char **why) {
  *why = text;
  return status;
}

/* 101: the request is valid. */
static int check(const dm_http_request *r, dm_span version, const char **why) {
  if (!dm_span_is(r->method, "GET"))
    return refuse(405, "A WebSocket must be requested with GET.", why);
  if (r->minor < 1) return refuse(400, "A WebSocket needs HTTP/1.1.", why);
  if (!r->upgrade || find_token(r, "Upgrade", "websocket").p == NULL)
    return refuse(426, "This path is a WebSocket: an Upgrade is required.",
                  why);
  if (version.p == NULL)
    return refuse(400, "There must be one Sec-WebSocket-Version.", why);
  if (!dm_span_is(version, VERSION))
    return refuse(426, "Sec-WebSocket-Version must be " VERSION ".", why);
  if (!is_key(only_field(r, "Sec-WebSocket-Key")))
    return refuse(400, "Sec-WebSocket-Key must be 16 bytes in base64.", why);
  return 101;
}

static bool add_refusal(dm_buf *fields, int status) {
  if (status == 405) return dm_buf_add_text(fields, "Allow: GET\r\n");
  return status != 426 ||
         dm_buf_add_text(fields, "Upgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Version: " VERSION "\r\n");
}

static bool add_acceptance(dm_buf *fields, dm_span key, dm_span protocol) {
  return dm_buf_add_text(fields, "Upgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n") &&
         add_accept(fields, key) &&
         dm_buf_add_text(fields, "Sec-WebSocket-Protocol: ") &&
         dm_buf_add_span(fields, protocol) && dm_buf_add_text(fields, "\r\n");
}

int dm_http_websocket(const dm_http_request *r, const char *protocol,
                      dm_buf *fields, const char **why) {
  int status = check(r, only_field(r, "Sec-WebSocket-Version"), why);
  dm_span offered = find_token(r, "Sec-WebSocket-Protocol", protocol);
  if (status == 101 && offered.p == NULL)
    status = refuse(400, "The sub-protocol is not supported.", why);
  bool added =
      status == 101
          ? add_acceptance(fields, only_field(r, "Sec-WebSocket-Key"), offered)
          : add_refusal(fields, status);
  return added ? status : refuse(500, "The answer does not fit.", why);
}
