/* old_curl.c -- preloaded into an interpreter by spec/service_names_spec.lua:
** a libcurl without asynchronous look-ups, and names of the spec's own.
**
** NAME.test is 127.0.0.1; NAME.invalid does not exist; NAME.slow waits until
** somebody has opened the FIFO in DM_SLOW for writing, and is 127.0.0.1 then.
** A look-up by libcurl itself ends the process: it would hold up the loop.
*/
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

static void *next(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found == NULL) abort();
  return found;
}

curl_version_info_data *curl_version_info(CURLversion age) {
  static curl_version_info_data answer;
  curl_version_info_data *(*real)(CURLversion) = NULL;
  *(void **)&real = next("curl_version_info");
  answer = *real(age);
  answer.features &= ~CURL_VERSION_ASYNCHDNS;
  return &answer;
}

static int ends_with(const char *name, const char *ending) {
  size_t n = strlen(name), m = strlen(ending);
  return n > m && strcmp(name + n - m, ending) == 0;
}

static void refuse_curl(const void *caller, const char *name) {
  Dl_info info;
  if (dladdr(caller, &info) == 0 || !strstr(info.dli_fname, "libcurl")) return;
  fprintf(stderr, "libcurl itself looks up '%s'\n", name);
  abort();
}

static void wait_for_writer(void) {
  const char *path = getenv("DM_SLOW");
  pthread_setname_np(pthread_self(), "slow name");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd >= 0) close(fd);
}

int getaddrinfo(const char *name, const char *service,
                const struct addrinfo *hints, struct addrinfo **found) {
  int (*real)(const char *, const char *, const struct addrinfo *,
              struct addrinfo **) = NULL;
  *(void **)&real = next("getaddrinfo");
  refuse_curl(__builtin_return_address(0), name ? name : "");
  if (name == NULL) return real(name, service, hints, found);
  if (ends_with(name, ".invalid")) return EAI_NONAME;
  if (ends_with(name, ".slow")) wait_for_writer();
  if (ends_with(name, ".slow") || ends_with(name, ".test")) name = "127.0.0.1";
  return real(name, service, hints, found);
}
