/* calls.pml -- the protocol between hubs of one name: a method call that crosses
** hubs, and the take-over of a device by another hub. For Spin; run.lua says with
** which bounds it is checked, and `make model` runs it.
**
** Three hubs; the caller is at hub 0, the device connects anywhere. Each ordered
** pair of hubs has a link that keeps order: it carries messages, which may be lost,
** and subscriptions, which may be late. So the model has the races of several NATS
** servers. A pause of a hub is a long time between two of its steps. All
** time-outs may fire at any time, unless QUIET is set: then they fire only when
** nothing else can happen, so that what was missed can be told from what was late.
**
** Held: no method is published twice, each call has exactly one answer, nothing is
** sent after TAKEN, 404103 only if the method was not published, and in the end one
** hub has the device and its row says so.
**
** Bounds: CONNECTS of the device, LOSSES of messages, CRASHES of hubs, SWEEPS (a hub
** that is only slow is declared dead in the database). PATIENT: the call has a
** connect time-out. A mistake is planted by its name, -DMISTAKE_...
*/
#define HUBS 3
#define ASKER 0
#define LOCAL 9 /* 'running' of a call that was not asked for by the bus */
#define TRIES 5 /* at most, so that the model is finite */

#ifndef CONNECTS
#define CONNECTS 2
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef SWEEPS
#define SWEEPS 0
#endif
#ifdef PATIENT
#define IS_PATIENT true
#else
#define IS_PATIENT false
#endif
#ifdef QUIET
#define DUE timeout
#else
#define DUE true
#endif

#if defined(QUIET) && LOSSES == 0 && CRASHES == 0
#define SURE true /* nothing is lost: no time-out is needed */
#else
#define SURE false
#endif

/* on the links */
mtype:message = { SUBSCRIBED, UNSUBSCRIBED, WANTED, UP, REQUEST, GONE, TAKEN,
                  ANSWERED, FAILED, TELL };
/* the call at its own hub */
mtype:call = { NEW, ASKED, UNKNOWN, WAITING, HELD, ENDED };
/* the answer to its caller */
mtype:answer = { NONE, OK, E400027, E404103, E404104, E504101 };

chan link[9] = [4] of { mtype:message, byte /* try or epoch */,
                        mtype:answer };

/* The device at each hub. A connection that is not 'alive' is half open: its
** client has gone and its hub does not know. */
bool dead[HUBS];
bool arriving[HUBS];  /* CONNECT was sent */
bool session[HUBS];   /* a connection after CONNECT */
bool alive[HUBS];     /* of the newest connection at this hub */
byte epoch[HUBS];     /* of the session; 0: the database has not answered yet */
byte heard[HUBS];     /* the highest epoch that other hubs told */
byte running[HUBS];   /* the ask that was published and not ended here; 0: none */

/* The row of the device in the database, and each hub's statements on their way. */
byte row_epoch;
byte row_hub;
bool row_on;
bool claim[HUBS];     /* to be done: the next epoch for this hub */
byte claimed[HUBS];   /* done: the epoch on its way to the hub */
byte leave[HUBS];     /* to be done: disconnected, of the session of this epoch */
bool swept[HUBS];     /* declared dead while it was only slow */

/* What the NATS server of a hub knows of the others' subscriptions. */
bool sees[HUBS];      /* the server of hub 0: this hub takes calls */
bool wants[HUBS];     /* the server of this hub: hub 0 waits for the device */

mtype:call state = NEW;
mtype:answer answer = NONE;
byte try;             /* the last one asked */
byte taker;           /* whose call it is now, if HELD */
bool again;           /* it was asked once more after GONE */
bool nobody;          /* NATS's "no responders" is on its way to hub 0 */
bool up_came;         /* UP came while an ask was on its way */
bool was_taken;
bool last_ask;        /* a waiting call was asked once more at the end */

/* counted for what is to be held */
byte published;
bool used;            /* the device was at hub 1 */
byte connects, losses, crashes, sweeps;

#define is_up(h) (session[h] && epoch[h] != 0)

inline put(to, type, n, what) { /* never lost: a subscription */
  if
  :: dead[to]
  :: else -> link[me * HUBS + to]!type, n, what
  fi
}

inline post(to, type, n, what) {
  if
  :: dead[to]
  :: !dead[to] -> link[me * HUBS + to]!type, n, what
  :: !dead[to] && losses < LOSSES -> losses++
  fi
}

/* -- The asker ------------------------------------------------------------------ */

inline finish(with) {
  assert(state != ENDED && answer == NONE); /* exactly one answer */
  assert(with != E404103 || published == 0); /* 404103: it did not run */
  assert(with != OK || published == 1);
  state = ENDED;
  answer = with
}

inline publish(h, t) {
  published++;
  assert(published == 1); /* no method is run twice by us */
  running[h] = t
}

inline hold_here() {
  publish(ASKER, LOCAL);
  state = HELD;
  taker = ASKER;
  was_taken = true
}

inline want() {
  put(1, WANTED, 0, NONE);
  put(2, WANTED, 0, NONE)
}

inline ask() {
  assert(!was_taken); /* nothing is sent after taken */
  try++;
  state = ASKED;
  up_came = false;
#ifdef MISTAKE_PLAIN_SUBSCRIPTION
  nobody = !sees[1] && !sees[2];
  if :: sees[1] -> post(1, REQUEST, try, NONE) :: else fi;
  if :: sees[2] -> post(2, REQUEST, try, NONE) :: else fi
#else
  if /* the queue group: one of those that are subscribed */
  :: sees[1] -> post(1, REQUEST, try, NONE)
  :: sees[2] -> post(2, REQUEST, try, NONE)
  :: !sees[1] && !sees[2] -> nobody = true
  fi
#endif
}

/* It did not run: nobody was there, or the holder had lost the device. */
inline on_gone() {
  if
  :: is_up(ASKER) -> hold_here()
  :: !is_up(ASKER) && !again -> again = true; ask()
  :: !is_up(ASKER) && again && IS_PATIENT ->
#ifdef MISTAKE_WANT_AFTER_ASK
     if :: wants[1] || wants[2] :: else -> want() fi;
#endif
     if
     :: up_came && try < TRIES -> ask()
     :: else -> state = WAITING
     fi
  :: !is_up(ASKER) && again && !IS_PATIENT -> finish(E404103)
  fi
}

inline begin() {
  if
  :: is_up(ASKER) -> hold_here()
  :: else ->
#ifndef MISTAKE_WANT_AFTER_ASK
     if :: IS_PATIENT -> want() :: else fi;
#endif
     ask()
  fi
}

/* What hub 'from' says of the call, as an answer to the ask 't'. */
inline on_reply(from, type, t, what) {
  if
  :: state == ENDED || t != try /* late: dropped */
  :: else ->
     if
     :: type == GONE && (state == ASKED || state == UNKNOWN) -> on_gone()
     :: type == TAKEN && (state == ASKED || state == UNKNOWN) ->
        state = HELD; taker = from; was_taken = true
     :: type == ANSWERED || type == FAILED -> finish(what)
     :: else
     fi
  fi
}

/* -- The holder ----------------------------------------------------------------- */

inline reply(h, type, what) { /* the end of a call that was published here */
  if
  :: h == ASKER -> if :: state == HELD && taker == ASKER -> finish(what) :: else fi
  :: else -> post(ASKER, type, running[h], what)
  fi;
  running[h] = 0
}

/* Part from the session; a call that was published in it ends with 'what'. */
inline close(h, what) {
  if
  :: epoch[h] != 0 ->
     leave[h] = epoch[h];
     if :: h != ASKER -> put(ASKER, UNSUBSCRIBED, 0, NONE) :: else fi
  :: else
  fi;
  session[h] = false;
  epoch[h] = 0;
  if
  :: running[h] != 0 ->
#ifdef MISTAKE_GONE_AT_CLOSE
     if :: h != ASKER -> reply(h, GONE, what) :: else -> reply(h, FAILED, what) fi
#else
     reply(h, FAILED, what)
#endif
  :: else
  fi
}

inline take_over(h) {
  alive[h] = alive[h] && arriving[h]; /* the client sees the end of its connection */
#ifdef MISTAKE_SILENT_TAKE_OVER
  running[h] = 0;
#endif
  close(h, E400027)
}

inline on_request(h, t) {
  if
  :: is_up(h) ->
     publish(h, t);
     post(ASKER, TAKEN, t, NONE)
  :: else -> post(ASKER, GONE, t, NONE)
  fi
}

/* -- Connect and take-over ------------------------------------------------------ */

inline on_connect(h) {
  arriving[h] = false;
  if :: session[h] -> close(h, E400027) :: else fi;
  session[h] = true;
  claim[h] = true
}

/* The database has given the epoch of the session. */
inline on_claimed(h) {
  if
  :: !session[h] -> leave[h] = claimed[h] /* its client left meanwhile */
#ifndef MISTAKE_FORGET_WHAT_WAS_HEARD
  :: session[h] && heard[h] > claimed[h] -> take_over(h)
  :: session[h] && heard[h] <= claimed[h] ->
#else
  :: session[h] ->
#endif
     epoch[h] = claimed[h];
     if :: h != 0 -> post(0, TELL, epoch[h], NONE); put(0, SUBSCRIBED, 0, NONE) :: else fi;
     if :: h != 1 -> post(1, TELL, epoch[h], NONE) :: else fi;
     if :: h != 2 -> post(2, TELL, epoch[h], NONE) :: else fi;
     if
     :: h == ASKER && state == WAITING -> hold_here()
#ifdef MISTAKE_LOCAL_TOO
     :: h == ASKER && state == ASKED -> hold_here()
#endif
     :: h != ASKER && wants[h] -> post(ASKER, UP, 0, NONE)
     :: else
     fi
  fi;
  claimed[h] = 0
}

inline on_tell(h, e) {
#ifdef MISTAKE_FORGET_WHAT_WAS_HEARD
  if
  :: is_up(h) && e > heard[h] -> heard[h] = e
  :: else
  fi;
#else
  if :: e > heard[h] -> heard[h] = e :: else fi;
#endif
  if :: is_up(h) && e > epoch[h] -> take_over(h) :: else fi
}

inline on_message(from, type, n, what) {
  if
  :: type == SUBSCRIBED -> sees[from] = true
  :: type == UNSUBSCRIBED -> sees[from] = false
  :: type == WANTED -> wants[me] = true
  :: type == UP ->
     if
     :: state == WAITING && try < TRIES -> ask()
     :: state == ASKED -> up_came = true
     :: else
     fi
  :: type == REQUEST -> on_request(me, n)
  :: type == TELL -> on_tell(me, n)
  :: else -> on_reply(from, type, n, what)
  fi
}

/* -- The database --------------------------------------------------------------- */

inline do_claim(h) { /* UPDATE ... SET epoch = nextval(...), under the row's lock */
  row_epoch++;
  row_hub = h;
  row_on = true;
  claim[h] = false;
  if :: dead[h] :: else -> claimed[h] = row_epoch fi
}

inline do_leave(h) { /* ... WHERE epoch = that of the session that has ended */
#ifdef MISTAKE_LEAVE_ANY_EPOCH
  row_on = false;
#else
  if :: row_epoch == leave[h] -> row_on = false :: else fi;
#endif
  leave[h] = 0
}

/* -- Processes ------------------------------------------------------------------ */

#define CONNECTED(h) (session[h] && alive[h] && !arriving[h])

proctype hub(byte me) {
  mtype:message type;
  mtype:answer what;
  byte n, from;
end:
  do
  :: dead[me] -> break
  :: atomic { arriving[me] && !claim[me] && claimed[me] == 0 && leave[me] == 0 &&
              !dead[me] -> on_connect(me) }
  :: atomic { claimed[me] != 0 && !dead[me] -> on_claimed(me) }
  :: atomic {
       if
       :: link[0 * HUBS + me]?type, n, what -> from = 0
       :: link[1 * HUBS + me]?type, n, what -> from = 1
       :: link[2 * HUBS + me]?type, n, what -> from = 2
       fi;
       on_message(from, type, n, what);
       from = 0; type = 0; n = 0; what = 0 /* fewer states: they are not looked at again */
     }
     /* the device answers */
  :: atomic { running[me] != 0 && CONNECTED(me) -> reply(me, ANSWERED, OK) }
     /* the end of a half-open connection is noticed */
  :: atomic { session[me] && !alive[me] && !arriving[me] -> close(me, E404104) }
#if !defined(MISTAKE_TOLD_ONCE) && !defined(MISTAKE_FORGET_WHAT_WAS_HEARD)
     /* the row is looked at: what was told may have been lost */
  :: atomic { is_up(me) && row_epoch > epoch[me] -> take_over(me) }
#endif
     /* the heartbeat finds that others have given this hub up */
  :: atomic { swept[me] && !dead[me] ->
       swept[me] = false;
       if :: is_up(me) && row_epoch == epoch[me] -> row_on = true :: else fi }
  od
}

/* The call at hub 0: its beginning and its time-outs. */
active proctype caller() {
  byte me = ASKER;
end:
  do
  :: state == ENDED -> break
  :: atomic { state == NEW -> begin() }
  :: atomic { nobody -> nobody = false;
       if :: state == ASKED || state == UNKNOWN -> on_gone() :: else fi }
     /* 2 s without TAKEN */
#ifdef MISTAKE_ASK_AGAIN_AT_SILENCE
  :: atomic { state == ASKED && !nobody && try < 2 && DUE -> ask() }
#endif
  :: atomic { state == ASKED && !nobody && DUE -> state = UNKNOWN }
#ifdef MISTAKE_CONNECT_DEADLINE_WHILE_ASKED
  :: atomic { IS_PATIENT && state == ASKED && !nobody && DUE -> finish(E404103) }
#endif
     /* the deadline */
  :: atomic { (state == UNKNOWN || state == HELD) && DUE ->
       assert(state != HELD || !SURE); finish(E504101) }
     /* the life check of the holder */
  :: atomic { state == HELD && taker != ASKER && DUE ->
#ifdef MISTAKE_RESEND_WHEN_LOST
       ask()
#else
       assert(!SURE); finish(E404104)
#endif
     }
#ifndef MISTAKE_WAIT_FOR_UP_ONLY
     /* a waiting call is asked again from time to time */
  :: atomic { state == WAITING && !last_ask && DUE -> last_ask = true; ask() }
  :: atomic { state == WAITING && last_ask && DUE ->
#else
  :: atomic { state == WAITING && DUE ->
#endif
       /* the connect time-out: the device is nowhere, if nothing was lost */
       assert(!SURE || !(is_up(0) || is_up(1) || is_up(2))); finish(E404103) }
  od
}

active proctype database() {
end:
  do
  :: atomic { claim[0] && leave[0] == 0 -> do_claim(0) }
  :: atomic { claim[1] && leave[1] == 0 -> do_claim(1) }
  :: atomic { claim[2] && leave[2] == 0 -> do_claim(2) }
  :: atomic { leave[0] != 0 -> do_leave(0) }
  :: atomic { leave[1] != 0 -> do_leave(1) }
  :: atomic { leave[2] != 0 -> do_leave(2) }
     /* the other hubs clear the rows of a hub without heartbeat */
  :: atomic { row_on && dead[row_hub] -> row_on = false }
  :: atomic { row_on && !dead[row_hub] && sweeps < SWEEPS ->
       sweeps++; row_on = false; swept[row_hub] = true }
  od
}

#define AT(h) (!alive[h] && !session[h])
#define IS_AT_REST(h, i, j) (is_up(h) && CONNECTED(h) && epoch[h] == row_epoch && \
                             row_hub == h && row_on && AT(i) && AT(j))
#define REST (IS_AT_REST(0, 1, 2) || IS_AT_REST(1, 0, 2) || IS_AT_REST(2, 0, 1) || \
              (AT(0) && AT(1) && AT(2) && !row_on))

inline connect(h) {
  connects++;
  if /* it has moved, or there is a second one with the same name */
  :: alive[0] = false; alive[1] = false; alive[2] = false
  :: true
  fi;
  arriving[h] = true;
  alive[h] = true
}

#define MAY_CONNECT(h) (connects < CONNECTS && !dead[h] && !arriving[h])

active proctype device() {
end:
  do
  :: atomic { MAY_CONNECT(0) -> connect(0) }
  :: atomic { MAY_CONNECT(1) -> used = true; connect(1) } /* 1 before 2: they are alike */
  :: atomic { MAY_CONNECT(2) && (used || CRASHES > 0) -> connect(2) }
  od
}

inline crash(h) {
  crashes++;
  dead[h] = true;
  session[h] = false;
  epoch[h] = 0;
  arriving[h] = false;
  alive[h] = false;
  running[h] = 0;
  claimed[h] = 0;
  sees[h] = false;
  if :: true :: leave[h] = 0; claim[h] = false fi
}

active proctype killer() {
end:
  do
  :: atomic { crashes < CRASHES && !dead[1] -> crash(1) }
  :: atomic { crashes < CRASHES && !dead[2] -> crash(2) }
  od
}

/* When nothing moves any more, one hub has the device and the row says so. */
active proctype rest() {
end:
  atomic { timeout && state == ENDED -> assert(REST) }
}

init {
  atomic {
    run hub(0);
    run hub(1);
    run hub(2)
  }
}

ltl call_ends { <> (state == ENDED) }
ltl one_holder { <> [] REST }
