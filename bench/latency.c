/* latency: one produce after another over one kept-alive connection.
 *
 *   latency PORT CREDENTIALS TOPIC REQUESTS
 *
 * Prints the median and the 99th percentile in microseconds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"

static void ask(int fd, const char *request, size_t length)
{
  char data[4096];
  struct bench_response response = {.status = 0};
  if (write(fd, request, length) != (ssize_t)length)
    bench_die("write");
  for (bool whole = false; !whole;) {
    ssize_t n = read(fd, data, sizeof data);
    if (n <= 0)
      bench_die("read");
    whole = bench_response_feed(&response, data, (size_t)n);
  }
  if (response.status == 200)
    return;
  fprintf(stderr, "latency: %.300s\n", response.head);
  exit(1);
}

int main(int argc, char **argv)
{
  if (argc != 5) {
    fprintf(stderr, "usage: latency PORT CREDENTIALS TOPIC REQUESTS\n");
    return 2;
  }
  char path[400];
  size_t length, count = (size_t)atol(argv[4]);
  snprintf(path, sizeof path, "/produce/%s", argv[3]);
  char *request = bench_request("POST", path, argv[2], BENCH_MESSAGE, &length);
  int fd = bench_connect((uint16_t)atoi(argv[1]));
  int64_t *took = calloc(count, sizeof *took);
  if (took == NULL)
    bench_die("memory");
  for (int i = 0; i < BENCH_WARM_UP; i++)
    ask(fd, request, length);
  for (size_t i = 0; i < count; i++) {
    int64_t start = bench_now_ns();
    ask(fd, request, length);
    took[i] = bench_now_ns() - start;
  }
  bench_print_percentiles(took, count);
  free(took);
  free(request);
  return 0;
}
