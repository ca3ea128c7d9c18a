/* table_test.c -- a table of objects by their bytes. */
#include "check.h"

#include "cluster/table.h"

enum { MANY = 1000 };

typedef struct item {
  dm_table_node node;
  char key[16];
} item;

static void test_few(void) {
  dm_table t = {0};
  item a = {.node.key = DM_SPAN("a")}, b = {.node.key = DM_SPAN("b")};
  uint32_t chain = 0;
  CHECK(dm_table_find(&t, DM_SPAN("a")) == NULL);
  CHECK(dm_table_first(&t, &chain) == NULL);
  CHECK(dm_table_add(&t, &a.node) && dm_table_add(&t, &b.node));
  CHECK(dm_table_find(&t, DM_SPAN("a")) == &a.node);
  CHECK(dm_table_find(&t, DM_SPAN("b")) == &b.node);
  CHECK(dm_table_find(&t, DM_SPAN("ab")) == NULL);
  CHECK(dm_table_find(&t, DM_SPAN("")) == NULL);
  dm_table_remove(&t, &a.node);
  CHECK(dm_table_find(&t, DM_SPAN("a")) == NULL);
  CHECK(dm_table_first(&t, &chain) == &b.node && t.count == 1);
  dm_table_remove(&t, &b.node);
  CHECK(dm_table_first(&t, &chain) == NULL);
  dm_table_clear(&t);
}

static void test_many(void) {
  static item items[MANY];
  dm_table t = {0};
  for (int i = 0; i < MANY; i++) {
    int n = snprintf(items[i].key, sizeof items[i].key, "device-%d", i);
    items[i].node.key = (dm_span){items[i].key, (size_t)n};
    CHECK(dm_table_add(&t, &items[i].node));
  }
  for (int i = 0; i < MANY; i += 2)
    dm_table_remove(&t, &items[i].node);
  CHECK(t.count == MANY / 2);
  for (int i = 0; i < MANY; i++) {
    dm_table_node *found = dm_table_find(&t, items[i].node.key);
    CHECK(found == (i % 2 ? &items[i].node : NULL));
  }
  uint32_t chain = 0, removed = 0;
  dm_table_node *n;
  for (; (n = dm_table_first(&t, &chain)) != NULL; removed++)
    dm_table_remove(&t, n);
  CHECK(removed == MANY / 2 && t.count == 0 && chain == t.chains);
  dm_table_clear(&t);
  CHECK(dm_table_find(&t, items[1].node.key) == NULL);
}

int main(void) {
  RUN(test_few);
  RUN(test_many);
  return check_done();
}
