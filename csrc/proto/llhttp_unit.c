/* llhttp_unit.c -- llhttp's generated parser, for systems that ship its C
** sources and no library (Debian 12: package node-llhttp). The sources are
** found on the include path; where pkg-config knows libllhttp, this file and
** its two sisters are not built. Pure: any thread, one parser a thread.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(hidden)
#include "llhttp.h"
#include "llhttp.c"
#pragma GCC visibility pop
