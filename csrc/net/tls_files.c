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

/* A file in memory. Its path opens it again from its start. */
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

/* The password for OpenSSL. Without this, OpenSSL would ask at the terminal.
*/
typedef struct password {
  const char *text; /* borrowed; NULL: none was given */
  bool asked;
} password;

static int give_password(char *room, int size, int writing, void *context) {
  password *p = context;
  size_t n = p->text ? strlen(p->text) : 0;
  (void)writing;
  p->asked = true;
  if (n == 0 || n > (size_t)size) return -1;
  memcpy(room, p->text, n);
  return (int)n;
}

static BIO *open_text(const char *pem) {
  size_t n = strlen(pem);
  return n > INT_MAX ? NULL : BIO_new_mem_buf(pem, (int)n);
}

static X509 *read_certificate(const char *pem) {
  password none = {NULL, false};
  BIO *text = open_text(pem);
  X509 *cert =
      text ? PEM_read_bio_X509(text, NULL, give_password, &none) : NULL;
  BIO_free(text);
  ERR_clear_error();
  return cert;
}

static EVP_PKEY *read_key(const char *pem, password *p) {
  BIO *text = open_text(pem);
  EVP_PKEY *key =
      text ? PEM_read_bio_PrivateKey(text, NULL, give_password, p) : NULL;
  BIO_free(text);
  ERR_clear_error();
  return key;
}

dm_code dm_tls_check_ca(const char *pem, dm_err *e) {
  X509 *cert = read_certificate(pem);
  if (cert == NULL)
    return dm_fail(e, DM_TLS_FAILED, "ca holds no certificate in PEM");
  X509_free(cert);
  return DM_OK;
}

/* Say why the text has no key. */
static dm_code fail_key(const password *p, dm_err *e) {
  if (!p->asked)
    return dm_fail(e, DM_TLS_FAILED, "key holds no private key in PEM");
  if (p->text == NULL)
    return dm_fail(e, DM_TLS_FAILED,
                   "password is missing: the private key is encrypted");
  return dm_fail(e, DM_TLS_FAILED, "password does not open the private key");
}

dm_code dm_tls_check_pair(const char *cert_pem, const char *key_pem,
                          const char *key_password, dm_err *e) {
  password p = {key_password, false};
  X509 *cert = read_certificate(cert_pem);
  if (cert == NULL)
    return dm_fail(e, DM_TLS_FAILED, "cert holds no certificate in PEM");
  dm_code code = DM_OK;
  EVP_PKEY *key = read_key(key_pem, &p);
  if (key == NULL)
    code = fail_key(&p, e);
  else if (X509_check_private_key(cert, key) != 1)
    code = dm_fail(e, DM_TLS_FAILED, "key does not belong to the certificate");
  ERR_clear_error();
  EVP_PKEY_free(key);
  X509_free(cert);
  return code;
}
