/* sas.h -- SAS tokens, and the parts of connection strings; see sas.c. */
#ifndef SAS_H
#define SAS_H

#include <stddef.h>

int sas_part(const char *from, const char *name, char *to, size_t size);
int sas_token(const char *host, const char *device, const char *key, long expiry,
              char *to, size_t size);

#endif
