/* err.h -- the error codes of this library, and one function that fills an
** error in. Any thread; nothing is shared.
**
** A code has a name, which Lua shows as err.name, and a default text. A message
** says what was tried, on what, and the lower error. Keys, tokens,
** Authorization headers and payloads never reach a message.
*/
#ifndef DM_BASE_ERR_H
#define DM_BASE_ERR_H

#include <stdbool.h>

#pragma GCC visibility push(hidden)

/* code, name in Lua, default text */
#define DM_ERR_MAP(X)                                                          \
  X(OK, "OK", "ok")                                                            \
  X(TIMEOUT, "Timeout", "timed out")                                           \
  X(SILENT, "Timeout", "the peer was silent for too long")                     \
  X(CANCELLED, "Cancelled", "cancelled")                                       \
  X(CLOSED, "Closed", "closed")                                                \
  X(NAME_NOT_RESOLVED, "NameNotResolved", "the host name does not resolve")    \
  X(CONNECT_FAILED, "ConnectFailed", "the connection failed")                  \
  X(TLS_FAILED, "TlsFailed", "the TLS handshake failed")                       \
  X(TLS_UNTRUSTED, "TlsFailed", "the peer does not trust our certificate")     \
  X(TLS_PLAIN, "TlsFailed", "the peer does not speak TLS")                     \
  X(TLS_LEFT, "TlsFailed", "the peer left in the middle of the handshake")     \
  X(UNAUTHORIZED, "Unauthorized", "not authorized")                            \
  X(PROTOCOL_ERROR, "ProtocolError", "the peer broke the protocol")            \
  X(LIMIT_EXCEEDED, "LimitExceeded", "a limit was exceeded")                   \
  X(INVALID_JSON, "InvalidJson", "not valid JSON")                             \
  X(CONFLICT, "Conflict", "the present state is not the expected one")         \
  X(STORAGE_FAILED, "StorageFailed", "the store failed")                       \
  X(SYSTEM_ERROR, "SystemError", "the system refused")

typedef enum dm_code {
#define X(code, name, text) DM_##code,
  DM_ERR_MAP(X)
#undef X
} dm_code;

enum { DM_ERR_TEXT = 200 }; /* bytes of a message, with its NUL */

typedef struct dm_err {
  dm_code code;
  char text[DM_ERR_TEXT];
} dm_err;

/* Fill 'e' (NULL: the caller does not want it) and return 'code', so that a
** failing function ends in one line: return dm_fail(e, DM_TIMEOUT, ...).
** fmt NULL: the code's own text. Longer texts are cut. */
dm_code dm_fail(dm_err *e, dm_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The name Lua shows ("Timeout"); static. */
const char *dm_err_name(dm_code code);

/* The default text of a code; static. */
const char *dm_err_text(dm_code code);

#pragma GCC visibility pop

#endif
