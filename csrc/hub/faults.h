/* faults.h -- rules for what the hub does wrong on command. Loop thread only.
** The rules alone: what acting on them means is disturb.c's business.
**
** A rule acts on events of one stage that fit its device, module and method:
** not on the first 'after' of them, at most 'times' times, and if a probability
** is given, by a generator with a seed of its own: the same events give the
** same faults again.
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

/* the name that Lua shows; which actions make sense where, Lua checks */
#define DM_FAULT_STAGE_MAP(X)                                                  \
  X(CONNECT, "connect")   /* a device's CONNECT, which would be accepted */    \
  X(HTTP, "http")         /* a caller's request, well formed */                \
  X(REQUEST, "request")   /* what is sent to the device */                     \
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

enum { DM_FAULTS_MAX = 1000 }; /* rules of one hub */

typedef struct dm_fault_options {
  dm_fault_stage stage;
  dm_fault_action action;
  dm_span device, module, method; /* p NULL: any */
  int64_t delay;                  /* ms before it acts */
  int status, code;               /* REJECT: HTTP status and code; CONNACK */
  dm_span name, text;             /* REJECT: of the code */
  dm_span body;                   /* REJECT: p NULL: Format M */
  uint64_t times, after;          /* times 0: no end */
  double probability;             /* 1: always */
  uint64_t seed;
} dm_fault_options;

typedef struct dm_fault {
  dm_list node; /* in the order they were made */
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
  int64_t delay;         /* ms, of all rules that act */
  const dm_fault *fault; /* what to do then; NULL: go on */
  int rules;             /* how many act */
} dm_verdict;

/* Which rules act now: all delays up to and with the first one of another
** action. They are noted in 'facts' (NULL: nowhere). False: none. */
bool dm_faults_judge(dm_faults *t, dm_fault_stage stage, dm_span device,
                     dm_span module, dm_span method, dm_call_facts *facts,
                     dm_verdict *out);

#pragma GCC visibility pop

#endif
