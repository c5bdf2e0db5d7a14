/* drain: consumer instances of one group, each on its own connection, read a topic from its
 * beginning as fast as the server answers.
 *
 *   drain PORT CREDENTIALS GROUP TOPIC MESSAGES [INSTANCES]
 *
 * Prints the messages per second after each instance, one by default, has joined and got its first
 * message. A status other than 200, or an answer without messages, ends it with 1. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench.h"

enum { INSTANCES_MAX = 64, JOIN_TRIES = 60 };

struct instance {
  int fd;
  char *request; /* once it has joined */
  size_t request_length;
  struct bench_response response;
  long count; /* messages of this response so far */
};

struct drain {
  int epoll;
  char **arguments;
  long count;
  struct instance instances[INSTANCES_MAX];
};

/* Benchmark messages contain no brace and have no headers, so there is one opening brace per
 * message. Counting must be fast, because it uses the server's processors. */
static long count_messages(const char *data, size_t length)
{
  const char *end = data + length;
  long count = 0;
  while ((data = memchr(data, '{', (size_t)(end - data))) != NULL) {
    count++;
    data++;
  }
  return count;
}

static void send_request(struct instance *instance, const char *request, size_t length)
{
  instance->response = (struct bench_response){.status = 0};
  instance->count = 0;
  if (write(instance->fd, request, length) != (ssize_t)length)
    bench_die("write");
}

/* True when the answer is complete. */
static bool receive(struct instance *instance)
{
  static char data[1 << 18];
  ssize_t n = read(instance->fd, data, sizeof data);
  if (n <= 0)
    bench_die("read");
  instance->count += count_messages(data, (size_t)n);
  return bench_response_feed(&instance->response, data, (size_t)n);
}

static void check_messages(const struct instance *instance)
{
  if (instance->response.status == 200 && instance->count > 0)
    return;
  fprintf(stderr, "drain: an answer without messages: %.300s\n", instance->response.head);
  exit(1);
}

static char *make_request(const struct drain *drain, long index, long most, size_t *length)
{
  char path[400];
  snprintf(path, sizeof path, "/consume/%s/%ld/%s?timeout=30000&max_messages=%ld",
           drain->arguments[3], index, drain->arguments[4], most);
  return bench_request_with("GET", path, drain->arguments[2],
                            "Kafka-Auto-Offset-Reset: earliest\r\n", NULL, length);
}

/* The first group of a new cluster has no coordinator until the cluster has made the topic of
 * committed offsets; until then it gets a 503. */
static void await_first(struct instance *instance, const char *request, size_t length)
{
  for (int tries = 0; tries < JOIN_TRIES; tries++) {
    while (!receive(instance))
      continue;
    if (instance->response.status != 503)
      break;
    sleep(1);
    send_request(instance, request, length);
  }
  check_messages(instance);
}

/* All ask for one message at once, until the group has given each a partition. */
static void join(struct drain *drain)
{
  char *first[INSTANCES_MAX];
  size_t length[INSTANCES_MAX];
  for (long i = 0; i < drain->count; i++) {
    struct instance *instance = &drain->instances[i];
    first[i] = make_request(drain, i, 1, &length[i]);
    instance->request = make_request(drain, i, 10000, &instance->request_length);
    instance->fd = bench_connect((uint16_t)atoi(drain->arguments[1]));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = instance};
    if (epoll_ctl(drain->epoll, EPOLL_CTL_ADD, instance->fd, &event) != 0)
      bench_die("epoll");
    send_request(instance, first[i], length[i]);
  }
  for (long i = 0; i < drain->count; i++) {
    await_first(&drain->instances[i], first[i], length[i]);
    free(first[i]);
  }
}

/* Reads from one connection and asks for more. Returns the messages of an answer that is now
 * complete. */
static long go_on(struct instance *instance)
{
  if (!receive(instance))
    return 0;
  long count = instance->count;
  check_messages(instance);
  send_request(instance, instance->request, instance->request_length);
  return count;
}

static double messages_a_second(struct drain *drain, long wanted)
{
  int64_t start = bench_now_ns();
  long got = 0;
  for (long i = 0; i < drain->count; i++)
    send_request(&drain->instances[i], drain->instances[i].request,
                 drain->instances[i].request_length);
  while (got < wanted) {
    struct epoll_event events[INSTANCES_MAX];
    int ready = epoll_wait(drain->epoll, events, INSTANCES_MAX, -1);
    if (ready < 0)
      bench_die("epoll_wait");
    for (int i = 0; i < ready; i++)
      got += go_on(events[i].data.ptr);
  }
  return (double)got / ((double)(bench_now_ns() - start) / 1e9);
}

/* A request that still waits would cost the server time in the next round. */
static void leave(struct drain *drain)
{
  for (long i = 0; i < drain->count; i++) {
    struct instance *instance = &drain->instances[i];
    char path[400];
    size_t length;
    snprintf(path, sizeof path, "/delete-consumer/%s/%ld", drain->arguments[3], i);
    char *request = bench_request("DELETE", path, drain->arguments[2], NULL, &length);
    close(instance->fd);
    instance->fd = bench_connect((uint16_t)atoi(drain->arguments[1]));
    send_request(instance, request, length);
    while (!receive(instance))
      continue;
    close(instance->fd);
    free(request);
    free(instance->request);
  }
}

int main(int argc, char **argv)
{
  static struct drain drain;
  drain.count = argc == 7 ? atol(argv[6]) : 1;
  if (argc < 6 || argc > 7 || drain.count < 1 || drain.count > INSTANCES_MAX) {
    fprintf(stderr, "usage: drain PORT CREDENTIALS GROUP TOPIC MESSAGES [INSTANCES]\n");
    return 2;
  }
  drain.arguments = argv;
  drain.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (drain.epoll < 0)
    bench_die("epoll");
  join(&drain);
  printf("%.1f\n", messages_a_second(&drain, atol(argv[5]) - drain.count));
  leave(&drain);
  close(drain.epoll);
  return 0;
}
