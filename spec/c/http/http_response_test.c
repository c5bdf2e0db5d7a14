/* for: http_response.c
 *
 * The reply that the server writes itself, where the library closes the connection. */
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "server/http/http_response.h"

/* Writes the reply and reads it back. */
static void write_and_read(const struct uk_request *request, char *out, size_t size)
{
  int sockets[2];
  out[0] = '\0';
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
  uk_http_write_response(sockets[0], request);
  close(sockets[0]);
  size_t length = 0;
  ssize_t got;
  while (length + 1 < size && (got = read(sockets[1], out + length, size - length - 1)) > 0)
    length += (size_t)got;
  out[length] = '\0';
  close(sockets[1]);
}

/* A reply's head may be UK_REPLY_HEAD_BYTES, in one header or in many. */
static void writes_every_header(void)
{
  static char out[8 * UK_REPLY_HEAD_BYTES], longest[UK_REPLY_HEAD_BYTES + 1];
  struct uk_request request = {.method = UK_GET, .status = 200};
  memset(longest, 'v', UK_REPLY_HEAD_BYTES);
  uk_buffer_init(&request.reply, 100);
  CHECK_EQ_INT(uk_buffer_append_text(&request.reply, "[]"), UK_OK);
  uk_request_add_header(&request, "A", "1");
  uk_request_add_header(&request, "Kafka-Commit-Skipped", longest);
  uk_request_add_header(&request, "Z", "26");
  write_and_read(&request, out, sizeof out);
  const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                      "Connection: close\r\nX-Content-Type-Options: nosniff\r\n"
                      "Cache-Control: no-store\r\nA: 1\r\nKafka-Commit-Skipped: ";
  CHECK(strncmp(out, head, strlen(head)) == 0);
  CHECK(strncmp(out + strlen(head), longest, UK_REPLY_HEAD_BYTES) == 0);
  CHECK_EQ_STR(out + strlen(head) + UK_REPLY_HEAD_BYTES, "\r\nZ: 26\r\n\r\n[]");
  request.method = UK_HEAD;
  write_and_read(&request, out, sizeof out);
  CHECK_EQ_STR(out + strlen(head) + UK_REPLY_HEAD_BYTES, "\r\nZ: 26\r\n\r\n");
  uk_buffer_free(&request.reply);
}

/* What does not fit at all is left out; the end of the head never is. */
static void a_head_always_ends(void)
{
  static char out[16 * UK_REPLY_HEAD_BYTES], longest[UK_REPLY_HEAD_BYTES + 1];
  struct uk_request request = {.method = UK_GET, .status = 200};
  memset(longest, 'v', UK_REPLY_HEAD_BYTES);
  uk_buffer_init(&request.reply, 100);
  CHECK_EQ_INT(uk_buffer_append_text(&request.reply, "[]"), UK_OK);
  for (int i = 0; i < UK_REPLY_HEADERS; i++)
    uk_request_add_header(&request, "A", longest);
  write_and_read(&request, out, sizeof out);
  const size_t length = strlen(out);
  CHECK(length > 3 * UK_REPLY_HEAD_BYTES && length < 5 * UK_REPLY_HEAD_BYTES);
  CHECK_EQ_STR(out + (length >= 6 ? length - 6 : 0), "\r\n\r\n[]");
  uk_buffer_free(&request.reply);
}

int main(void)
{
  CHECK_RUN(writes_every_header);
  CHECK_RUN(a_head_always_ends);
  return check_end();
}
