/* tls_files.h -- files of PEM texts for a library that needs files, and checks
** that say in advance what is wrong with a text. Any thread; nothing is shared.
**
** A text is put into an anonymous file in memory (memfd). Without memfd it is
** put into a temporary file of mode 0600, which dm_tls_file_clear deletes.
*/
#ifndef DM_NET_TLS_FILES_H
#define DM_NET_TLS_FILES_H

#include "base/err.h"

#pragma GCC visibility push(hidden)

typedef struct dm_tls_file {
  int fd;     /* valid while path is not NULL */
  char *path; /* owned; NULL: no file */
  bool named; /* the file has a name and must be deleted */
} dm_tls_file;

/* DM_SYSTEM_ERROR: neither kind of file could be made. */
dm_code dm_tls_file_make(dm_tls_file *f, const char *pem, dm_err *e);
void dm_tls_file_clear(dm_tls_file *f); /* may be zeroed */

/* DM_TLS_FAILED: a text is invalid. The message begins with "ca", "cert", "key"
** or "password" and says what is wrong. */
dm_code dm_tls_check_ca(const char *pem, dm_err *e);

/* The password (NULL: none) must open the key, and the key must belong to the
** certificate. */
dm_code dm_tls_check_pair(const char *cert_pem, const char *key_pem,
                          const char *key_password, dm_err *e);

#pragma GCC visibility pop

#endif
