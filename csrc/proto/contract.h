/* contract.h -- what IoT Hub allows a method call: sizes and times by
** api-version, and the rule of method names. Pure.
**
** These numbers are written here and nowhere else: C includes this, Lua asks
** core.contract(). Each direction is judged by the api-version of its sender.
*/
#ifndef DM_PROTO_CONTRACT_H
#define DM_PROTO_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

#pragma GCC visibility push(hidden)

typedef struct dm_contract {
  const char *name;  /* what the hub's option 'contract' calls it */
  const char *since; /* the first api-version that has it; NULL: the oldest */
  size_t payload;    /* bytes of a payload, inclusive */
  int response_min, response_max; /* seconds to answer, inclusive */
  int response_default;           /* seconds, when the call gives none */
  int connect_max; /* seconds to wait for the device, from 0, inclusive */
} dm_contract;

enum {
  DM_CONTRACTS = 2,
  DM_METHOD_NAME_MAX = 100,   /* bytes of a method name */
  DM_CONTRACT_ENVELOPE = 4096 /* bytes of a call's body beside its payload */
};

extern const dm_contract dm_contracts[DM_CONTRACTS]; /* the oldest first */

/* What Azure has today: the last one. */
static inline const dm_contract *dm_contract_newest(void) {
  return &dm_contracts[DM_CONTRACTS - 1];
}

/* The contract of an api-version; n 0 (there is none): the oldest. Only the
** date counts: "2019-01-01-preview" has that of "2019-01-01". */
const dm_contract *dm_contract_of(dm_span version);

const dm_contract *dm_contract_named(dm_span name); /* NULL: unknown */

/* Is the date of an api-version between that of the first version with method
** calls and that of the latest known one? Which versions between them exist is
** not published. */
bool dm_contract_is_dated(dm_span version);

/* Is it the first api-version with commands of digital twins, or a later one?
*/
bool dm_contract_has_commands(dm_span version);

#define DM_METHOD_NAME_LONG "methodName cannot be longer than 100 characters."

/* A method name has 1..100 printable ASCII characters, without
** $ ( ) < > @ , ; : \ " / [ ] ? = { } # + % and space. NULL: it is one; else
** what is wrong, in IoT Hub's words; static. */
const char *dm_contract_wrong_method_name(dm_span s);

#pragma GCC visibility pop

#endif
