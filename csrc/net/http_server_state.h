/* http_server_state.h -- an HTTP server and its connections; only for the
** server's own files. Loop thread only.
**
**   http_server          the server's life; events of streams and timers
**   http_server_request  reads requests, bodies and pipelined bytes
**   http_server_stream   streamed answers
**   http_caller          answers a caller, and ends its connection
*/
#ifndef DM_NET_HTTP_SERVER_STATE_H
#define DM_NET_HTTP_SERVER_STATE_H

#include "base/list.h"
#include "net/http_server.h"

#pragma GCC visibility push(hidden)

enum { DM_HTTP_DATE = 40 }; /* bytes of a Date line, with its NUL */

typedef enum dm_http_phase {
  DM_CALLER_IDLE,    /* between requests */
  DM_CALLER_HEADER,  /* a header block arrives, or the first is awaited */
  DM_CALLER_BODY,    /* the owner knows the request; a body may arrive */
  DM_CALLER_PASSING, /* the request is answered; its body is thrown away */
  DM_CALLER_WAITING, /* the owner has the whole request */
  DM_CALLER_STREAM,  /* the owner streams a body */
  DM_CALLER_CLOSING, /* nothing more is read */
  DM_CALLER_LEFT     /* the stream has another owner */
} dm_http_phase;

struct dm_http_server {
  dm_loop *loop;
  dm_listener *listener;
  dm_http_server_options o;
  void (*on_closed)(void *context);
  bool closed;     /* dm_http_server_close was called */
  bool stopped;    /* dm_http_server_stop was called */
  dm_ids requests; /* the callers of unanswered requests */
  dm_list callers; /* all */
  dm_buf fields;   /* of the current answer */
  int64_t date_second;
  char date[DM_HTTP_DATE]; /* "Date: ...\r\n" */
};

typedef struct dm_http_caller {
  dm_http_server *server;
  dm_list node; /* in the server's */
  dm_stream *stream;
  dm_http_reader *reader; /* owned */
  uint64_t request;       /* the unanswered one; 0: none */
  int64_t deadline;       /* of this phase; DM_NEVER: none */
  int64_t armed;          /* what the timer was started for */
  dm_timer timer;
  dm_later later; /* when pipelined bytes wait for the next turn */
  uint64_t turn;  /* of the loop, in which 'begun' requests were begun */
  dm_buf rest;    /* bytes after an unanswered request */
  size_t claimed; /* bytes that are counted for its body */
  void *notes;    /* owned; NULL: not asked for */
  uint8_t phase, begun;
  bool keep_alive, head_only;
  bool feeding; /* requests are being read */
  bool opened;  /* the handshake is done */
  bool heard;   /* a byte has come */
  bool held;    /* until the queued answers have gone out */
} dm_http_caller;

/* http_caller.c */

/* Enter a phase that may take 'ms'. */
void dm_http_caller_enter(dm_http_caller *c, dm_http_phase next, int64_t ms);

/* Count the bytes that this body needs. False: all bodies together have no room
** for them. */
bool dm_http_caller_claim(dm_http_caller *c);

/* Refuse a request ourselves; on_refused tells the owner. */
void dm_http_caller_refuse(dm_http_caller *c, int status, const char *why);

/* The Date line. */
const char *dm_http_caller_date(dm_http_server *s);

/* Get ready for the next request. It waits while the caller does not read. */
void dm_http_caller_await(dm_http_caller *c);

void dm_http_caller_close(dm_http_caller *c); /* after the queued answers */
void dm_http_caller_free(dm_http_caller *c);  /* the stream ended, or left */

/* http_server_request.c */
void dm_http_caller_take(dm_http_caller *c, dm_span bytes);
void dm_http_caller_go_on(dm_http_caller *c); /* take what was kept */

#pragma GCC visibility pop

#endif
