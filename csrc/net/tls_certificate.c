/* tls_certificate.c -- see tls_certificate.h. Loop thread only. */
#include "net/tls_certificate.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

bool dm_certificate_has(const dm_certificate *c, dm_span thumbprint) {
  if (thumbprint.n == DM_SHA1_HEX)
    return dm_span_equal_nocase(thumbprint, (dm_span){c->sha1, DM_SHA1_HEX});
  return thumbprint.n == DM_SHA256_HEX &&
         dm_span_equal_nocase(thumbprint, (dm_span){c->sha256, DM_SHA256_HEX});
}

static bool digest(const X509 *x, const EVP_MD *kind, char *hex, size_t size) {
  static const char digits[] = "0123456789ABCDEF";
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  if (X509_digest(x, kind, bytes, &n) != 1 || n * 2 != size) return false;
  for (unsigned i = 0; i < n; i++) {
    *hex++ = digits[bytes[i] >> 4];
    *hex++ = digits[bytes[i] & 15];
  }
  return true;
}

/* Read the common name, if there is only one: two could be understood in two
** ways. */
static void read_name(const X509 *x, dm_certificate *out) {
  const X509_NAME *subject = X509_get_subject_name(x);
  int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (place < 0 ||
      X509_NAME_get_index_by_NID(subject, NID_commonName, place) >= 0)
    return;
  const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, place);
  unsigned char *text = NULL;
  int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
  if (n > 0 && n < DM_CERTIFICATE_NAME) {
    memcpy(out->name, text, (size_t)n);
    out->name_length = (size_t)n;
  }
  OPENSSL_free(text);
}

bool dm_certificate_read(SSL *ssl, dm_certificate *out) {
  const X509 *x = SSL_get0_peer_certificate(ssl);
  *out = (dm_certificate){.trusted = false};
  if (!x) return false;
  out->trusted = SSL_get_verify_result(ssl) == X509_V_OK;
  out->early = X509_cmp_current_time(X509_get0_notBefore(x)) >= 0;
  out->late = X509_cmp_current_time(X509_get0_notAfter(x)) <= 0;
  read_name(x, out);
  bool good = digest(x, EVP_sha1(), out->sha1, sizeof out->sha1) &&
              digest(x, EVP_sha256(), out->sha256, sizeof out->sha256);
  ERR_clear_error();
  return good;
}
