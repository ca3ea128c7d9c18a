/* subject.h -- the subjects of NATS on which hubs of one name meet. Pure.
**
**   dm.{cluster}.call.{device}[.{module}]  calls; its holder subscribes
**   dm.{cluster}.up.{device}[.{module}]    it is held; who waits subscribes
**   dm.{cluster}.hub.{hub}[.{tail}]        for one hub: results, signs of life
**   dm.{cluster}.all                       for all hubs
**
** Ids of devices and modules are escaped: each byte except A-Z a-z 0-9 - and _
** becomes %XX. So no two ids have one subject, and none has a wildcard.
** Names of clusters and ids of hubs need no escape; see dm_subject_is_word.
*/
#ifndef DM_CLUSTER_SUBJECT_H
#define DM_CLUSTER_SUBJECT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"

#pragma GCC visibility push(hidden)

enum {
  DM_SUBJECT_WORD_MAX = 64, /* bytes of a cluster's name and of a hub's id */
  DM_SUBJECT_ID_MAX = 128,  /* bytes of a device's or module's id */
  DM_SUBJECT_MAX = 1024     /* room that is enough for each subject, with NUL */
};

/* Can it name a cluster or a hub? 1..64 of A-Z a-z 0-9 - and _ */
bool dm_subject_is_word(dm_span s);

/* Write a subject with a NUL behind it, which len does not count. False: it has
** no room, or an id is empty or too long; 'out' may then hold a part. 'cluster'
** and 'hub' are words. */
bool dm_subject_call(dm_buf *out, dm_span cluster, dm_span device,
                     dm_span module); /* module p NULL: the device itself */
bool dm_subject_up(dm_buf *out, dm_span cluster, dm_span device,
                   dm_span module); /* likewise */
bool dm_subject_hub(dm_buf *out, dm_span cluster, dm_span hub,
                    dm_span tail); /* tail p NULL: none; "*" for all */
bool dm_subject_all(dm_buf *out, dm_span cluster);

/* The tail of a subject of this hub: "" when it has none; p NULL: the subject
** is another hub's, or none of a hub. */
dm_span dm_subject_tail(dm_span subject, dm_span cluster, dm_span hub);

#pragma GCC visibility pop

#endif
