/* sas.c -- see sas.h. Pure.
**
** HMAC-SHA256 is built here from SHA256_*, because every request needs one: it
** looks up no algorithm and allocates nothing (0.3 us for a token; HMAC() of
** OpenSSL 3 takes 2 us). OpenSSL 3 calls these functions deprecated, therefore
** the next line.
*/
#define OPENSSL_API_COMPAT 10100
#include "proto/sas.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "proto/text.h"

enum { MAC = SHA256_DIGEST_LENGTH, BLOCK = SHA256_CBLOCK };

#define SCHEME "SharedAccessSignature "

/* HMAC */

static void hash_padded_key(SHA256_CTX *c, dm_span key, unsigned char pad) {
  unsigned char block[BLOCK] = {0};
  if (key.n > 0) memcpy(block, key.p, key.n);
  for (size_t i = 0; i < sizeof block; i++)
    block[i] ^= pad;
  SHA256_Init(c);
  SHA256_Update(c, block, sizeof block);
  OPENSSL_cleanse(block, sizeof block);
}

/* What a token signs: RFC 2104 over resource, line feed and expiry. */
static void compute_mac(unsigned char out[MAC], dm_span key, dm_span resource,
                        dm_span expiry) {
  unsigned char digest[MAC];
  SHA256_CTX c;
  if (key.n > BLOCK) {
    SHA256_Init(&c);
    SHA256_Update(&c, key.p, key.n);
    SHA256_Final(digest, &c);
    key = (dm_span){(const char *)digest, MAC};
  }
  unsigned char inner[MAC];
  hash_padded_key(&c, key, 0x36);
  SHA256_Update(&c, resource.p, resource.n);
  SHA256_Update(&c, "\n", 1);
  SHA256_Update(&c, expiry.p, expiry.n);
  SHA256_Final(inner, &c);
  hash_padded_key(&c, key, 0x5C);
  SHA256_Update(&c, inner, sizeof inner);
  SHA256_Final(out, &c);
  OPENSSL_cleanse(&c, sizeof c);
  OPENSSL_cleanse(digest, sizeof digest);
}

/* Sign */

static bool add_signature(dm_buf *out, const unsigned char mac[MAC]) {
  char memory[MAC * 2];
  dm_buf text = dm_buf_fixed(memory, sizeof memory);
  return dm_text_base64_encode(&text, mac, MAC) &&
         dm_text_percent_encode(out, dm_buf_span(&text));
}

static bool add_token(dm_buf *out, dm_span resource, dm_span key,
                      int64_t expiry, dm_span policy) {
  char memory[32];
  dm_buf se = dm_buf_fixed(memory, sizeof memory);
  if (!dm_buf_addf(&se, "%lld", (long long)expiry)) return false;
  if (!dm_buf_add_text(out, SCHEME "sr=")) return false;
  size_t start = out->len;
  if (!dm_text_percent_encode(out, resource)) return false;
  dm_span sr = {out->data + start, out->len - start};
  unsigned char mac[MAC];
  compute_mac(mac, key, sr, dm_buf_span(&se));
  if (!dm_buf_add_text(out, "&sig=") || !add_signature(out, mac)) return false;
  if (!dm_buf_add_text(out, "&se=")) return false;
  if (!dm_buf_add_span(out, dm_buf_span(&se))) return false;
  if (policy.n == 0) return true;
  return dm_buf_add_text(out, "&skn=") && dm_text_percent_encode(out, policy);
}

dm_code dm_sas_sign(dm_buf *out, dm_span resource, dm_span key, int64_t expiry,
                    dm_span policy, dm_err *e) {
  char memory[DM_SAS_KEY_MAX + 1];
  dm_buf plain = dm_buf_fixed(memory, sizeof memory);
  if (!dm_text_base64_decode(&plain, key) || plain.len == 0) {
    OPENSSL_cleanse(memory, sizeof memory);
    return dm_fail(e, DM_PROTOCOL_ERROR,
                   "the key must be base64 of 1 to %d bytes", DM_SAS_KEY_MAX);
  }
  size_t before = out->len;
  bool added = add_token(out, resource, dm_buf_span(&plain), expiry, policy);
  OPENSSL_cleanse(memory, sizeof memory);
  if (added) return DM_OK;
  out->len = before;
  return dm_fail(e, DM_LIMIT_EXCEEDED, "no room for a token");
}

/* Parse */

static dm_code refuse(dm_err *e, const char *reason) {
  return dm_fail(e, DM_UNAUTHORIZED, "the token %s", reason);
}

static bool has_blank(dm_span s) {
  for (size_t i = 0; i < s.n; i++) {
    if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7F) return true;
  }
  return false;
}

/* The place of the field with this name; NULL: the name is unknown. */
static dm_span *field_of(dm_sas *sas, dm_span name) {
  if (dm_span_equal_nocase(name, DM_SPAN("sr"))) return &sas->resource;
  if (dm_span_equal_nocase(name, DM_SPAN("sig"))) return &sas->signature;
  if (dm_span_equal_nocase(name, DM_SPAN("se"))) return &sas->expiry_text;
  if (dm_span_equal_nocase(name, DM_SPAN("skn"))) return &sas->policy;
  return NULL;
}

static dm_code take_fields(dm_sas *sas, dm_span fields, dm_err *e) {
  while (fields.p) {
    dm_span value;
    dm_span name = dm_text_cut(dm_text_cut(fields, '&', &fields), '=', &value);
    dm_span *field = field_of(sas, name);
    if (field == NULL) return refuse(e, "has an unknown field");
    if (value.p == NULL) return refuse(e, "has a field without a value");
    if (field->p) return refuse(e, "contains a field twice");
    *field = value;
  }
  return DM_OK;
}

static dm_code check_fields(dm_sas *sas, dm_err *e) {
  if (sas->resource.n == 0) return refuse(e, "has no sr");
  if (sas->signature.n == 0) return refuse(e, "has no sig");
  if (sas->expiry_text.n == 0) return refuse(e, "has no se");
  if (!dm_text_int64(sas->expiry_text, 0, INT64_MAX, &sas->expiry)) {
    return refuse(e, "has an se that is not a time");
  }
  /* Azure's C SDK ends every token of a device in "&skn=" */
  if (sas->policy.n == 0) sas->policy.p = NULL;
  return DM_OK;
}

dm_code dm_sas_parse(dm_span text, dm_sas *out, dm_err *e) {
  if (text.n > DM_SAS_TOKEN_MAX) return refuse(e, "is too long");
  if (!dm_text_starts(text, SCHEME))
    return refuse(e, "does not begin with \"SharedAccessSignature \"");
  size_t scheme = strlen(SCHEME);
  dm_span fields = {text.p + scheme, text.n - scheme};
  if (has_blank(fields)) return refuse(e, "contains a blank");
  dm_sas sas = {.expiry = 0};
  dm_code code = take_fields(&sas, fields, e);
  if (code == DM_OK) code = check_fields(&sas, e);
  if (code == DM_OK) *out = sas;
  return code;
}

/* Verify */

/* The MAC in the token; false: its sig is not one. */
static bool claimed_mac(const dm_sas *sas, unsigned char mac[MAC]) {
  char text_memory[MAC * 2], memory[MAC + 1];
  dm_buf text = dm_buf_fixed(text_memory, sizeof text_memory);
  dm_buf bytes = dm_buf_fixed(memory, sizeof memory);
  if (!dm_text_percent_decode(&text, sas->signature)) return false;
  if (!dm_text_base64_decode(&bytes, dm_buf_span(&text))) return false;
  if (bytes.len != MAC) return false;
  memcpy(mac, memory, MAC);
  return true;
}

bool dm_sas_signed_by(const dm_sas *sas, dm_span key) {
  char memory[DM_SAS_KEY_MAX + 1];
  dm_buf plain = dm_buf_fixed(memory, sizeof memory);
  unsigned char claimed[MAC] = {0}, mac[MAC];
  bool usable = dm_text_base64_decode(&plain, key) && plain.len > 0;
  if (!usable) {
    memset(memory, 0, MAC); /* an invalid key takes as long as a valid one */
    plain.len = MAC;
  }
  usable &= claimed_mac(sas, claimed);
  compute_mac(mac, dm_buf_span(&plain), sas->resource, sas->expiry_text);
  OPENSSL_cleanse(memory, sizeof memory);
  bool equal = CRYPTO_memcmp(mac, claimed, MAC) == 0;
  OPENSSL_cleanse(mac, sizeof mac);
  return usable && equal;
}

bool dm_sas_expired(const dm_sas *sas, int64_t now) {
  return sas->expiry < now - DM_SAS_SKEW_S;
}

static bool is_host(dm_span s, const dm_span *hosts, int host_count) {
  for (int i = 0; i < host_count; i++) {
    if (dm_span_equal_nocase(s, hosts[i])) return true;
  }
  return false;
}

bool dm_sas_covers(const dm_sas *sas, const dm_span *hosts, int host_count,
                   const dm_span *segments, int segment_count) {
  char memory[DM_SAS_TOKEN_MAX + 1];
  dm_buf plain = dm_buf_fixed(memory, sizeof memory);
  if (!dm_text_percent_decode(&plain, sas->resource)) return false;
  dm_span rest;
  dm_span host = dm_text_cut(dm_buf_span(&plain), '/', &rest);
  if (!is_host(host, hosts, host_count)) return false;
  for (int i = 0; rest.p; i++) {
    dm_span segment = dm_text_cut(rest, '/', &rest);
    if (i == segment_count || !dm_span_equal(segment, segments[i])) {
      return false;
    }
  }
  return true;
}
