/* exchange.h -- a request from its arrival to its answer: an HTTP request, or a
** method call of the control plane's own, which has no HTTP request. Only this
** file decides how the second kind is answered. Loop thread only.
*/
#ifndef DM_HUB_EXCHANGE_H
#define DM_HUB_EXCHANGE_H

#include "hub/state.h"

#pragma GCC visibility push(hidden)

/* s NULL: a call of the control plane's own. NULL: out of memory. */
dm_exchange *dm_exchange_open(dm_hub *h, dm_http_server *s, uint64_t id);

/* It is answered later: dm_exchange_find finds it until then. */
void dm_exchange_park(dm_exchange *x);

/* A parked one. NULL: unknown. */
dm_exchange *dm_exchange_find(dm_hub *h, const dm_http_server *s, uint64_t id);

/* A parked call of another hub's, by the bus's id. NULL: unknown. */
dm_exchange *dm_exchange_find_lent(dm_hub *h, uint64_t asked);

/* Is there an HTTP request to answer? */
static inline bool dm_exchange_is_http(const dm_exchange *x) {
  return x->server != NULL;
}

/* Header lines of each answer of an admin listener, so that browsers do not let
** pages of other sites use the answer. Other listeners: none. */
dm_span dm_exchange_guards(const dm_exchange *x);

/* These answer an HTTP request and end its exchange. False: the
** caller is gone. */

/* 'fields' are whole header lines; the body is the three parts. */
bool dm_exchange_answer(dm_exchange *x, int status, dm_span fields,
                        const dm_span part[3]);
bool dm_exchange_refuse(dm_exchange *x, dm_error_id id); /* in Format E */
/* In Format E too, with an error that is none of dm_error_id. */
bool dm_exchange_refuse_as(dm_exchange *x, int status, const char *name,
                           dm_span text);

/* These end a method call's exchange: with an HTTP answer, or with on_invoked
** for a call of the control plane's own. */

void dm_exchange_answer_call(dm_exchange *x, int32_t status, dm_span value);
/* In Format M. text p NULL: the error's own; 'seconds' for DM_INFO_TIMEOUT. */
void dm_exchange_fail_call(dm_exchange *x, dm_error_id id, dm_span text,
                           int seconds);
/* With what a fault rule says; 'outcome' is the name of its error. */
void dm_exchange_reject_call(dm_exchange *x, const dm_fault *f,
                             dm_span outcome);

void dm_exchange_end(dm_exchange *x);   /* without an answer */
void dm_exchange_free_spare(dm_hub *h); /* the free list */

#pragma GCC visibility pop

#endif
