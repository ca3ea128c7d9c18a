/* tls_files.h -- PEM texts for a library that wants files, and the checks that
** tell beforehand what is wrong with them. Any thread; nothing is shared.
**
** A text goes into an anonymous file in memory (memfd); where there is none,
** into a temporary file of mode 0600 that dm_tls_file_clear deletes.
*/
#ifndef DM_NET_TLS_FILES_H
#define DM_NET_TLS_FILES_H

#include "base/err.h"

#pragma GCC visibility push(hidden)

typedef struct dm_tls_file {
  int fd;     /* valid while path is not NULL */
  char *path; /* owned; NULL: there is no file */
  bool named; /* the path is a real one, to be deleted */
} dm_tls_file;

/* DM_SYSTEM_ERROR: neither kind of file can be made. */
dm_code dm_tls_file_make(dm_tls_file *f, const char *pem, dm_err *e);
void dm_tls_file_clear(dm_tls_file *f); /* takes the zero state */

/* DM_TLS_FAILED when a text is not what it should be; the message begins with
** "ca", "cert", "key" or "password" and says what is wrong with it. */
dm_code dm_tls_check_ca(const char *pem, dm_err *e);

/* The key must open with the password (NULL: none) and fit the certificate. */
dm_code dm_tls_check_pair(const char *cert_pem, const char *key_pem,
                          const char *key_password, dm_err *e);

#pragma GCC visibility pop

#endif
