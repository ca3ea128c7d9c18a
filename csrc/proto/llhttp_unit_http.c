/* llhttp_unit_http.c -- llhttp's rules about the end of a message, as
** llhttp_unit.c takes the parser. Pure: any thread, one parser a thread.
*/
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC visibility push(hidden)
#include "llhttp.h"
#include "http.c"
#pragma GCC visibility pop
