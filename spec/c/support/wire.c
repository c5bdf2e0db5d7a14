#include "wire.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "check.h"

char wire_answer[WIRE_ANSWER_SIZE];

int wire_connect(const char *address)
{
  const struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const struct timeval patience = {.tv_sec = WIRE_PATIENCE};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  CHECK(connect(fd, (const struct sockaddr *)&to, sizeof to) == 0);
  return fd;
}

int wire_connect_without_waiting(const char *address)
{
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1)),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  (void)!connect(fd, (const struct sockaddr *)&to, sizeof to);
  return fd;
}

bool wire_is_connected(int fd)
{
  struct sockaddr_in peer;
  socklen_t length = sizeof peer;
  return getpeername(fd, (struct sockaddr *)&peer, &length) == 0;
}

unsigned wire_waiting(int listener)
{
  struct tcp_info info = {0};
  socklen_t length = sizeof info;
  CHECK(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &length) == 0);
  return info.tcpi_unacked; /* of a listening socket: the length of its queue */
}

void wire_send(int fd, const char *text)
{
  CHECK_EQ_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), (long long)strlen(text));
}

size_t wire_length(const char *head)
{
  static const char name[] = "\r\nContent-Length: ";
  const char *length = strstr(head, name);
  return length != NULL ? (size_t)atol(length + strlen(name)) : 0;
}

static const char *body_of_answer(void)
{
  const char *blank = strstr(wire_answer, "\r\n\r\n");
  return blank != NULL ? blank + 4 : NULL;
}

/* Reads more of the answer; false at its end. */
static bool read_on(int fd, size_t *length)
{
  ssize_t got = recv(fd, wire_answer + *length, WIRE_ANSWER_SIZE - 1 - *length, 0);
  *length += got > 0 ? (size_t)got : 0;
  wire_answer[*length] = '\0';
  return got > 0;
}

const char *wire_receive(int fd, bool has_body)
{
  size_t length = 0;
  wire_answer[0] = '\0';
  for (;;) {
    const char *body = body_of_answer();
    size_t rest = body != NULL && has_body ? wire_length(wire_answer) : 0;
    if (body != NULL && length >= (size_t)(body - wire_answer) + rest)
      return body;
    if (!read_on(fd, &length))
      return "";
  }
}

const char *wire_receive_all(int fd)
{
  size_t length = 0;
  while (read_on(fd, &length))
    continue;
  CHECK(length < WIRE_ANSWER_SIZE - 1);
  const char *body = body_of_answer();
  return body != NULL ? body : "";
}

const char *wire_ask(const char *address, const char *request)
{
  int fd = wire_connect(address);
  wire_send(fd, request);
  const char *body = wire_receive_all(fd);
  close(fd);
  return body;
}

bool wire_has_status(int status)
{
  char start[32];
  snprintf(start, sizeof start, "HTTP/1.1 %d ", status);
  bool has = strncmp(wire_answer, start, strlen(start)) == 0;
  if (!has)
    fprintf(stderr, "  %s\n", wire_answer);
  return has;
}

bool wire_is_closed(int fd)
{
  char byte;
  return recv(fd, &byte, 1, 0) == 0;
}
