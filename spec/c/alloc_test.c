/* alloc_test.c -- what allocates in base and proto, with one allocation after
** another failing: it says so, keeps what it had, and works again later. The
** sanitized run tells that nothing is lost. Linked with --wrap.
*/
#include "check.h"

#include "base/buf.h"
#include "base/heap.h"
#include "base/ids.h"
#include "proto/pending.h"
#include "proto/http_message.h"

static long until; /* allocations until one fails; 0: none is to fail */
static bool failed;

static bool fails(void) {
  if (until == 0 || --until > 0) return false;
  failed = true;
  return true;
}

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n) {
  return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size) {
  return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n) {
  return fails() ? NULL : __real_realloc(p, n);
}

/* Run it with its first, second, ... allocation failing until none does; how
** many failed. It returns whether all went well, which it may with a failure
** too if it can do without the memory. */
static int each_failing(bool (*run)(void), bool can_do_without) {
  for (int n = 1;; n++) {
    until = n;
    failed = false;
    bool done = run();
    until = 0;
    CHECK(done || failed);
    CHECK(!done || !failed || can_do_without);
    if (!failed) return n - 1;
  }
}

static bool fill_buf(void) {
  static char piece[1000];
  dm_buf b;
  bool done = true;
  dm_buf_init(&b, 100000);
  for (int i = 0; i < 50; i++) {
    size_t before = b.len;
    bool added = i % 2 ? dm_buf_add(&b, piece, sizeof piece)
                       : dm_buf_addf(&b, "%01000d", i);
    CHECK(b.len == before + (added ? sizeof piece : 0));
    done = done && added;
  }
  CHECK(b.len >= 49 * sizeof piece); /* it went on after the failure */
  dm_buf_clear(&b);
  return done;
}

static void test_buf(void) {
  CHECK(each_failing(fill_buf, false) >= 3);
}

static bool fill_ids(void) {
  enum { N = 200 };
  static int value[N];
  uint64_t id[N];
  dm_ids t;
  bool done = true;
  dm_ids_init(&t, 1000);
  for (int i = 0; i < N; i++) {
    id[i] = dm_ids_add(&t, &value[i]);
    if (id[i] == 0) {
      done = false;
      id[i] = dm_ids_add(&t, &value[i]);
    }
    CHECK(t.count == (uint32_t)i + 1);
  }
  for (int i = 0; i < N; i++)
    CHECK(dm_ids_remove(&t, id[i]) == &value[i]);
  dm_ids_clear(&t);
  return done;
}

static void test_ids(void) {
  CHECK(each_failing(fill_ids, false) >= 3);
}

static bool fill_heap(void) {
  enum { N = 200 };
  static dm_heap_node node[N];
  dm_heap h;
  bool done = true;
  dm_heap_init(&h, N);
  for (int i = 0; i < N; i++) {
    node[i].place = 0;
    bool added = dm_heap_insert(&h, &node[i], N - i);
    CHECK((node[i].place != 0) == added);
    if (!added) CHECK(dm_heap_insert(&h, &node[i], N - i));
    done = done && added;
    CHECK(dm_heap_first(&h) == &node[i]);
  }
  dm_heap_clear(&h);
  return done;
}

static void test_heap(void) {
  CHECK(each_failing(fill_heap, false) >= 3);
}

static bool make_calls(void) {
  enum { N = 100 };
  dm_pending_call call[N] = {0};
  char rid[DM_RID_TEXT];
  dm_pending t;
  bool done = true;
  dm_pending_init(&t, N);
  for (uint32_t i = 0; i < N; i++) {
    if (!dm_pending_wait(&t, &call[i], i)) {
      done = false;
      CHECK(dm_pending_wait(&t, &call[i], i));
    }
    if (!dm_pending_send(&t, &call[i], 1, i + 1, 1000 + i)) {
      done = false;
      CHECK(call[i].connection == 0);
      CHECK(dm_pending_send(&t, &call[i], 1, i + 1, 1000 + i));
    }
  }
  for (uint32_t i = 0; i < N; i++) {
    dm_rid_write(rid, i + 1);
    CHECK(dm_pending_find(&t, 1, dm_span_of(rid)) == &call[i]);
    dm_pending_remove(&t, &call[i]);
  }
  CHECK(dm_pending_count(&t) == 0);
  dm_pending_clear(&t);
  return done;
}

static void test_calls(void) {
  CHECK(each_failing(make_calls, true) >= 3);
}

static const dm_http_limits LIMITS = {8192, 16384, 20, 65536};

/* A request with a body in two chunks, and then one with a length, fed in
** pieces of seven bytes. */
static void write_requests(dm_buf *out) {
  static char text[3000];
  memset(text, 'a', sizeof text);
  dm_buf_addf(out, "POST /%.2500s HTTP/1.1\r\nHost: h\r\nA: %.2900s\r\n", text,
              text);
  dm_buf_addf(out, "Transfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 2; i++)
    dm_buf_addf(out, "%x\r\n%.3000s\r\n", 3000, text);
  dm_buf_addf(out,
              "0\r\n\r\nPUT / HTTP/1.1\r\nHost: h\r\n"
              "Content-Length: 3000\r\n\r\n%.3000s",
              text);
}

static dm_http_state read_one(dm_http_reader *r, dm_span *in) {
  dm_http_state state = DM_HTTP_MORE;
  while (in->n > 0 && state != DM_HTTP_BAD && state != DM_HTTP_COMPLETE) {
    size_t used = 0;
    dm_span piece = {in->p, in->n < 7 ? in->n : 7};
    state = dm_http_reader_feed(r, piece, &used);
    in->p += used;
    in->n -= used;
  }
  return state;
}

static bool read_requests(void) {
  static char memory[16384];
  dm_buf bytes = dm_buf_fixed(memory, sizeof memory);
  const char *why = NULL;
  write_requests(&bytes);
  dm_http_reader *r = dm_http_reader_new(&LIMITS);
  if (r == NULL) return false;
  dm_span in = dm_buf_span(&bytes);
  dm_http_state state = read_one(r, &in);
  if (state == DM_HTTP_COMPLETE) {
    CHECK(dm_http_reader_request(r)->body.n == 6000);
    dm_http_reader_next(r);
    state = read_one(r, &in);
  }
  if (state == DM_HTTP_COMPLETE)
    CHECK(dm_http_reader_request(r)->body.n == 3000);
  else
    CHECK(state == DM_HTTP_BAD && dm_http_reader_status(r, &why) == 503);
  dm_http_reader_free(r);
  return state == DM_HTTP_COMPLETE;
}

static void test_http_message(void) {
  CHECK(each_failing(read_requests, false) >= 4);
}

int main(void) {
  RUN(test_buf);
  RUN(test_ids);
  RUN(test_heap);
  RUN(test_calls);
  RUN(test_http_message);
  return check_done();
}
