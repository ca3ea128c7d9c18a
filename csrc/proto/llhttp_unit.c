/* llhttp_unit.c -- llhttp's C sources as one unit, for systems that ship the
** sources and no library (Debian 12: package node-llhttp). They are found on
** the include path; where pkg-config knows libllhttp this file is not built.
** Pure: any thread, one parser a thread.
*/
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#endif

#include "llhttp.c"

#undef CALLBACK_MAYBE
#include "api.c"
#include "http.c"
