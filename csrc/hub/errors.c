/* errors.c -- see errors.h. Pure. */
#include "hub/errors.h"

#include <time.h>

#include "proto/text.h"

enum {
  TEXT_MAX = 2048, /* bytes of an error's text; the rest is cut off */
  INNER_MAX = 6 * TEXT_MAX + 512, /* Format M's inner document: all escaped */
};

static const dm_error ERRORS[] = {
#define X(id, code, name, info, text) {name, text, code, DM_INFO_##info},
    DM_ERROR_MAP(X)
#undef X
};

const dm_error *dm_error_of(dm_error_id id) {
  return &ERRORS[id];
}

bool dm_error_find(int code, dm_span text, dm_error_id *id) {
  bool found = false;
  for (int i = 0; i < DM_ERRORS; i++) {
    if (ERRORS[i].code != code) continue;
    if (!found || dm_span_is(text, ERRORS[i].text)) *id = (dm_error_id)i;
    found = true;
  }
  return found;
}

bool dm_error_write_hex(dm_buf *out, const uint64_t number[2]) {
  char *p = dm_buf_reserve(out, 32);
  if (p == NULL) return false;
  for (int i = 0; i < 32; i++)
    p[i] = "0123456789abcdef"[number[i / 16] >> (60 - i % 16 * 4) & 15];
  out->len += 32;
  return true;
}

static struct tm date_of(int64_t wall) {
  time_t seconds = (time_t)(wall / 1000);
  struct tm date = {0};
  gmtime_r(&seconds, &date);
  return date;
}

/* aa761f96e9174d0e849c96a8b2e10a8c-TimeStamp:03/14/2024 09:54:49 */
static bool add_tracking_id(dm_buf *out, const dm_error_mark *mark) {
  struct tm d = date_of(mark->wall);
  return dm_error_write_hex(out, mark->random) &&
         dm_buf_addf(out, "-TimeStamp:%02d/%02d/%04d %02d:%02d:%02d",
                     d.tm_mon + 1, d.tm_mday, d.tm_year + 1900, d.tm_hour,
                     d.tm_min, d.tm_sec);
}

/* 2024-03-14T09:54:49.6536567Z: of the seven digits the hub knows three */
static bool add_timestamp(dm_buf *out, const dm_error_mark *mark) {
  struct tm d = date_of(mark->wall);
  return dm_buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03d0000Z",
                     d.tm_year + 1900, d.tm_mon + 1, d.tm_mday, d.tm_hour,
                     d.tm_min, d.tm_sec, (int)(mark->wall % 1000));
}

static bool add_info(dm_buf *out, dm_error_info info, int seconds) {
  if (info == DM_INFO_ABSENT) return true;
  if (info == DM_INFO_EMPTY) return dm_buf_add_text(out, ",\"info\":{}");
  return dm_buf_addf(out, ",\"info\":{\"timeout\":\"%02d:%02d:%02d\"}",
                     seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/* As much of a text as an error has room for. A text that is not UTF-8 would
** not be JSON, so its bytes that are not ASCII become '?'. */
static dm_span shown(char memory[TEXT_MAX], dm_span text) {
  bool is_utf8 = dm_text_utf8(text);
  size_t n = text.n < TEXT_MAX ? text.n : TEXT_MAX;
  if (is_utf8) {
    while (n < text.n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
      n--;
    return (dm_span){text.p, n};
  }
  for (size_t i = 0; i < n; i++)
    memory[i] = (unsigned char)text.p[i] < 0x80 ? text.p[i] : '?';
  return (dm_span){memory, n};
}

static bool add_inner(dm_buf *out, const dm_error *e, dm_span text, int seconds,
                      const dm_error_mark *mark) {
  char memory[TEXT_MAX];
  return dm_buf_addf(out, "{\"errorCode\":%d,\"trackingId\":\"", e->code) &&
         add_tracking_id(out, mark) &&
         dm_buf_add_text(out, "\",\"message\":") &&
         dm_text_json_string(out, shown(memory, text)) &&
         add_info(out, e->info, seconds) &&
         dm_buf_add_text(out, ",\"timestampUtc\":\"") &&
         add_timestamp(out, mark) && dm_buf_add_text(out, "\"}");
}

bool dm_error_write_m(dm_buf *out, const dm_error *e, dm_span text, int seconds,
                      const dm_error_mark *mark) {
  char memory[INNER_MAX];
  dm_buf inner = dm_buf_fixed(memory, sizeof memory);
  if (text.p == NULL) text = dm_span_of(e->text);
  return add_inner(&inner, e, text, seconds, mark) &&
         dm_buf_add_text(out, "{\"Message\":") &&
         dm_text_json_string(out, dm_buf_span(&inner)) &&
         dm_buf_add_text(out, ",\"ExceptionMessage\":\"\"}");
}

bool dm_error_write_device(dm_buf *out, int code, dm_span text,
                           const dm_error_mark *mark) {
  const dm_error e = {.code = code, .info = DM_INFO_ABSENT};
  return add_inner(out, &e, text, 0, mark);
}

bool dm_error_write_e(dm_buf *out, const char *name, dm_span text,
                      const dm_error_mark *mark) {
  char memory[INNER_MAX], kept[TEXT_MAX];
  dm_buf message = dm_buf_fixed(memory, sizeof memory);
  return dm_buf_addf(&message, "ErrorCode:%s;", name) &&
         dm_buf_add_span(&message, shown(kept, text)) &&
         dm_buf_add_text(out, "{\"Message\":") &&
         dm_text_json_string(out, dm_buf_span(&message)) &&
         dm_buf_add_text(out, ",\"ExceptionMessage\":\"Tracking ID:") &&
         add_tracking_id(out, mark) && dm_buf_add_text(out, "\"}");
}
