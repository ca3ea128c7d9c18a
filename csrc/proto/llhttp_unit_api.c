/* llhttp_unit_api.c -- llhttp's functions around the parser, as llhttp_unit.c
** takes the parser. Pure: any thread, one parser a thread.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(hidden)
#include "llhttp.h"
#include "api.c"
#pragma GCC visibility pop
