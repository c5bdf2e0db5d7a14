#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base64.h"

int64_t bench_now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_die(const char *what)
{
  fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
  exit(1);
}

int bench_connect(uint16_t port)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
    bench_die("connect");
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

char *bench_request_with(const char *method, const char *path, const char *credentials,
                         const char *headers, const char *body, size_t *length)
{
  size_t secret = strlen(credentials);
  char *encoded = calloc(1, uk_base64_encoded_size(secret) + 1);
  if (!encoded)
    bench_die("memory");
  uk_base64_encode(encoded, credentials, secret);

  char *text;
  int printed = asprintf(&text,
                         "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic %s\r\n"
                         "%sContent-Length: %zu\r\n\r\n%s",
                         method, path, encoded, headers, body ? strlen(body) : 0, body ? body : "");
  if (printed < 0)
    bench_die("memory");
  free(encoded);
  *length = (size_t)printed;
  return text;
}

char *bench_request(const char *method, const char *path, const char *credentials, const char *body,
                    size_t *length)
{
  return bench_request_with(method, path, credentials, "", body, length);
}

static int by_size(const void *a, const void *b)
{
  int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
  return (one > other) - (one < other);
}

void bench_print_percentiles(int64_t *took, size_t count)
{
  qsort(took, count, sizeof *took, by_size);
  printf("%.0f %.0f\n", (double)took[count / 2] / 1e3, (double)took[count * 99 / 100] / 1e3);
}

/* Reads status and length once the head is whole. */
static void read_head(struct bench_response *response)
{
  response->head[response->head_length] = '\0';
  const char *end = strstr(response->head, "\r\n\r\n");
  if (!end)
    return;
  const char *field = strcasestr(response->head, "\r\ncontent-length:");
  if (sscanf(response->head, "HTTP/1.1 %d", &response->status) != 1 || !field || field > end) {
    errno = EPROTO;
    bench_die("response head");
  }
  response->wanted = (size_t)(end + 4 - response->head) + strtoul(field + 17, NULL, 10);
}

bool bench_response_feed(struct bench_response *response, const char *data, size_t length)
{
  response->received += length;
  if (response->wanted == 0) {
    size_t room = sizeof response->head - 1 - response->head_length;
    size_t taken = length < room ? length : room;
    memcpy(response->head + response->head_length, data, taken);
    response->head_length += taken;
    read_head(response);
  }
  return response->wanted > 0 && response->received >= response->wanted;
}

char *bench_messages(long messages, size_t bytes)
{
  char value[8192];
  bytes = bytes < sizeof value ? bytes : sizeof value - 1;
  memset(value, 'x', bytes);
  value[bytes] = '\0';
  if (messages == 1) {
    char *one;
    if (asprintf(&one, "{\"value\":\"%s\"}", value) < 0)
      bench_die("memory");
    return one;
  }
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out)
    bench_die("memory");
  for (long i = 0; i < messages; i++)
    fprintf(out, "%s{\"value\":\"%s\"}", i ? "," : "[", value);
  fputc(']', out);
  if (fclose(out) != 0)
    bench_die("memory");
  return text;
}
