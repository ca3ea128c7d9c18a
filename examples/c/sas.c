/* sas.c -- SAS tokens by OpenSSL, and the parts of connection strings (docs/c.md). */
#include "sas.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

/* Copy the value of 'name' in "HostName=h;DeviceId=d;..."; 0: it is not there. */
int sas_part(const char *from, const char *name, char *to, size_t size) {
  size_t length = strlen(name);
  for (const char *at = from; at != NULL; at = strchr(at, ';')) {
    if (*at == ';') at++;
    if (strncmp(at, name, length) == 0 && at[length] == '=') {
      int n = (int)strcspn(at + length + 1, ";");
      return snprintf(to, size, "%.*s", n, at + length + 1) < (int)size;
    }
  }
  return 0;
}

static void url_encode(const char *from, char *to) { /* 'to': 3 times as long */
  for (; *from != '\0'; from++)
    if (isalnum((unsigned char)*from) || strchr("-._~", *from) != NULL)
      *to++ = *from;
    else
      to += sprintf(to, "%%%02X", (unsigned char)*from);
  *to = '\0';
}

/* Write a token of 'device' at 'host' that ends at 'expiry' (unix time); 'key' is
** base64. Returns 0 when the key is not base64 or there is no room. */
int sas_token(const char *host, const char *device, const char *key, long expiry,
              char *to, size_t size) {
  unsigned char raw[96], mac[EVP_MAX_MD_SIZE];
  char resource[256], escaped[768], text[832], base64[64], signature[192];
  unsigned int mac_length = 0;
  size_t key_length = strlen(key);
  if (key_length > 88 ||
      snprintf(resource, sizeof resource, "%s/devices/%s", host, device) >=
          (int)sizeof resource)
    return 0;
  int length = EVP_DecodeBlock(raw, (const unsigned char *)key, (int)key_length);
  if (length < 0) return 0;
  while (key_length > 0 && key[--key_length] == '=') length--; /* padding */
  url_encode(resource, escaped);
  snprintf(text, sizeof text, "%s\n%ld", escaped, expiry);
  HMAC(EVP_sha256(), raw, length, (const unsigned char *)text, strlen(text), mac,
       &mac_length);
  EVP_EncodeBlock((unsigned char *)base64, mac, (int)mac_length);
  url_encode(base64, signature);
  return snprintf(to, size, "SharedAccessSignature sr=%s&sig=%s&se=%ld", escaped,
                  signature, expiry) < (int)size;
}
