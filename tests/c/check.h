// What the tests in C state. A check that fails is printed with its line and counted; the
// program goes on, and main returns whether any failed.
#ifndef MINNORM_TESTS_CHECK_H
#define MINNORM_TESTS_CHECK_H

#include <math.h>
#include <minnorm.h>
#include <stdio.h>
#include <string.h>

static int failures = 0;

#define CHECK(condition) check((condition), __FILE__, __LINE__, #condition)
// The call succeeds.
#define OK(call) check_status((call), MINNORM_OK, "", __FILE__, __LINE__, #call)
// The call is refused with this status and a message that contains `text`.
#define REFUSED(status, text, call) \
  check_status((call), (status), (text), __FILE__, __LINE__, #call)

static inline void check(int holds, const char* file, int line, const char* text) {
  if (holds) return;
  ++failures;
  printf("%s:%d: %s\n", file, line, text);
}

static inline void check_status(minnorm_status came, minnorm_status expected, const char* text,
                                const char* file, int line, const char* call) {
  if (came == expected && (came == MINNORM_OK || strstr(minnorm_message(), text))) return;
  ++failures;
  printf("%s:%d: %s\n  expected status %d and a message with \"%s\", got %d: %s\n", file, line,
         call, (int)expected, text, (int)came, minnorm_message());
}

// Entries without a pattern that a fit would notice, the same on every machine.
static inline double entry(unsigned i) {
  i = (i + 1u) * 2654435761u;
  i = (i ^ (i >> 15)) * 2246822519u;
  return (double)((i ^ (i >> 13)) >> 8) / 8388608.0 - 1.0;
}

#endif
