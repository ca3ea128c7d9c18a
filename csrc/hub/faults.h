/* faults.h -- the rules of fault injection, and which of them act on an event.
** Loop thread only. inject acts on calls, connect on connections.
**
** A rule acts on events of one stage that have its device, module and method.
** It skips the first 'after' of them, and acts at most 'times' times. With a
** probability it draws from a generator with a seed of its own, so that the
** same events get the same faults again.
*/
#ifndef DM_HUB_FAULTS_H
#define DM_HUB_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/list.h"
#include "base/span.h"
#include "hub/trace.h"

#pragma GCC visibility push(hidden)

/* The second is the name in Lua. Lua checks which actions a stage can have. */
#define DM_FAULT_STAGE_MAP(X)                                                  \
  X(CONNECT, "connect")   /* a CONNECT that would be accepted */               \
  X(HTTP, "http")         /* a method call's request that is well formed */    \
  X(REQUEST, "request")   /* the PUBLISH of a call to its device */            \
  X(RESPONSE, "response") /* the device's answer */

#define DM_FAULT_ACTION_MAP(X)                                                 \
  X(DROP, "drop")                                                              \
  X(DELAY, "delay")                                                            \
  X(DUPLICATE, "duplicate")                                                    \
  X(DISCONNECT, "disconnect")                                                  \
  X(REJECT, "reject")

typedef enum dm_fault_stage {
#define X(id, name) DM_FAULT_##id,
  DM_FAULT_STAGE_MAP(X)
#undef X
      DM_FAULT_STAGES
} dm_fault_stage;

typedef enum dm_fault_action {
#define X(id, name) DM_FAULT_##id,
  DM_FAULT_ACTION_MAP(X)
#undef X
      DM_FAULT_ACTIONS
} dm_fault_action;

enum { DM_FAULTS_MAX = 1000 }; /* rules of a hub */

typedef struct dm_fault_options {
  dm_fault_stage stage;
  dm_fault_action action;
  dm_span device, module, method; /* p NULL: any */
  int64_t delay;                  /* ms before it acts */
  int status, code;               /* REJECT: HTTP status and code; CONNACK */
  dm_span name, text;             /* REJECT: of the code */
  dm_span body;                   /* REJECT: p NULL: Format M */
  uint64_t times, after;          /* times 0: no limit */
  double probability;             /* 1: always */
  uint64_t seed;
} dm_fault_options;

typedef struct dm_fault {
  dm_list node; /* in the order in which they were added */
  uint64_t id;
  dm_fault_options o; /* its spans are owned with the struct */
  uint64_t seen, hits, random;
} dm_fault;

typedef struct dm_faults {
  dm_list list;
  dm_ids ids;
  int count;
} dm_faults;

void dm_faults_init(dm_faults *t);
void dm_faults_clear(dm_faults *t); /* remove all rules */
void dm_faults_free(dm_faults *t);

/* 0: there are DM_FAULTS_MAX, or no memory. */
uint64_t dm_faults_add(dm_faults *t, const dm_fault_options *o);
dm_fault *dm_faults_find(const dm_faults *t, uint64_t id);
bool dm_faults_remove(dm_faults *t, uint64_t id);

typedef struct dm_verdict {
  int64_t delay;         /* ms, the sum of all rules that act */
  const dm_fault *fault; /* the rule to act on then; NULL: go on */
  int rules;             /* how many rules act */
} dm_verdict;

/* Which rules act on this event: the delays up to the first rule of another
** action, and that rule. 'facts' (may be NULL) notes them. False: none. */
bool dm_faults_judge(dm_faults *t, dm_fault_stage stage, dm_span device,
                     dm_span module, dm_span method, dm_call_facts *facts,
                     dm_verdict *out);

#pragma GCC visibility pop

#endif
