/* waiting: many concurrent waiting consumes, each in its own group, then one message for all.
 *
 *   waiting PORT CREDENTIALS CONSUMES TOPIC PID
 *
 * Prints the server's threads and resident kilobytes while all wait, and the milliseconds from the
 * produce to the last answer. Any answer without the message ends it with 1. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

struct consume {
  int fd;
  struct bench_response response;
};

static void status_of(const char *pid, const char *field, long *value)
{
  char path[64], line[256], pattern[32];
  snprintf(path, sizeof path, "/proc/%s/status", pid);
  snprintf(pattern, sizeof pattern, "%s: %%ld", field);
  FILE *status = fopen(path, "r");
  if (!status)
    bench_die(path);
  while (fgets(line, sizeof line, status))
    sscanf(line, pattern, value);
  fclose(status);
}

static void allow_files(rlim_t files)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    bench_die("getrlimit");
  limit.rlim_cur = files;
  if (limit.rlim_max < files)
    limit.rlim_max = files;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    bench_die("open files");
}

static void start_consume(struct consume *consume, int epoll, long number, char **argv)
{
  char path[400];
  size_t length;
  snprintf(path, sizeof path, "/consume/waiting-%ld/one/%s?timeout=60000", number, argv[4]);
  char *request = bench_request("GET", path, argv[2], NULL, &length);
  consume->fd = bench_connect((uint16_t)atoi(argv[1]));
  if (write(consume->fd, request, length) != (ssize_t)length)
    bench_die("write");
  free(request);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = consume};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, consume->fd, &event) != 0)
    bench_die("epoll");
}

static void produce(char **argv)
{
  char path[400], answer[1024];
  size_t length;
  snprintf(path, sizeof path, "/produce/%s", argv[4]);
  char *request = bench_request("POST", path, argv[2], "{\"value\":\"all of you\"}", &length);
  int fd = bench_connect((uint16_t)atoi(argv[1]));
  if (write(fd, request, length) != (ssize_t)length || read(fd, answer, sizeof answer) < 12 ||
      strncmp(answer + 9, "200", 3) != 0)
    bench_die("produce");
  free(request);
  close(fd);
}

/* True when this consume is answered, with the message. */
static bool receive(struct consume *consume)
{
  char data[4096];
  ssize_t n = read(consume->fd, data, sizeof data);
  if (n <= 0)
    bench_die("read");
  if (!bench_response_feed(&consume->response, data, (size_t)n))
    return false;
  if (consume->response.status != 200 || !strstr(consume->response.head, "all of you")) {
    fprintf(stderr, "waiting: %s\n", consume->response.head);
    exit(1);
  }
  return true;
}

static void receive_all(int epoll, long count)
{
  while (count > 0) {
    struct epoll_event events[256];
    int ready = epoll_wait(epoll, events, 256, 30000);
    if (ready == 0)
      errno = ETIMEDOUT;
    if (ready <= 0)
      bench_die("epoll_wait");
    for (int i = 0; i < ready; i++)
      count -= receive(events[i].data.ptr);
  }
}

int main(int argc, char **argv)
{
  if (argc != 6) {
    fprintf(stderr, "usage: waiting PORT CREDENTIALS CONSUMES TOPIC PID\n");
    return 2;
  }
  long count = atol(argv[3]), threads = 0, kilobytes = 0;
  allow_files((rlim_t)count + 64);
  struct consume *consumes = calloc((size_t)count, sizeof *consumes);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (!consumes || epoll < 0)
    bench_die("memory");
  for (long i = 0; i < count; i++)
    start_consume(&consumes[i], epoll, i, argv);

  struct timespec settle = {2, 0};
  nanosleep(&settle, NULL);
  status_of(argv[5], "Threads", &threads);
  status_of(argv[5], "VmRSS", &kilobytes);
  int64_t start = bench_now_ns();
  produce(argv);
  receive_all(epoll, count);
  printf("%ld %ld %.1f\n", threads, kilobytes, (double)(bench_now_ns() - start) / 1e6);
  free(consumes);
  return 0;
}
