/* bench: shared by the programs of this folder. Each prints one figure per line: `name value`. */
#ifndef UK_BENCH_H
#define UK_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t bench_now_ns(void);

/* Prints "PROGRAM: what: reason of errno" and exits with 1. */
_Noreturn void bench_die(const char *what);

/* A connected, blocking socket to 127.0.0.1. */
int bench_connect(uint16_t port);

/* The text of an HTTP request with Basic credentials, to be freed. `body` NULL: none. */
char *bench_request(const char *method, const char *path, const char *credentials, const char *body,
                    size_t *length);
/* The same with more headers, each ended by CR LF. */
char *bench_request_with(const char *method, const char *path, const char *credentials,
                         const char *headers, const char *body, size_t *length);

/* The body that produces `count` messages of `bytes` bytes, to be freed: an object for one message,
 * a list for more. */
char *bench_messages(long messages, size_t bytes);

/* The message of single produces, and how many warm up before the timing. */
#define BENCH_VALUE                                                                                \
  "one hundred bytes and so on, one hundred bytes and so on, one hundred bytes and so on, one "    \
  "hundred byte"
#define BENCH_MESSAGE "{\"value\":\"" BENCH_VALUE "\"}"
enum { BENCH_WARM_UP = 100 };

/* "MEDIAN P99" of nanoseconds, in microseconds. Sorts them. */
void bench_print_percentiles(int64_t *took, size_t count);

/* The state of a response that is arriving. Zeroed at the start of each. */
struct bench_response {
  char head[2048];
  size_t head_length; /* bytes of the head so far, with what followed it in the same read */
  size_t wanted;      /* bytes of head and body together, 0 while the head is incomplete */
  size_t received;
  int status;
};

/* Takes the next bytes. True when the response is complete. */
bool bench_response_feed(struct bench_response *response, const char *data, size_t length);

#endif
