/* instances: the server's memory for consumer instances, each in its own group on one topic.
 *
 *   instances PORT CREDENTIALS COUNT TOPIC PID
 *
 * Prints the server's resident kilobytes when all instances have joined and the topic is empty, and
 * again when the topic holds 2 MiB and each instance has read ahead as much as it may. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

enum { STABLE = 5, TOLERANCE = 200, MESSAGES = 2048 }; /* equal readings in a row; kilobytes */

static void pause_ms(long ms)
{
  struct timespec time = {ms / 1000, ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static void allow_files(rlim_t files)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < files) {
    limit.rlim_cur = limit.rlim_max < files ? limit.rlim_max : files;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

static void send_request(int fd, const char *method, const char *path, const char *credentials,
                         const char *body)
{
  size_t length;
  char *request = bench_request(method, path, credentials, body, &length);
  if (write(fd, request, length) != (ssize_t)length)
    bench_die("write");
  free(request);
}

/* True if the answer is 200 and contains the text, if any, in its first two kilobytes. */
static bool receive(int fd, const char *wanted)
{
  char data[1 << 16];
  struct bench_response response = {.status = 0};
  for (bool whole = false; !whole;) {
    ssize_t n = read(fd, data, sizeof data);
    if (n <= 0)
      bench_die("read");
    whole = bench_response_feed(&response, data, (size_t)n);
  }
  return response.status == 200 && (wanted == NULL || strstr(response.head, wanted) != NULL);
}

/* Each instance asks once, and again until it has joined. */
static void join_all(int *connections, long count, char **argv)
{
  char path[400];
  for (long i = 0; i < count; i++)
    connections[i] = bench_connect((uint16_t)atoi(argv[1]));
  for (int round = 0; round < 2; round++) {
    for (long i = 0; i < count; i++) {
      snprintf(path, sizeof path, "/consume/instances-%ld-%ld/one/%s?timeout=5000", count, i,
               argv[4]);
      send_request(connections[i], "GET", path, argv[2], NULL);
    }
    for (long i = 0; i < count; i++)
      (void)receive(connections[i], NULL);
  }
}

static long resident_kb(const char *pid)
{
  char path[64], line[256];
  long kb = -1;
  snprintf(path, sizeof path, "/proc/%s/status", pid);
  FILE *status = fopen(path, "r");
  if (!status)
    bench_die(path);
  while (fgets(line, sizeof line, status))
    sscanf(line, "VmRSS: %ld", &kb);
  fclose(status);
  return kb;
}

static long stable_kb(const char *pid)
{
  long kb = resident_kb(pid);
  for (int same = 0; same < STABLE;) {
    pause_ms(1000);
    long now = resident_kb(pid);
    same = labs(now - kb) <= TOLERANCE ? same + 1 : 0;
    kb = now;
  }
  return kb;
}

static void fill(char **argv)
{
  char path[400];
  snprintf(path, sizeof path, "/produce/%s", argv[4]);
  char *body = bench_messages(MESSAGES, 1024);
  int fd = bench_connect((uint16_t)atoi(argv[1]));
  size_t length, sent = 0;
  char *request = bench_request("POST", path, argv[2], body, &length);
  while (sent < length) {
    ssize_t n = write(fd, request + sent, length - sent);
    if (n <= 0)
      bench_die("write");
    sent += (size_t)n;
  }
  if (!receive(fd, NULL))
    bench_die("produce");
  close(fd);
  free(request);
  free(body);
}

int main(int argc, char **argv)
{
  if (argc != 6) {
    fprintf(stderr, "usage: instances PORT CREDENTIALS COUNT TOPIC PID\n");
    return 2;
  }
  long count = atol(argv[3]);
  allow_files((rlim_t)count + 64);
  int *connections = calloc((size_t)count, sizeof *connections);
  if (!connections)
    bench_die("memory");
  join_all(connections, count, argv);
  long idle = stable_kb(argv[5]);
  fill(argv);
  printf("%ld %ld\n", idle, stable_kb(argv[5]));
  free(connections);
  return 0;
}
