/* llhttp_unit_api.c -- includes llhttp's functions around the parser, as
** llhttp_unit.c includes the parser. Pure: any thread, one parser for each
** thread.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(hidden)
#include "llhttp.h"
#include "api.c"
#pragma GCC visibility pop
