/* l_no_cluster.c -- stands for l_cluster.c in a build without libnats. */
#include "lua/l_cluster.h"

void l_cluster_open(lua_State *L) {
  (void)L;
}
