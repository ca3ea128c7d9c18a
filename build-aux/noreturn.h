/* noreturn.h -- tells clang's analyzer what Lua's headers do not say: these
** calls never return. Only `make tidy` includes it.
*/
struct lua_State;
int lua_error(struct lua_State *L) __attribute__((analyzer_noreturn));
int luaL_error(struct lua_State *L, const char *fmt, ...)
    __attribute__((analyzer_noreturn));
int luaL_argerror(struct lua_State *L, int arg, const char *text)
    __attribute__((analyzer_noreturn));
int luaL_typeerror(struct lua_State *L, int arg, const char *name)
    __attribute__((analyzer_noreturn));
