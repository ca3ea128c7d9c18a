/* version.h -- the version of this library. Every other place that has it must
** agree: build-aux/version.lua checks and changes them.
*/
#ifndef DM_BASE_VERSION_H
#define DM_BASE_VERSION_H

#pragma GCC visibility push(hidden)

#define DM_VERSION "0.1.0"

#pragma GCC visibility pop

#endif
