/* llhttp_unit_http.c -- includes llhttp's rules for the end of a message, as
** llhttp_unit.c includes the parser. Pure: any thread, one parser for each
** thread.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(hidden)
#include "llhttp.h"
#include "http.c"
#pragma GCC visibility pop
