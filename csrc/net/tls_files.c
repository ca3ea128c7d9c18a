/* tls_files.c -- see tls_files.h. Any thread. */
#include "net/tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

enum { PATH_ROOM = 64 };

static bool write_all(int fd, const char *text, size_t n) {
  while (n > 0) {
    ssize_t wrote = write(fd, text, n);
    if (wrote < 0 && errno != EINTR) return false;
    if (wrote > 0) {
      text += wrote;
      n -= (size_t)wrote;
    }
  }
  return true;
}

/* A file in memory, reachable by a path that opens it anew from its start. */
static bool open_memory(dm_tls_file *f) {
#ifdef MFD_CLOEXEC
  f->fd = memfd_create("pem", MFD_CLOEXEC);
  if (f->fd < 0) return false;
  f->path = malloc(PATH_ROOM);
  if (f->path) snprintf(f->path, PATH_ROOM, "/proc/self/fd/%d", f->fd);
  if (f->path && access(f->path, R_OK) == 0) return true;
  close(f->fd);
  free(f->path);
  f->path = NULL;
#endif
  return false;
}

static bool open_named(dm_tls_file *f) {
  const char *folder = getenv("TMPDIR");
  size_t room;
  if (folder == NULL || *folder == '\0') folder = "/tmp";
  room = strlen(folder) + PATH_ROOM;
  f->path = malloc(room);
  if (f->path == NULL) return false;
  snprintf(f->path, room, "%s/directmethods-XXXXXX", folder);
  f->fd = mkostemp(f->path, O_CLOEXEC); /* mode 0600 */
  f->named = f->fd >= 0;
  if (f->named) return true;
  free(f->path);
  f->path = NULL;
  return false;
}

dm_code dm_tls_file_make(dm_tls_file *f, const char *pem, dm_err *e) {
  memset(f, 0, sizeof *f);
  if ((open_memory(f) || open_named(f)) && write_all(f->fd, pem, strlen(pem)))
    return DM_OK;
  int reason = errno;
  dm_tls_file_clear(f);
  return dm_fail(e, DM_SYSTEM_ERROR, "make a file for a certificate or key: %s",
                 strerror(reason));
}

void dm_tls_file_clear(dm_tls_file *f) {
  if (f->path == NULL) return;
  if (f->named) unlink(f->path);
  close(f->fd);
  free(f->path);
  memset(f, 0, sizeof *f);
}

/* OpenSSL's reason for what failed last; its queue is empty afterwards. */
static dm_code fail_tls(dm_err *e, const char *what, const char *otherwise) {
  unsigned long code = ERR_peek_last_error();
  const char *reason = code ? ERR_reason_error_string(code) : NULL;
  ERR_clear_error();
  return dm_fail(e, DM_TLS_FAILED, "%s: %s", what, reason ? reason : otherwise);
}

/* No password was given where one is asked for: OpenSSL must not ask the
** terminal. */
static int give_password(char *room, int size, int writing, void *password) {
  size_t n = password ? strlen(password) : 0;
  (void)writing;
  if (n == 0 || n > (size_t)size) return -1;
  memcpy(room, password, n);
  return (int)n;
}

static BIO *open_text(const char *pem) {
  size_t n = strlen(pem);
  ERR_clear_error();
  return n > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int)n);
}

static X509 *read_certificate(const char *pem) {
  BIO *text = open_text(pem);
  X509 *cert = text ? PEM_read_bio_X509(text, NULL, give_password, NULL) : NULL;
  BIO_free(text);
  return cert;
}

dm_code dm_tls_check_ca(const char *pem, dm_err *e) {
  X509 *cert = read_certificate(pem);
  if (cert == NULL) return fail_tls(e, "CA", "no certificate in the text");
  X509_free(cert);
  return DM_OK;
}

/* A copy of the password, as OpenSSL wants a pointer that it may change. */
static EVP_PKEY *read_key(const char *pem, const char *password) {
  char *copy = password ? strdup(password) : NULL;
  BIO *text = open_text(pem);
  EVP_PKEY *key =
      text ? PEM_read_bio_PrivateKey(text, NULL, give_password, copy) : NULL;
  BIO_free(text);
  if (copy) OPENSSL_cleanse(copy, strlen(copy));
  free(copy);
  return key;
}

dm_code dm_tls_check_pair(const char *cert_pem, const char *key_pem,
                          const char *password, dm_err *e) {
  X509 *cert = read_certificate(cert_pem);
  if (cert == NULL)
    return fail_tls(e, "certificate", "no certificate in the text");
  dm_code code = DM_OK;
  EVP_PKEY *key = read_key(key_pem, password);
  if (key == NULL)
    code = fail_tls(e, "private key", "no key in the text");
  else if (X509_check_private_key(cert, key) != 1)
    code = fail_tls(e, "private key", "does not fit the certificate");
  EVP_PKEY_free(key);
  X509_free(cert);
  return code;
}
