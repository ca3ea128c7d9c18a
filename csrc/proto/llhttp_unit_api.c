/* llhttp_unit_api.c -- llhttp's functions around the parser, as llhttp_unit.c
** takes the parser. Pure: any thread, one parser a thread.
*/
#include "api.c"
