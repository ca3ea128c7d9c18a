/* tls.c -- TLS contexts and sessions over OpenSSL 3. Loop thread only. */
#include "net/tls.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* Only forward secrecy and AEAD; TLS 1.3 has nothing else. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

enum {                     /* limits of a client's certificates */
       CHAIN_MAX = 8,      /* authorities up to a trusted one */
       CHAIN_BYTES = 32768 /* bytes of all its certificates */
};

struct dm_tls {
  SSL_CTX *context;
  BIO_METHOD *method;
  bool client;
  int users; /* its maker, listeners and sessions */
};

struct dm_tls_session {
  dm_tls *tls;
  SSL *ssl;
  time_t begins; /* of the validity of a refused certificate; 0: none */
  dm_span fed;   /* borrowed: received and not used yet */
  dm_buf wire;
};

/* The BIO reads the fed bytes and writes to the wire buffer. */

static int bio_read(BIO *b, char *out, int n) {
  dm_tls_session *s = BIO_get_data(b);
  BIO_clear_retry_flags(b);
  if (n <= 0) return 0;
  if (s->fed.n == 0) {
    BIO_set_retry_read(b);
    return -1;
  }
  size_t take = s->fed.n < (size_t)n ? s->fed.n : (size_t)n;
  memcpy(out, s->fed.p, take);
  s->fed.p += take;
  s->fed.n -= take;
  return (int)take;
}

static int bio_write(BIO *b, const char *bytes, int n) {
  dm_tls_session *s = BIO_get_data(b);
  BIO_clear_retry_flags(b);
  if (n <= 0) return 0;
  return dm_buf_add(&s->wire, bytes, (size_t)n) ? n : -1;
}

static long bio_ctrl(BIO *b, int command, long number, void *pointer) {
  (void)b, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH; /* a flush has nothing to do */
}

static BIO_METHOD *bio_method(void) {
  BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "dm_stream");
  if (!m) return NULL;
  BIO_meth_set_read(m, bio_read);
  BIO_meth_set_write(m, bio_write);
  BIO_meth_set_ctrl(m, bio_ctrl);
  return m;
}

/* What an error of OpenSSL says about the peer. */
static dm_code code_of(unsigned long error) {
  switch (ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0) {
  case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
  case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
  case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    return DM_TLS_UNTRUSTED;
  case SSL_R_HTTP_REQUEST:
  case SSL_R_HTTPS_PROXY_REQUEST:
  case SSL_R_WRONG_VERSION_NUMBER:
    return DM_TLS_PLAIN;
  default:
    return DM_TLS_FAILED;
  }
}

/* Fail with the first error of OpenSSL's queue, and empty the queue. */
static dm_code openssl_failed(dm_err *e, const char *what) {
  unsigned long code = ERR_peek_error();
  const char *reason = code ? ERR_reason_error_string(code) : NULL;
  ERR_clear_error();
  return dm_fail(e, code_of(code), "%s: %s", what,
                 reason ? reason : "no reason given");
}

/* Contexts. */

/* 'context' points to the password, or is NULL. Without a password it returns
** -1, so that OpenSSL does not ask at the terminal. */
static int give_password(char *buffer, int size, int writing, void *context) {
  const char *const *at = context;
  const char *password = at ? *at : NULL;
  size_t n = password ? strlen(password) : 0;
  (void)writing;
  if (!password || n > (size_t)size) return -1;
  memcpy(buffer, password, n);
  return (int)n;
}

static BIO *pem_bio(dm_span pem) {
  return pem.n > INT_MAX ? NULL : BIO_new_mem_buf(pem.p, (int)pem.n);
}

static dm_tls *tls_new(const SSL_METHOD *method, dm_err *e) {
  dm_tls *t = calloc(1, sizeof *t);
  if (!t) {
    dm_fail(e, DM_SYSTEM_ERROR, "TLS context: out of memory");
    return NULL;
  }
  t->users = 1;
  t->method = bio_method();
  t->context = SSL_CTX_new(method);
  if (!t->method || !t->context ||
      !SSL_CTX_set_min_proto_version(t->context, TLS1_2_VERSION) ||
      !SSL_CTX_set_cipher_list(t->context, CIPHERS)) {
    openssl_failed(e, "TLS context");
    dm_tls_free(t);
    return NULL;
  }
  SSL_CTX_set_options(t->context, SSL_OP_NO_COMPRESSION |
                                      SSL_OP_NO_RENEGOTIATION |
                                      SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(t->context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(t->context, SSL_SESS_CACHE_OFF);
  return t;
}

/* Use this side's certificate and those of its chain. */
static bool use_certificates(SSL_CTX *context, dm_span pem) {
  BIO *b = pem_bio(pem);
  X509 *leaf = b ? PEM_read_bio_X509(b, NULL, give_password, NULL) : NULL;
  bool good = leaf && SSL_CTX_use_certificate(context, leaf) == 1;
  X509 *next;
  while (good && (next = PEM_read_bio_X509(b, NULL, give_password, NULL))) {
    good = SSL_CTX_add0_chain_cert(context, next) == 1;
    if (!good) X509_free(next);
  }
  X509_free(leaf);
  BIO_free(b);
  if (good) ERR_clear_error(); /* the end of the text counts as an error */
  return good;
}

static bool use_key(SSL_CTX *context, dm_span pem, const char *password) {
  BIO *b = pem_bio(pem);
  EVP_PKEY *key =
      b ? PEM_read_bio_PrivateKey(b, NULL, give_password, &password) : NULL;
  bool good = key && SSL_CTX_use_PrivateKey(context, key) == 1;
  EVP_PKEY_free(key);
  BIO_free(b);
  return good;
}

/* Trust every certificate of the text, and no other. */
static bool trust(SSL_CTX *context, dm_span pem) {
  BIO *b = pem_bio(pem);
  X509_STORE *store = SSL_CTX_get_cert_store(context);
  X509 *next;
  int n = 0;
  while (b && (next = PEM_read_bio_X509(b, NULL, give_password, NULL))) {
    n += X509_STORE_add_cert(store, next);
    X509_free(next);
  }
  BIO_free(b);
  if (n > 0) ERR_clear_error(); /* the end of the text counts as an error */
  return n > 0;
}

/* Accept any certificate: the owner of the stream decides what it allows. */
static int take_any(int good, X509_STORE_CTX *c) {
  (void)good, (void)c;
  return 1;
}

/* Ask clients for a certificate, which they need not show. */
static bool ask_for_certificates(SSL_CTX *context, dm_span ca_pem) {
  static const unsigned char name[] =
      "directmethods"; /* names the context of resumed sessions */
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, take_any);
  SSL_CTX_set_verify_depth(context, CHAIN_MAX);
  SSL_CTX_set_max_cert_list(context, CHAIN_BYTES);
  return SSL_CTX_set_session_id_context(context, name, sizeof name - 1) == 1 &&
         (ca_pem.n == 0 || trust(context, ca_pem));
}

dm_tls *dm_tls_server(dm_span cert_pem, dm_span key_pem, dm_span client_ca_pem,
                      dm_err *e) {
  ERR_clear_error();
  dm_tls *t = tls_new(TLS_server_method(), e);
  if (!t) return NULL;
  const char *what = NULL;
  if (!use_certificates(t->context, cert_pem)) {
    what = "the server's certificate cannot be used";
  } else if (!use_key(t->context, key_pem, NULL)) {
    what = "the server's key cannot be used with its certificate";
  } else if (!ask_for_certificates(t->context, client_ca_pem)) {
    what = "the authority of the clients' certificates cannot be used";
  }
  if (!what) return t;
  openssl_failed(e, what);
  dm_tls_free(t);
  return NULL;
}

/* Keep the start of the validity of a certificate that is not valid yet. */
static int keep_begin(int good, X509_STORE_CTX *c) {
  SSL *ssl =
      X509_STORE_CTX_get_ex_data(c, SSL_get_ex_data_X509_STORE_CTX_idx());
  dm_tls_session *s = ssl ? SSL_get_app_data(ssl) : NULL;
  struct tm begin = {0};
  if (!good && s &&
      X509_STORE_CTX_get_error(c) == X509_V_ERR_CERT_NOT_YET_VALID &&
      ASN1_TIME_to_tm(X509_get0_notBefore(X509_STORE_CTX_get_current_cert(c)),
                      &begin) == 1)
    s->begins = timegm(&begin);
  return good;
}

dm_tls *dm_tls_client(dm_span ca_pem, bool verify, dm_err *e) {
  ERR_clear_error();
  dm_tls *t = tls_new(TLS_client_method(), e);
  if (!t) return NULL;
  t->client = true;
  SSL_CTX_set_verify(t->context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                     verify ? keep_begin : NULL);
  bool good = ca_pem.p ? trust(t->context, ca_pem)
                       : SSL_CTX_set_default_verify_paths(t->context) == 1;
  if (good) return t;
  openssl_failed(e, "CA");
  dm_tls_free(t);
  return NULL;
}

dm_code dm_tls_client_show(dm_tls *t, dm_span cert_pem, dm_span key_pem,
                           const char *key_password, dm_err *e) {
  ERR_clear_error();
  if (!use_certificates(t->context, cert_pem))
    return openssl_failed(e, "the certificate cannot be used");
  if (!use_key(t->context, key_pem, key_password))
    return openssl_failed(e, "the key cannot be used with its certificate");
  return DM_OK;
}

dm_tls *dm_tls_keep(dm_tls *t) {
  if (t) t->users++;
  return t;
}

void dm_tls_free(dm_tls *t) {
  if (!t || --t->users > 0) return;
  SSL_CTX_free(t->context);
  BIO_meth_free(t->method);
  free(t);
}

/* Sessions. */

dm_tls_session *dm_tls_session_new(dm_tls *t, size_t wire_limit) {
  dm_tls_session *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->tls = dm_tls_keep(t);
  dm_buf_init(&s->wire, wire_limit);
  s->ssl = SSL_new(t->context);
  BIO *b = s->ssl ? BIO_new(t->method) : NULL;
  if (!b) {
    dm_tls_session_free(s);
    ERR_clear_error();
    return NULL;
  }
  SSL_set_app_data(s->ssl, s);
  BIO_set_data(b, s);
  BIO_set_init(b, 1);
  SSL_set_bio(s->ssl, b, b);
  if (t->client)
    SSL_set_connect_state(s->ssl);
  else
    SSL_set_accept_state(s->ssl);
  return s;
}

/* An address is not sent as a server name [RFC 6066, 3], and certificates list
** addresses apart from names. */
bool dm_tls_session_expect(dm_tls_session *s, const char *name) {
  X509_VERIFY_PARAM *rules = SSL_get0_param(s->ssl);
  char host[TLSEXT_MAXLEN_host_name + 1];
  size_t n = strlen(name) + 1;
  bool good = X509_VERIFY_PARAM_set1_ip_asc(rules, name) == 1;
  if (!good && n <= sizeof host) {
    memcpy(host, name, n);
    X509_VERIFY_PARAM_set_hostflags(rules,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    good = X509_VERIFY_PARAM_set1_host(rules, host, 0) == 1 &&
           SSL_set_tlsext_host_name(s->ssl, host) == 1;
  }
  ERR_clear_error();
  return good;
}

void dm_tls_session_free(dm_tls_session *s) {
  if (!s) return;
  SSL_free(s->ssl);
  dm_buf_clear(&s->wire);
  dm_tls_free(s->tls);
  free(s);
}

void dm_tls_feed(dm_tls_session *s, dm_span bytes) {
  s->fed = bytes;
}

static bool is_distrusted(const dm_tls_session *s) {
  return s->tls->client && SSL_get_verify_mode(s->ssl) != SSL_VERIFY_NONE &&
         SSL_get_verify_result(s->ssl) != X509_V_OK;
}

/* "2026-11-30 12:00 UTC" */
static const char *show_time(time_t time, char room[32]) {
  struct tm parts;
  bool good = gmtime_r(&time, &parts) &&
              strftime(room, 32, "%Y-%m-%d %H:%M UTC", &parts) > 0;
  return good ? room : "?";
}

/* The certificate is not valid yet: most likely this machine's clock is behind.
** Lua looks for these words (device/token.lua). */
static void distrust_early(const dm_tls_session *s, dm_err *e) {
  char begin[32], now[32];
  dm_fail(e, DM_TLS_FAILED,
          "TLS handshake: the server's certificate begins at %s, and this "
          "machine's clock shows %s",
          show_time(s->begins, begin), show_time(time(NULL), now));
}

/* Fail because the server's certificate is not valid, and say why. */
static void distrust(dm_tls_session *s, dm_err *e) {
  long why = SSL_get_verify_result(s->ssl);
  ERR_clear_error();
  if (s->begins != 0) {
    distrust_early(s, e);
    return;
  }
  dm_fail(e, DM_TLS_FAILED, "TLS handshake: certificate verify failed: %s",
          X509_verify_cert_error_string(why));
}

static dm_tls_result result_of(dm_tls_session *s, int returned,
                               const char *what, dm_err *e) {
  switch (SSL_get_error(s->ssl, returned)) {
  case SSL_ERROR_NONE:
    return DM_TLS_DONE;
  case SSL_ERROR_WANT_READ:
    return DM_TLS_MORE;
  case SSL_ERROR_ZERO_RETURN:
    return DM_TLS_ENDED;
  default:
    if (is_distrusted(s))
      distrust(s, e);
    else
      openssl_failed(e, what);
    return DM_TLS_BROKEN;
  }
}

dm_tls_result dm_tls_handshake(dm_tls_session *s, dm_err *e) {
  ERR_clear_error();
  return result_of(s, SSL_do_handshake(s->ssl), "TLS handshake", e);
}

dm_tls_result dm_tls_read(dm_tls_session *s, char *plain, size_t size,
                          size_t *n, dm_err *e) {
  ERR_clear_error();
  *n = 0;
  return result_of(s, SSL_read_ex(s->ssl, plain, size, n), "TLS", e);
}

bool dm_tls_write(dm_tls_session *s, dm_span plain, dm_err *e) {
  if (plain.n == 0) return true;
  size_t n = 0;
  ERR_clear_error();
  if (SSL_write_ex(s->ssl, plain.p, plain.n, &n) == 1) return true;
  openssl_failed(e, "TLS");
  return false;
}

void dm_tls_goodbye(dm_tls_session *s) {
  ERR_clear_error();
  SSL_shutdown(s->ssl);
  ERR_clear_error();
}

dm_buf *dm_tls_wire(dm_tls_session *s) {
  return &s->wire;
}

bool dm_tls_certificate(const dm_tls_session *s, dm_certificate *out) {
  return dm_certificate_read(s->ssl, out);
}
