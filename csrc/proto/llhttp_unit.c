/* llhttp_unit.c -- includes llhttp's generated parser, for systems that have
** its C sources and no library (Debian 12: package node-llhttp). The sources
** are found on the include path. Where pkg-config knows libllhttp, this file
** and the other two are not built. Pure: any thread, one parser for each
** thread.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(hidden)
#include "llhttp.h"
#include "llhttp.c"
#pragma GCC visibility pop
