/* load: the same HTTP request over many concurrent kept-alive connections.
 *
 *   load PORT CREDENTIALS CONNECTIONS REQUESTS PATH MESSAGES [BYTES [SENDER]]
 *
 * Posts an array of MESSAGES messages of BYTES bytes, 100 by default, each time (one object where
 * MESSAGES is 1). With SENDER, each request has an Idempotency-Key of its own, which begins with
 * that text. Prints the requests per second; a status other than 200 ends it with 1. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench.h"

enum { NUMBER_DIGITS = 8 };

struct connection {
  int fd;
  struct bench_response response;
};

struct load {
  int epoll;
  char *request;
  size_t length;
  char *number; /* in the request's key; NULL: it has none */
  long to_send, to_receive;
};

static void send_next(struct load *load, struct connection *connection)
{
  if (load->to_send == 0)
    return;
  load->to_send--;
  long number = load->to_send;
  for (int i = NUMBER_DIGITS - 1; load->number && i >= 0; i--, number /= 10)
    load->number[i] = (char)('0' + number % 10);
  memset(&connection->response, 0, sizeof connection->response);
  for (size_t sent = 0; sent < load->length;) {
    ssize_t n = write(connection->fd, load->request + sent, load->length - sent);
    if (n < 0 && errno != EINTR)
      bench_die("write");
    if (n > 0)
      sent += (size_t)n;
  }
}

static void receive(struct load *load, struct connection *connection)
{
  char data[65536];
  ssize_t n = read(connection->fd, data, sizeof data);
  if (n <= 0)
    bench_die("read");
  if (!bench_response_feed(&connection->response, data, (size_t)n))
    return;
  if (connection->response.status != 200) {
    fprintf(stderr, "load: %.200s\n", connection->response.head);
    exit(1);
  }
  load->to_receive--;
  send_next(load, connection);
}

static void open_connections(struct load *load, struct connection *connections, long count,
                             uint16_t port)
{
  for (long i = 0; i < count; i++) {
    connections[i].fd = bench_connect(port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connections[i].fd, &event) != 0)
      bench_die("epoll");
  }
}

static void build_request(struct load *load, char **argv, const char *sender, const char *body)
{
  static const char name[] = "Idempotency-Key: ";
  char header[200] = "";
  if (sender)
    snprintf(header, sizeof header, "%s%s-%0*d\r\n", name, sender, NUMBER_DIGITS, 0);
  load->request = bench_request_with("POST", argv[5], argv[2], header, body, &load->length);
  if (sender)
    load->number = strstr(load->request, name) + strlen(name) + strlen(sender) + 1;
}

int main(int argc, char **argv)
{
  if (argc < 7 || argc > 9) {
    fprintf(stderr,
            "usage: load PORT CREDENTIALS CONNECTIONS REQUESTS PATH MESSAGES [BYTES [SENDER]]\n");
    return 2;
  }
  long count = atol(argv[3]), requests = atol(argv[4]);
  struct load load = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
  char *body = bench_messages(atol(argv[6]), argc >= 8 ? (size_t)atol(argv[7]) : 100);
  build_request(&load, argv, argc == 9 ? argv[8] : NULL, body);
  load.to_send = load.to_receive = requests;
  struct connection *connections = calloc((size_t)count, sizeof *connections);
  if (load.epoll < 0 || !connections)
    bench_die("memory");
  open_connections(&load, connections, count, (uint16_t)atoi(argv[1]));

  int64_t start = bench_now_ns();
  for (long i = 0; i < count; i++)
    send_next(&load, &connections[i]);
  while (load.to_receive > 0) {
    struct epoll_event events[64];
    int ready = epoll_wait(load.epoll, events, 64, 30000);
    if (ready == 0)
      errno = ETIMEDOUT;
    if (ready <= 0)
      bench_die("epoll_wait");
    for (int i = 0; i < ready; i++)
      receive(&load, events[i].data.ptr);
  }
  double seconds = (double)(bench_now_ns() - start) / 1e9;
  printf("%.1f\n", (double)requests / seconds);
  free(connections);
  free(load.request);
  free(body);
  return 0;
}
