// Waits as its first parameter says, and writes 1 if the wait was as long as it should be, otherwise 0.

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const long long WAIT = 20 * 1000 * 1000;  // ns
static const long long SECOND = 1000 * 1000 * 1000;

static long long now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * SECOND + time.tv_nsec;
}

static int waited(clockid_t clock, int flags) {
  long long end = now(clock) + WAIT;
  long long stated = flags & TIMER_ABSTIME ? end : WAIT;
  struct timespec time = {stated / SECOND, stated % SECOND};
  return clock_nanosleep(clock, flags, &time, NULL) == 0 && now(clock) >= end;
}

static int polled(int timeout, int expected) {
  struct pollfd files[] = {{.fd = 0, .events = POLLIN}, {.fd = 1, .events = POLLOUT}};
  int count = poll(files, expected, timeout);
  return count == expected && (expected == 0 || (files[0].revents & POLLIN && files[1].revents & POLLOUT));
}

int main(int count, char **words) {
  const char *how = count > 1 ? words[1] : "";
  printf("Content-Type: text/plain\n\n");
  if (!strcmp(how, "relative")) return printf("%d", waited(CLOCK_MONOTONIC, 0)) != 1;
  if (!strcmp(how, "relative-realtime")) return printf("%d", waited(CLOCK_REALTIME, 0)) != 1;
  if (!strcmp(how, "absolute")) return printf("%d", waited(CLOCK_MONOTONIC, TIMER_ABSTIME)) != 1;
  if (!strcmp(how, "absolute-realtime")) return printf("%d", waited(CLOCK_REALTIME, TIMER_ABSTIME)) != 1;
  if (!strcmp(how, "files")) return printf("%d", polled(-1, 2)) != 1;
  if (!strcmp(how, "files-or-an-hour")) return printf("%d", polled(3600 * 1000, 2)) != 1;
  if (!strcmp(how, "hour")) return sleep(3600);
  if (!strcmp(how, "hours")) for (;;) sleep(3600);
  return 1;
}
