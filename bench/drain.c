/* drain: one consumer instance that reads a topic from its beginning, as fast as it is answered.
 *
 *   drain PORT CREDENTIALS GROUP TOPIC MESSAGES
 *
 * Prints the messages a second, from the first request on; anything but status 200 ends it with 1. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

static const char mark[] = "\"offset\":"; /* stands once in each message */
enum { MARK = sizeof mark - 1 };

/* How many messages came with `length` bytes at data + MARK; what may be the beginning of a mark is moved in front. */
static long count_messages(char *data, size_t length)
{
  const char *at = data, *end = data + MARK + length;
  long count = 0;
  while ((at = memmem(at, (size_t)(end - at), mark, MARK)) != NULL) {
    count++;
    at += MARK;
  }
  memmove(data + 1, end - (MARK - 1), MARK - 1);
  return count;
}

static long ask(int fd, const char *request, size_t request_length)
{
  static char data[MARK + (1 << 18)];
  struct bench_response response = {.status = 0};
  long count = 0;
  memset(data, 0, MARK);
  if (write(fd, request, request_length) != (ssize_t)request_length)
    bench_die("write");
  for (bool whole = false; !whole;) {
    ssize_t n = read(fd, data + MARK, sizeof data - MARK);
    if (n <= 0)
      bench_die("read");
    whole = bench_response_feed(&response, data + MARK, (size_t)n);
    count += count_messages(data, (size_t)n);
  }
  if (response.status == 200)
    return count;
  fprintf(stderr, "drain: %.300s\n", response.head);
  exit(1);
}

int main(int argc, char **argv)
{
  if (argc != 6) {
    fprintf(stderr, "usage: drain PORT CREDENTIALS GROUP TOPIC MESSAGES\n");
    return 2;
  }
  char path[400];
  size_t length;
  long wanted = atol(argv[5]), got = 0;
  snprintf(path, sizeof path, "/consume/%s/one/%s?timeout=10000&max_messages=10000", argv[3],
           argv[4]);
  char *request = bench_request_with("GET", path, argv[2], "Kafka-Auto-Offset-Reset: earliest\r\n",
                                     NULL, &length);
  int fd = bench_connect((uint16_t)atoi(argv[1]));
  int64_t start = bench_now_ns();
  while (got < wanted)
    got += ask(fd, request, length);
  printf("%.1f\n", (double)got / ((double)(bench_now_ns() - start) / 1e9));
  free(request);
  return 0;
}
