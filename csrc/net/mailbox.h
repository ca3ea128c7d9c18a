/* mailbox.h -- passes news from any thread to the loop thread. dm_mailbox_post,
** dm_mailbox_flag: any thread; everything else: loop thread.
**
** A loop has one mailbox. One wake-up takes all news; no callback runs under
** its lock. Each sender has a record. Flags are bits, which are never lost. The
** letters of a record have a limit.
*/
#ifndef DM_NET_MAILBOX_H
#define DM_NET_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"

#pragma GCC visibility push(hidden)

typedef struct dm_letter { /* malloc'ed by the sender, with its data after it */
  struct dm_letter *next;
} dm_letter;

typedef struct dm_mail_record { /* embedded in its owner */
  dm_list node;                 /* in the mailbox while it has news */
  uint32_t flags;
  dm_letter *first, **last;
  int count, limit; /* letters in the queue, and the most */
  /* Loop thread. 'flags' are those set since the last call. 'letters' is a list
  ** in the order of arrival, which the owner frees. The owner may forget the
  ** record and free itself inside. */
  void (*on_mail)(struct dm_mail_record *r, uint32_t flags, dm_letter *letters);
} dm_mail_record;

typedef struct dm_mailbox {
  uv_mutex_t lock;
  int pipe[2]; /* a byte in it wakes the loop */
  uv_poll_t wake;
  dm_list news; /* records */
} dm_mailbox;

int dm_mailbox_init(dm_mailbox *m, uv_loop_t *uv); /* a uv error code or 0 */
void dm_mailbox_close(dm_mailbox *m);              /* start to close 'wake' */
void dm_mailbox_free(dm_mailbox *m); /* after the uv loop has closed 'wake' */

void dm_mail_record_init(dm_mail_record *r, int limit,
                         void (*on_mail)(dm_mail_record *r, uint32_t flags,
                                         dm_letter *letters));

/* Queue a letter, which then belongs to the mailbox. False: the record is at
** its limit, and the letter is still the caller's. */
bool dm_mailbox_post(dm_mailbox *m, dm_mail_record *r, dm_letter *letter);
void dm_mailbox_flag(dm_mailbox *m, dm_mail_record *r, uint32_t flags);

bool dm_mailbox_empty(dm_mailbox *m);

/* Remove the record. Returns the letters that it still had, which belong to the
** caller. No other thread may use the record any more. */
dm_letter *dm_mailbox_forget(dm_mailbox *m, dm_mail_record *r);

/* free() each letter of a list. */
void dm_letters_free(dm_letter *letters);

#pragma GCC visibility pop

#endif
