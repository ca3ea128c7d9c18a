/* upgrade.c -- see upgrade.h. Pure. */
#include "proto/upgrade.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "proto/text.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define SCHEME "http://"

enum {
  PORT_MAX = 65535,
  HTTP_PORT = 80, /* not written into Host */
  HTTPS_PORT = 443,
  SECRET_MAX = 1024, /* bytes of a decoded user and password */
  ACCEPT_TEXT = 32,  /* more than a SHA-1 digest in base64 */
  DATE_LENGTH = 29
};

/* Proxies. */

static bool read_port(dm_span text, int *port) {
  int64_t n;
  if (!dm_text_int64(text, 1, PORT_MAX, &n)) return false;
  *port = (int)n;
  return true;
}

/* The bytes before the last 'separator'; *rest is what follows it. */
static bool cut_last(dm_span s, char separator, dm_span *first, dm_span *rest) {
  for (size_t i = s.n; i-- > 0;) {
    if (s.p[i] != separator) continue;
    *first = (dm_span){s.p, i};
    *rest = (dm_span){s.p + i + 1, s.n - i - 1};
    return true;
  }
  return false;
}

bool dm_upgrade_read_proxy(dm_span url, dm_upgrade_proxy *out) {
  dm_span port;
  *out = (dm_upgrade_proxy){0};
  if (!dm_text_starts(url, SCHEME)) return false;
  url.p += sizeof SCHEME - 1;
  url.n -= sizeof SCHEME - 1;
  if (url.n > 0 && url.p[url.n - 1] == '/') url.n--;
  cut_last(url, '@', &out->user, &url);
  if (!cut_last(url, ':', &out->host, &port)) return false;
  out->host = dm_text_trim(out->host, "[]");
  return out->host.n > 0 && read_port(port, &out->port);
}

/* Writing. */

static bool add_host(dm_buf *out, dm_span host) {
  bool six = host.p && memchr(host.p, ':', host.n) != NULL;
  return (!six || dm_buf_add_text(out, "[")) && dm_buf_add_span(out, host) &&
         (!six || dm_buf_add_text(out, "]"));
}

static bool add_target(dm_buf *out, const dm_upgrade_target *to) {
  return add_host(out, to->host) && dm_buf_addf(out, ":%d", to->port);
}

static bool add_user(dm_buf *out, dm_span user) {
  char memory[SECRET_MAX + 1];
  dm_buf plain = dm_buf_fixed(memory, sizeof memory);
  bool good =
      user.p == NULL || (dm_text_percent_decode(&plain, user) &&
                         dm_buf_add_text(out, "Proxy-Authorization: Basic ") &&
                         dm_text_base64_encode(out, plain.data, plain.len) &&
                         dm_buf_add_text(out, "\r\n"));
  OPENSSL_cleanse(memory, sizeof memory);
  return good;
}

bool dm_upgrade_write_connect(dm_buf *out, const dm_upgrade_target *to,
                              dm_span user) {
  return dm_buf_add_text(out, "CONNECT ") && add_target(out, to) &&
         dm_buf_add_text(out, " HTTP/1.1\r\nHost: ") && add_target(out, to) &&
         dm_buf_add_text(out, "\r\n") && add_user(out, user) &&
         dm_buf_add_text(out, "\r\n");
}

bool dm_upgrade_write_websocket(dm_buf *out, const dm_upgrade_target *to,
                                const char *path, const char *protocol,
                                dm_span key) {
  bool usual = to->port == HTTP_PORT || to->port == HTTPS_PORT;
  return dm_buf_addf(out, "GET %s HTTP/1.1\r\nHost: ", path) &&
         (usual ? add_host(out, to->host) : add_target(out, to)) &&
         dm_buf_add_text(out, "\r\nUpgrade: websocket\r\n"
                              "Connection: Upgrade\r\n"
                              "Sec-WebSocket-Key: ") &&
         dm_buf_add_span(out, key) &&
         dm_buf_addf(out,
                     "\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Protocol: %s\r\n\r\n",
                     protocol);
}

bool dm_upgrade_write_accept(dm_buf *out, dm_span key) {
  char text[DM_UPGRADE_KEY + sizeof GUID];
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  dm_buf whole = dm_buf_fixed(text, sizeof text);
  return dm_buf_add_span(&whole, key) && dm_buf_add_text(&whole, GUID) &&
         EVP_Digest(text, whole.len, digest, &length, EVP_sha1(), NULL) == 1 &&
         dm_text_base64_encode(out, digest, length);
}

/* Reading. */

/* The bytes of the head with its empty line; 0: it is not there yet. */
static size_t head_size(dm_span bytes) {
  static const char end[] = "\r\n\r\n";
  const char *found =
      bytes.n ? memmem(bytes.p, bytes.n, end, sizeof end - 1) : NULL;
  return found ? (size_t)(found - bytes.p) + sizeof end - 1 : 0;
}

/* "HTTP/1.1 101 Switching Protocols" */
static bool read_status(dm_span line, int *status) {
  int64_t n;
  if (!dm_text_starts(line, "HTTP/1.")) return false;
  dm_text_cut(line, ' ', &line);
  if (line.p == NULL ||
      !dm_text_int64(dm_text_cut(line, ' ', &line), 100, 599, &n))
    return false;
  *status = (int)n;
  return true;
}

static void take_field(dm_upgrade_answer *a, dm_span name, dm_span value) {
  const struct {
    const char *name;
    dm_span *value;
  } known[] = {{"Upgrade", &a->upgrade},
               {"Connection", &a->connection},
               {"Sec-WebSocket-Accept", &a->accept},
               {"Sec-WebSocket-Protocol", &a->protocol},
               {"Date", &a->date}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (dm_span_equal_nocase(name, dm_span_of(known[i].name)))
      *known[i].value = value;
}

/* The next line without its end. */
static dm_span cut_line(dm_span *head) {
  return dm_text_trim(dm_text_cut(*head, '\n', head), "\r");
}

dm_code dm_upgrade_read(dm_span bytes, dm_upgrade_answer *out, dm_err *e) {
  *out = (dm_upgrade_answer){0};
  size_t size = head_size(bytes);
  if (size > DM_UPGRADE_HEAD || (size == 0 && bytes.n > DM_UPGRADE_HEAD))
    return dm_fail(e, DM_LIMIT_EXCEEDED, "HTTP: the answer is too long");
  if (size == 0) return DM_OK;
  dm_span head = {bytes.p, size};
  if (!read_status(cut_line(&head), &out->status))
    return dm_fail(e, DM_PROTOCOL_ERROR, "the answer is not HTTP");
  while (head.p != NULL) {
    dm_span value, name = dm_text_cut(cut_line(&head), ':', &value);
    if (value.p) take_field(out, name, dm_text_trim(value, " \t"));
  }
  out->size = size;
  return DM_OK;
}

/* Is the token in the comma-separated list? */
static bool lists(dm_span list, const char *token) {
  while (list.p != NULL) {
    dm_span one = dm_text_trim(dm_text_cut(list, ',', &list), " \t");
    if (dm_span_equal_nocase(one, dm_span_of(token))) return true;
  }
  return false;
}

bool dm_upgrade_accepts(const dm_upgrade_answer *a, const char *protocol,
                        dm_span key) {
  char memory[ACCEPT_TEXT];
  dm_buf accept = dm_buf_fixed(memory, sizeof memory);
  return a->status == 101 && lists(a->upgrade, "websocket") &&
         lists(a->connection, "Upgrade") &&
         dm_span_equal_nocase(a->protocol, dm_span_of(protocol)) &&
         dm_upgrade_write_accept(&accept, key) &&
         dm_span_equal(a->accept, dm_buf_span(&accept));
}

/* Dates. */

static int64_t number(const char *digits, size_t n) {
  int64_t value;
  return dm_text_int64((dm_span){digits, n}, 0, 9999, &value) ? value : -1;
}

/* Days from 1970-01-01; the year begins in March here, so that the leap day is
** its last. */
static int64_t days_of(int64_t year, int month, int64_t day) {
  int64_t y = month < 2 ? year - 1 : year;
  int64_t m = (month + 10) % 12;
  return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 -
         719468;
}

int64_t dm_upgrade_date(dm_span text) {
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  char month_name[4] = "";
  if (text.n != DATE_LENGTH || memcmp(text.p + 25, " GMT", 4) != 0) return 0;
  memcpy(month_name, text.p + 8, 3);
  const char *at = strstr(months, month_name);
  int64_t day = number(text.p + 5, 2), year = number(text.p + 12, 4);
  int64_t hour = number(text.p + 17, 2), minute = number(text.p + 20, 2);
  int64_t second = number(text.p + 23, 2);
  if (at == NULL || strlen(at) % 3 != 0 || month_name[0] == '\0' || day < 1 ||
      year < 1970 || hour < 0 || minute < 0 || second < 0)
    return 0;
  int64_t days = days_of(year, (int)(at - months) / 3, day);
  return ((days * 24 + hour) * 60 + minute) * 60 + second;
}
