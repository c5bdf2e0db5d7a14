/* for: transport*.c. Forks, failing allocations, every error of curl, options of sockets, and
 * several transfers at a time. core_network_spec.lua tests the rest. */
#undef _FORTIFY_SOURCE /* with it, recv is an inline function */
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "client/signals.h"
#include "client/transport_handle.h"
#include "client/transport_multi.h"
#include "client/transport_private.h"
#include "client/transport_socket.h"
#include "common/clock.h"
#include "fault.h"

enum { SERVER_SECONDS = 1200, TIMEOUT = 60000 }; /* bounds for hangs */

/* Curl's memory, which is not this program's: what is allocated, and the allocation from now that
 * fails, once; 0 = none does. */
static atomic_long curl_live, curl_count, curl_fail_at;

void *__real_malloc(size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);

static bool curl_fails(void)
{
  return atomic_fetch_add(&curl_count, 1) + 1 == atomic_load(&curl_fail_at);
}

static void *curl_malloc(size_t size)
{
  void *block = curl_fails() ? NULL : __real_malloc(size);
  atomic_fetch_add(&curl_live, block != NULL);
  return block;
}

static void curl_release(void *block)
{
  atomic_fetch_sub(&curl_live, block != NULL);
  __real_free(block);
}

static void *curl_realloc(void *block, size_t size)
{
  void *moved = curl_fails() ? NULL : __real_realloc(block, size);
  atomic_fetch_add(&curl_live, block == NULL && moved != NULL);
  return moved;
}

static void *curl_calloc(size_t count, size_t size)
{
  void *block = curl_malloc(count * size);
  return block != NULL ? memset(block, 0, count * size) : NULL;
}

static char *curl_strdup(const char *text)
{
  char *copy = curl_malloc(strlen(text) + 1);
  return copy != NULL ? strcpy(copy, text) : NULL;
}

/* Answers every request on the connection with {"connection": number}, and with its method as the
 * ID of a batch. Requests are small. */
static void answer_all(int connection, int number)
{
  char request[4096] = "", response[256], body[64];
  const int size = snprintf(body, sizeof body, "{\"connection\":%d}", number);
  while (read(connection, request, sizeof request - 1) > 0) {
    const int length =
      snprintf(response, sizeof response,
               "HTTP/1.1 200 OK\r\nKafka-Batch: %.*s\r\nContent-Length: %d\r\n\r\n%s",
               (int)strcspn(request, " "), request, size, body);
    if (write(connection, response, (size_t)length) != length)
      break;
  }
}

/* Serves each connection, numbered from 1, in a process of its own. */
static void serve(int listener)
{
  alarm(SERVER_SECONDS);
  for (int number = 1;; number++) {
    int connection = accept(listener, NULL, NULL);
    if (fork() == 0) {
      alarm(SERVER_SECONDS);
      close(listener);
      answer_all(connection, number);
      _exit(0);
    }
    close(connection);
  }
}

/* Starts a server, which runs until it is killed. Returns its port. */
static int start_server(pid_t *process)
{
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0)
    return -1;
  *process = fork();
  if (*process == 0)
    serve(listener);
  close(listener);
  return ntohs(address.sin_port);
}

struct fixture {
  pid_t server;
  struct uk_settings settings;
  struct uk_transport *transport;
  struct uk_client_request request;
  struct uk_buffer body;
};

static bool set_up(struct fixture *fixture)
{
  char url[64], message[128];
  struct uk_settings_options options;
  int port = start_server(&fixture->server);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
  uk_settings_options_default(&options);
  options.url = uk_slice_text(url);
  uk_buffer_init(&fixture->body, 1024);
  uk_client_request_init(&fixture->request);
  uk_client_request_begin(&fixture->request, UK_ENDPOINT_TOPICS, false, NULL);
  if (port < 0 || uk_client_request_end(&fixture->request) != UK_OK ||
      !uk_settings_init(&fixture->settings, &options, message, sizeof message))
    return false;
  fixture->transport = uk_transport_open(&fixture->settings);
  return fixture->transport != NULL;
}

static void tear_down(struct fixture *fixture)
{
  uk_transport_close(fixture->transport);
  uk_settings_free(&fixture->settings);
  uk_client_request_free(&fixture->request);
  uk_buffer_free(&fixture->body);
  kill(fixture->server, SIGKILL);
  waitpid(fixture->server, NULL, 0);
}

static enum uk_error perform(struct fixture *fixture)
{
  struct uk_response response = {.body = &fixture->body};
  return uk_transport_perform(fixture->transport, &fixture->request, TIMEOUT, true, &response);
}

/* The number of the connection that carried the request; -1 when it failed. */
static int connection_of(struct fixture *fixture)
{
  int number = -1;
  if (perform(fixture) == UK_OK && uk_buffer_text(&fixture->body) != NULL)
    sscanf(fixture->body.data, "{\"connection\":%d}", &number);
  return number;
}

static void one_connection_is_kept(void)
{
  struct fixture fixture;
  REQUIRE(set_up(&fixture));
  for (int i = 0; i < 3; i++)
    CHECK_EQ_INT(connection_of(&fixture), 1);
  tear_down(&fixture);
}

static void a_fork_shares_no_connection(void)
{
  struct fixture fixture;
  int status = -1;
  REQUIRE(set_up(&fixture));
  CHECK_EQ_INT(connection_of(&fixture), 1);
  pid_t child = fork();
  if (child == 0) {
    bool fine = connection_of(&fixture) == 2 && connection_of(&fixture) == 2;
    uk_transport_close(fixture.transport);
    _exit(fine ? 0 : 1);
  }
  waitpid(child, &status, 0);
  CHECK_EQ_INT(status, 0);
  CHECK_EQ_INT(connection_of(&fixture), 1);
  tear_down(&fixture);
}

static void the_child_may_only_close(void)
{
  struct fixture fixture;
  int status = -1;
  REQUIRE(set_up(&fixture));
  CHECK_EQ_INT(connection_of(&fixture), 1);
  pid_t child = fork();
  if (child == 0) {
    uk_transport_close(fixture.transport);
    _exit(0);
  }
  waitpid(child, &status, 0);
  CHECK_EQ_INT(status, 0);
  CHECK_EQ_INT(connection_of(&fixture), 1);
  tear_down(&fixture);
}

static int descriptors(void)
{
  int count = 0;
  DIR *all = opendir("/proc/self/fd");
  while (all != NULL && readdir(all) != NULL)
    count++;
  closedir(all);
  return count;
}

static int sockets_replaced;

__attribute__((visibility("default"))) int dup2(int from, int to)
{
  struct sockaddr_in peer;
  socklen_t size = sizeof peer;
  sockets_replaced += getpeername(to, (struct sockaddr *)&peer, &size) == 0;
  return dup3(from, to, 0);
}

/* Nothing that curl sends when it cleans up, such as the end of a TLS session, reaches the
 * server. */
static void the_child_sends_nothing_and_frees_everything(void)
{
  struct fixture fixture;
  int status = -1;
  REQUIRE(set_up(&fixture));
  CHECK_EQ_INT(connection_of(&fixture), 1);
  const int open = descriptors();
  uk_transport_close(fixture.transport);
  const int closed = open - descriptors();
  const long without = atomic_load(&curl_live);
  fixture.transport = uk_transport_open(&fixture.settings);
  REQUIRE(fixture.transport != NULL);
  CHECK_EQ_INT(connection_of(&fixture), 2);
  sockets_replaced = 0;
  pid_t child = fork();
  if (child == 0) {
    const int before = descriptors();
    uk_transport_close(fixture.transport);
    const bool all = before - descriptors() == closed && atomic_load(&curl_live) == without;
    _exit(all && sockets_replaced == 1 ? 0 : 1);
  }
  waitpid(child, &status, 0);
  CHECK_EQ_INT(status, 0);
  tear_down(&fixture);
}

/* Its handle knows nothing of what that of the parent was set to. */
static void the_child_sets_its_own_handle(void)
{
  enum { SHORT = 100 };
  struct fixture fixture;
  const struct uk_slice topic = uk_slice_text("t");
  int status = -1;
  REQUIRE(set_up(&fixture));
  struct uk_response response = {.body = &fixture.body};
  uk_client_request_begin(&fixture.request, UK_ENDPOINT_DELETE_TOPIC, false, &topic);
  CHECK_EQ_INT(uk_client_request_end(&fixture.request), UK_OK);
  CHECK_EQ_INT(perform(&fixture), UK_OK);
  CHECK_EQ_STR(uk_transport_notes(fixture.transport)->batch, "DELETE");
  /* It may fail on a busy machine, but sets the time of the handle. */
  (void)uk_transport_perform(fixture.transport, &fixture.request, SHORT, true, &response);
  pid_t child = fork();
  if (child == 0) {
    alarm(SERVER_SECONDS);
    kill(fixture.server, SIGSTOP); /* it answers nobody */
    const bool ended =
      uk_transport_perform(fixture.transport, &fixture.request, SHORT, true, &response) != UK_OK;
    kill(fixture.server, SIGCONT);
    const bool same = perform(&fixture) == UK_OK &&
                      strcmp(uk_transport_notes(fixture.transport)->batch, "DELETE") == 0;
    uk_transport_close(fixture.transport);
    _exit(ended && same ? 0 : 1);
  }
  waitpid(child, &status, 0);
  CHECK_EQ_INT(status, 0);
  kill(fixture.server, SIGCONT);
  tear_down(&fixture);
}

/* Whatever was said of the last one. */
static void a_transfer_begins_anew(void)
{
  struct fixture fixture;
  REQUIRE(set_up(&fixture));
  struct uk_transport *transport = fixture.transport;
  struct uk_response response = {.status = 7, .retry_after = 7, .body = &fixture.body};
  uk_buffer_append_text(&fixture.body, "old");
  transport->retry_after = 7;
  transport->sends = 7;
  transport->framing = (struct uk_framing){.headed = true, .bounded = true};
  transport->notes = (struct uk_response_notes){.replayed = true, .batch = "b", .skipped = "t-0"};
  strcpy(transport->message, "old");
  CHECK_EQ_INT(uk_transport_begin(transport, &fixture.request, TIMEOUT, true, &response), UK_OK);
  CHECK_EQ_INT(response.status, 0);
  CHECK_EQ_INT(response.retry_after, -1);
  CHECK_EQ_INT(fixture.body.length, 0);
  CHECK_EQ_INT(transport->retry_after, -1);
  CHECK_EQ_INT(transport->sends, 0);
  CHECK(!transport->framing.headed && !transport->framing.bounded && !transport->notes.replayed);
  CHECK_EQ_STR(transport->notes.batch, "");
  CHECK_EQ_STR(transport->notes.skipped, "");
  CHECK_EQ_STR(uk_transport_message(transport), "");
  tear_down(&fixture);
}

/* Sets the handle to a request. Returns the lines of headers that curl is given, joined by "|". */
static const char *lines_of(struct fixture *fixture, enum uk_endpoint endpoint, const char *body)
{
  static char joined[256];
  const struct uk_slice topic = uk_slice_text("t");
  struct uk_response response = {.body = &fixture->body};
  uk_client_request_begin(&fixture->request, endpoint, false, &topic);
  uk_buffer_append_text(&fixture->request.body, body);
  CHECK_EQ_INT(uk_client_request_end(&fixture->request), UK_OK);
  CHECK_EQ_INT(uk_transport_begin(fixture->transport, &fixture->request, TIMEOUT, true, &response),
               UK_OK);
  joined[0] = '\0';
  for (const struct curl_slist *line = fixture->transport->lines; line != NULL; line = line->next)
    snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "%s|", line->data);
  return joined;
}

/* Also when only the body has come, which has no header of its own. */
static void headers_are_those_of_the_request(void)
{
  static const char bodyless[] = "Expect:|Content-Type:|";
  struct fixture fixture;
  REQUIRE(set_up(&fixture));
  CHECK_EQ_STR(lines_of(&fixture, UK_ENDPOINT_WEBHOOK, ""), bodyless);
  CHECK_EQ_STR(lines_of(&fixture, UK_ENDPOINT_WEBHOOK, "text"), "Expect:|");
  CHECK_EQ_STR(lines_of(&fixture, UK_ENDPOINT_WEBHOOK, ""), bodyless);
  CHECK_EQ_STR(lines_of(&fixture, UK_ENDPOINT_PRODUCE, "{}"),
               "Expect:|Content-Type: application/json|");
  const struct curl_slist *kept = fixture.transport->lines;
  lines_of(&fixture, UK_ENDPOINT_PRODUCE, "[]");
  CHECK(fixture.transport->lines == kept); /* nothing has changed */
  tear_down(&fixture);
}

/* Secrets. */

static int lines_wiped;

__attribute__((noinline)) static void wipe(void *bytes, size_t size)
{
  static const char line[] = "Authorization: Basic dTpodXNo";
  lines_wiped += size >= sizeof line && memcmp(bytes, line, sizeof line) == 0;
  memset(bytes, 0, size);
}

/* In front of that of libc. */
__attribute__((visibility("default"))) void explicit_bzero(void *bytes, size_t size)
{
  wipe(bytes, size);
}

/* What a build with _FORTIFY_SOURCE calls instead. */
void __explicit_bzero_chk(void *bytes, size_t size, size_t room);
__attribute__((visibility("default"))) void __explicit_bzero_chk(void *bytes, size_t size,
                                                                 size_t room)
{
  CHECK(size <= room);
  wipe(bytes, size);
}

static void credentials_are_wiped_from_the_stack(void)
{
  struct fixture fixture;
  struct uk_settings settings;
  struct uk_settings_options options;
  char message[128];
  REQUIRE(set_up(&fixture));
  uk_settings_options_default(&options);
  options.url = fixture.settings.url;
  options.username = uk_slice_text("u");
  options.password = uk_slice_text("hush");
  REQUIRE(uk_settings_init(&settings, &options, message, sizeof message));
  uk_transport_close(fixture.transport);
  fixture.transport = uk_transport_open(&settings);
  CHECK_EQ_INT(perform(&fixture), UK_OK);
  CHECK_EQ_INT(lines_wiped, 1);
  tear_down(&fixture);
  uk_settings_free(&settings);
}

/* Only the allocations of this library fail, not those of curl. */
static void memory_may_run_out_anywhere(void)
{
  struct fixture fixture;
  REQUIRE(set_up(&fixture));
  for (long n = 1, hit = 1; hit; n++) {
    uk_transport_close(fixture.transport);
    uk_buffer_free(&fixture.body);
    fixture.transport = uk_transport_open(&fixture.settings);
    REQUIRE(fixture.transport != NULL);
    fault_at(n);
    enum uk_error error = perform(&fixture);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(error, hit ? UK_E_NO_MEMORY : UK_OK);
    CHECK(connection_of(&fixture) > 0);
  }
  tear_down(&fixture);
}

/* Errors. */

/* The errors for the codes of curl, before and after the request was sent; any other code is
 * transport_failed. */
static const struct {
  CURLcode code;
  enum uk_error unsent, sent;
} ends[] = {
  {CURLE_OUT_OF_MEMORY, UK_E_NO_MEMORY, UK_E_NO_MEMORY},
  {CURLE_COULDNT_RESOLVE_HOST, UK_E_RESOLVE_FAILED, UK_E_CONNECTION_LOST},
  {CURLE_COULDNT_RESOLVE_PROXY, UK_E_RESOLVE_FAILED, UK_E_CONNECTION_LOST},
  {CURLE_COULDNT_CONNECT, UK_E_CONNECT_FAILED, UK_E_CONNECTION_LOST},
  {CURLE_OPERATION_TIMEDOUT, UK_E_CONNECT_FAILED, UK_E_TIMEOUT},
  {CURLE_SSL_CONNECT_ERROR, UK_E_TLS_FAILED, UK_E_CONNECTION_LOST},
  {CURLE_PEER_FAILED_VERIFICATION, UK_E_TLS_FAILED, UK_E_CONNECTION_LOST},
  {CURLE_SSL_CACERT_BADFILE, UK_E_TLS_FAILED, UK_E_CONNECTION_LOST},
  {CURLE_SSL_CERTPROBLEM, UK_E_TLS_FAILED, UK_E_CONNECTION_LOST},
  {CURLE_SSL_CIPHER, UK_E_TLS_FAILED, UK_E_CONNECTION_LOST},
  {CURLE_SSL_ISSUER_ERROR, UK_E_TLS_FAILED, UK_E_CONNECTION_LOST},
  {CURLE_SSL_INVALIDCERTSTATUS, UK_E_TLS_FAILED, UK_E_CONNECTION_LOST},
  {CURLE_GOT_NOTHING, UK_E_CONNECTION_LOST, UK_E_CONNECTION_LOST},
  {CURLE_PARTIAL_FILE, UK_E_CONNECTION_LOST, UK_E_CONNECTION_LOST},
  {CURLE_SEND_ERROR, UK_E_CONNECTION_LOST, UK_E_CONNECTION_LOST},
  {CURLE_RECV_ERROR, UK_E_CONNECTION_LOST, UK_E_CONNECTION_LOST},
  {CURLE_ABORTED_BY_CALLBACK, UK_E_CONNECTION_LOST, UK_E_CONNECTION_LOST},
  {CURLE_BAD_CONTENT_ENCODING, UK_E_BAD_RESPONSE, UK_E_BAD_RESPONSE},
  {CURLE_WEIRD_SERVER_REPLY, UK_E_BAD_RESPONSE, UK_E_BAD_RESPONSE},
  {CURLE_UNSUPPORTED_PROTOCOL, UK_E_BAD_RESPONSE, UK_E_BAD_RESPONSE},
  {CURLE_HTTP2, UK_E_BAD_RESPONSE, UK_E_BAD_RESPONSE},
};

static enum uk_error expected_end(CURLcode code, bool sent)
{
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    if (ends[i].code == code)
      return sent ? ends[i].sent : ends[i].unsent;
  return UK_E_TRANSPORT_FAILED;
}

static void every_outcome_has_its_error(void)
{
  struct fixture fixture;
  REQUIRE(set_up(&fixture));
  struct uk_response response = {.body = &fixture.body};
  for (int i = 1; i < CURL_LAST; i++) {
    const CURLcode code = (CURLcode)i;
    CHECK_EQ_INT(uk_transport_begin(fixture.transport, &fixture.request, TIMEOUT, true, &response),
                 UK_OK);
    if (!CHECK_EQ_INT(uk_transport_end(fixture.transport, code, &response),
                      expected_end(code, false)))
      fprintf(stderr, "  %s, unsent\n", curl_easy_strerror(code));
    CHECK((uk_transport_message(fixture.transport)[0] != '\0') ==
          (expected_end(code, false) == UK_E_TRANSPORT_FAILED));
    CHECK_EQ_INT(perform(&fixture), UK_OK);
    if (!CHECK_EQ_INT(uk_transport_end(fixture.transport, code, &response),
                      expected_end(code, true)))
      fprintf(stderr, "  %s, sent\n", curl_easy_strerror(code));
  }
  tear_down(&fixture);
}

static void a_body_without_room_has_its_error(void)
{
  static const struct {
    enum uk_error body, error;
  } rows[] = {{UK_E_TOO_LARGE, UK_E_RESPONSE_TOO_LARGE}, {UK_E_NO_MEMORY, UK_E_NO_MEMORY}};
  struct fixture fixture;
  REQUIRE(set_up(&fixture));
  struct uk_response response = {.body = &fixture.body};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_EQ_INT(perform(&fixture), UK_OK);
    fixture.body.error = rows[i].body;
    CHECK_EQ_INT(uk_transport_end(fixture.transport, CURLE_WRITE_ERROR, &response), rows[i].error);
    CHECK_EQ_STR(uk_transport_message(fixture.transport), "");
  }
  uk_buffer_free(&fixture.body);
  uk_buffer_init(&fixture.body, 5);
  CHECK_EQ_INT(perform(&fixture), UK_E_RESPONSE_TOO_LARGE);
  CHECK_EQ_SLICE(fixture.body, "{\"con"); /* its beginning says which messages it holds */
  tear_down(&fixture);
}

/* The connection. */

static int handlers_set;

__attribute__((visibility("default"))) int sigaction(int number, const struct sigaction *action,
                                                     struct sigaction *before)
{
  int (*real)(int, const struct sigaction *, struct sigaction *) = NULL;
  *(void **)&real = dlsym(RTLD_NEXT, "sigaction");
  handlers_set += action != NULL;
  return real(number, action, before);
}

/* The program's other threads rely on its handlers. */
static void leaves_the_signal_handlers_alone(void)
{
  struct fixture fixture;
  REQUIRE(set_up(&fixture));
  handlers_set = 0;
  CHECK_EQ_INT(connection_of(&fixture), 1);
  uk_transport_close(fixture.transport);
  CHECK_EQ_INT(handlers_set, 0);
  fixture.transport = NULL;
  tear_down(&fixture);
}

static bool is_connected_to(int descriptor, int port)
{
  struct sockaddr_in peer;
  socklen_t size = sizeof peer;
  return getpeername(descriptor, (struct sockaddr *)&peer, &size) == 0 &&
         peer.sin_family == AF_INET && ntohs(peer.sin_port) == port;
}

static int option_of(int descriptor, int level, int name)
{
  int value = -1;
  socklen_t size = sizeof value;
  getsockopt(descriptor, level, name, &value, &size);
  return value;
}

/* Small requests are sent at once, and dead connections are detected. */
static void its_socket_has_no_delay_and_is_kept_alive(void)
{
  struct fixture fixture;
  int found = 0, port = 0;
  REQUIRE(set_up(&fixture));
  CHECK_EQ_INT(connection_of(&fixture), 1);
  sscanf(fixture.settings.url.data, "http://127.0.0.1:%d", &port);
  for (int i = 3; i < 1024; i++) {
    if (!is_connected_to(i, port))
      continue;
    found++;
    CHECK_EQ_INT(option_of(i, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_EQ_INT(option_of(i, SOL_SOCKET, SO_KEEPALIVE), 1);
  }
  CHECK_EQ_INT(found, 1);
  tear_down(&fixture);
}

/* A port that neither accepts nor refuses connections: its backlog is full. */
static int start_full_port(int *port)
{
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 0) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0)
    return -1;
  *port = ntohs(address.sin_port);
  for (int i = 0; i < 4; i++) /* these stay open until the program ends */
    (void)connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr *)&address,
                  size);
  return listener;
}

/* The settings of a client of that port. */
static bool make_settings(struct uk_settings *settings, int port, int64_t connect_timeout)
{
  char url[128];
  struct uk_settings_options options;
  snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
  uk_settings_options_default(&options);
  options.url = uk_slice_text(url);
  options.connect_timeout = connect_timeout;
  return uk_settings_init(settings, &options, url, sizeof url);
}

/* How long a transfer takes that cannot connect. */
static int64_t time_to_fail(struct uk_transport *transport, struct fixture *fixture,
                            int64_t timeout)
{
  struct uk_response response = {.body = &fixture->body};
  const int64_t started = uk_clock_monotonic();
  CHECK_EQ_INT(uk_transport_perform(transport, &fixture->request, timeout, true, &response),
               UK_E_CONNECT_FAILED);
  return uk_clock_monotonic() - started;
}

static void a_transfer_and_its_connection_have_their_timeouts(void)
{
  struct fixture fixture;
  struct uk_settings quick, slow;
  int port = 0;
  REQUIRE(set_up(&fixture));
  const int listener = start_full_port(&port);
  REQUIRE(listener >= 0 && make_settings(&quick, port, 50) && make_settings(&slow, port, 60000));
  struct uk_transport *transport = uk_transport_open(&quick);
  const int64_t connecting = time_to_fail(transport, &fixture, 60000);
  CHECK(connecting >= 50 && connecting < 30000);
  uk_transport_close(transport);
  transport = uk_transport_open(&slow);
  CHECK(time_to_fail(transport, &fixture, 20) < 30000);
  CHECK(time_to_fail(transport, &fixture, 200) >= 200); /* each transfer has its own */
  uk_transport_close(transport);
  uk_settings_free(&quick);
  uk_settings_free(&slow);
  close(listener);
  tear_down(&fixture);
}

/* Listens on a unix socket, whose path is then `path`. */
static int listen_at_path(char *path, size_t size)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  snprintf(path, size, "/tmp/uk-transport-%d", getpid());
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  unlink(path);
  return bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
             listen(listener, 8) == 0
           ? listener
           : -1;
}

static void a_unix_socket_can_be_used(void)
{
  struct fixture fixture;
  struct uk_settings settings;
  struct uk_settings_options options;
  char path[64], url[128];
  REQUIRE(set_up(&fixture));
  const int listener = listen_at_path(path, sizeof path);
  REQUIRE(listener >= 0);
  const pid_t server = fork();
  if (server == 0)
    serve(listener);
  close(listener);
  snprintf(url, sizeof url, "http://unix:%s:/prefix", path);
  uk_settings_options_default(&options);
  options.url = uk_slice_text(url);
  REQUIRE(uk_settings_init(&settings, &options, url, sizeof url));
  uk_transport_close(fixture.transport);
  fixture.transport = uk_transport_open(&settings);
  CHECK_EQ_INT(connection_of(&fixture), 1);
  kill(server, SIGKILL);
  waitpid(server, NULL, 0);
  unlink(path);
  tear_down(&fixture);
  uk_settings_free(&settings);
}

/* Several transfers. */

/* How long it sleeps with nothing under way. */
static int64_t idle_time(struct uk_transfers *transfers, int64_t wait)
{
  const int64_t started = uk_clock_monotonic();
  uk_transfers_run(transfers, wait);
  return uk_clock_monotonic() - started;
}

/* Waits for the end of a transfer. */
static bool next_end(struct uk_transfers *transfers, struct uk_transfer *ended)
{
  const int64_t deadline = uk_clock_monotonic() + 60000;
  while (uk_clock_monotonic() < deadline) {
    if (uk_transfers_next(transfers, ended))
      return true;
    uk_transfers_run(transfers, 1000);
  }
  return false;
}

static void transfers_end_in_their_slots(void)
{
  struct fixture fixture;
  struct uk_transfer ended;
  unsigned places = 0;
  REQUIRE(set_up(&fixture));
  struct uk_transfers *transfers = uk_transfers_open(&fixture.settings, 3);
  REQUIRE(transfers != NULL);
  CHECK(!uk_transfers_next(transfers, &ended));
  for (unsigned place = 0; place < 3; place++)
    CHECK_EQ_INT(uk_transfers_start(transfers, place, &fixture.request, TIMEOUT), UK_OK);
  for (int i = 0; i < 3; i++) {
    REQUIRE(next_end(transfers, &ended));
    CHECK_EQ_INT(ended.error, UK_OK);
    CHECK_EQ_INT(ended.response.status, 200);
    CHECK_EQ_INT(ended.response.body->length, strlen("{\"connection\":1}"));
    places |= 1U << ended.place;
  }
  CHECK_EQ_INT(places, 7);
  CHECK(!uk_transfers_next(transfers, &ended));
  CHECK(idle_time(transfers, 100) >= 100); /* it does not count a transfer as ended twice */
  CHECK_EQ_INT(uk_transfers_start(transfers, 1, &fixture.request, TIMEOUT), UK_OK);
  REQUIRE(next_end(transfers, &ended));
  CHECK_EQ_INT(ended.place, 1);
  uk_transfers_close(transfers);
  tear_down(&fixture);
}

/* Transfers at the same time use a connection each, and later ones need no further one. */
static void each_place_has_a_connection_to_keep(void)
{
  enum { PLACES = 3 };
  struct fixture fixture;
  struct uk_transfer ended;
  REQUIRE(set_up(&fixture));
  struct uk_transfers *transfers = uk_transfers_open(&fixture.settings, PLACES);
  REQUIRE(transfers != NULL);
  for (int round = 0; round < 8; round++) {
    for (unsigned place = 0; place < PLACES; place++)
      CHECK_EQ_INT(uk_transfers_start(transfers, place, &fixture.request, TIMEOUT), UK_OK);
    for (int i = 0; i < PLACES; i++) {
      int number = -1;
      REQUIRE(next_end(transfers, &ended));
      REQUIRE(ended.error == UK_OK && uk_buffer_text(ended.response.body) != NULL);
      sscanf(ended.response.body->data, "{\"connection\":%d}", &number);
      CHECK(number >= 1 && number <= PLACES);
    }
  }
  uk_transfers_close(transfers);
  tear_down(&fixture);
}

static void a_transfer_can_be_cancelled(void)
{
  struct fixture fixture;
  struct uk_transfer ended;
  const long before = fault_live();
  REQUIRE(set_up(&fixture));
  kill(fixture.server, SIGSTOP); /* it accepts no connection */
  struct uk_transfers *transfers = uk_transfers_open(&fixture.settings, 2);
  REQUIRE(transfers != NULL);
  uk_transfers_cancel(transfers, 0); /* there is none */
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_INT(uk_transfers_start(transfers, 0, &fixture.request, TIMEOUT), UK_OK);
    uk_transfers_run(transfers, 10);
    uk_transfers_cancel(transfers, 0);
    CHECK(!uk_transfers_next(transfers, &ended));
    CHECK(idle_time(transfers, 100) >= 100);
  }
  CHECK_EQ_INT(uk_transfers_start(transfers, 1, &fixture.request, TIMEOUT), UK_OK);
  uk_transfers_close(transfers);
  kill(fixture.server, SIGCONT);
  tear_down(&fixture);
  CHECK_EQ_INT(fault_live(), before);
}

static void a_wait_can_be_ended(void)
{
  struct fixture fixture;
  REQUIRE(set_up(&fixture));
  struct uk_transfers *transfers = uk_transfers_open(&fixture.settings, 1);
  REQUIRE(transfers != NULL);
  uk_transfers_wake(transfers);
  CHECK(idle_time(transfers, 60000) < 30000);
  CHECK(idle_time(transfers, 50) >= 50); /* a wake-up ends one wait */
  uk_transfers_close(transfers);
  tear_down(&fixture);
}

/* What is left behind. */

static void perform_well(struct fixture *fixture, struct uk_client_request *request)
{
  struct uk_response response = {.body = &fixture->body};
  CHECK_EQ_INT(uk_client_request_end(request), UK_OK);
  CHECK_EQ_INT(uk_transport_perform(fixture->transport, request, TIMEOUT, true, &response), UK_OK);
}

/* Requests with and without a body, with other headers and URLs. */
static void make_requests(struct fixture *fixture)
{
  struct uk_client_request other;
  const struct uk_slice topic = uk_slice_text("t");
  uk_client_request_init(&other);
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_INT(perform(fixture), UK_OK);
    uk_client_request_begin(&other, UK_ENDPOINT_PRODUCE_TOPIC, true, &topic);
    uk_client_request_raw(&other, uk_slice_text("{}"));
    perform_well(fixture, &other);
    uk_client_request_begin(&other, UK_ENDPOINT_DELETE_TOPIC, false, &topic);
    perform_well(fixture, &other);
  }
  uk_client_request_free(&other);
}

/* A transfer that ends, and one that is cancelled because all of them are closed. */
static void make_transfers(struct fixture *fixture)
{
  struct uk_transfer ended = {.place = 0};
  struct uk_transfers *transfers = uk_transfers_open(&fixture->settings, 2);
  REQUIRE(transfers != NULL);
  CHECK_EQ_INT(uk_transfers_start(transfers, 0, &fixture->request, TIMEOUT), UK_OK);
  CHECK(next_end(transfers, &ended));
  CHECK_EQ_INT(ended.error, UK_OK);
  CHECK_EQ_INT(uk_transfers_start(transfers, 1, &fixture->request, TIMEOUT), UK_OK);
  uk_transfers_close(transfers);
}

static void no_memory_of_curl_is_left_behind(void)
{
  struct fixture fixture;
  long live = 0;
  int open = 0;
  REQUIRE(set_up(&fixture));
  for (int i = 0; i < 3; i++) {
    uk_transport_close(fixture.transport);
    if (i == 1) {
      live = atomic_load(&curl_live);
      open = descriptors();
    }
    if (i > 1) {
      CHECK_EQ_INT(atomic_load(&curl_live), live);
      CHECK_EQ_INT(descriptors(), open);
    }
    fixture.transport = uk_transport_open(&fixture.settings);
    REQUIRE(fixture.transport != NULL);
    make_requests(&fixture);
    make_transfers(&fixture);
  }
  tear_down(&fixture);
}

/* Settings for that unix socket which curl has to copy texts of. */
static bool make_full_settings(struct uk_settings *settings, const char *path)
{
  char url[128];
  struct uk_settings_options options;
  snprintf(url, sizeof url, "http://unix:%s:/prefix", path);
  uk_settings_options_default(&options);
  options.url = uk_slice_text(url);
  options.username = options.password = uk_slice_text("secret");
  options.ca_file = "/nowhere";
  options.compress = true;
  return uk_settings_init(settings, &options, url, sizeof url);
}

/* No transfer goes anywhere else, or without a header, because curl could not copy a text. */
static void curl_may_run_out_of_memory_anywhere(void)
{
  struct fixture fixture;
  struct uk_settings settings;
  char path[64];
  REQUIRE(set_up(&fixture));
  const int listener = listen_at_path(path, sizeof path);
  REQUIRE(listener >= 0 && make_full_settings(&settings, path));
  const pid_t server = fork();
  if (server == 0)
    serve(listener);
  close(listener);
  bool hit = true;
  long live = -1;
  for (long n = 1; hit; n++) {
    uk_transport_close(fixture.transport);
    if (n == 2)
      live = atomic_load(&curl_live);
    CHECK(n < 2 || atomic_load(&curl_live) == live);
    fixture.transport = uk_transport_open(&settings);
    REQUIRE(fixture.transport != NULL);
    const long at = atomic_load(&curl_count) + n;
    atomic_store(&curl_fail_at, at);
    const enum uk_error error = perform(&fixture);
    hit = atomic_load(&curl_count) >= at;
    atomic_store(&curl_fail_at, 0);
    /* Curl takes a URL for which there is no memory for none. */
    CHECK(error == UK_E_NO_MEMORY || error == UK_OK || error == UK_E_TRANSPORT_FAILED);
    CHECK_EQ_INT(perform(&fixture), UK_OK);
  }
  kill(server, SIGKILL);
  waitpid(server, NULL, 0);
  unlink(path);
  tear_down(&fixture);
  uk_settings_free(&settings);
}

/* Returns how many descriptors a child would inherit. */
static int inherited(void)
{
  int count = 0;
  for (int i = 0; i < 1024; i++) {
    const int flags = fcntl(i, F_GETFD);
    count += flags >= 0 && (flags & FD_CLOEXEC) == 0;
  }
  return count;
}

/* While set, the multi handles of libcurl wake up through a pipe, as those of 8.5 always do. */
static atomic_bool with_pipes;

__attribute__((visibility("default"))) int socketpair(int domain, int type, int protocol,
                                                      int pair[2])
{
  if (atomic_load(&with_pipes))
    return pipe(pair);
  return (int)syscall(SYS_socketpair, domain, type, protocol, pair);
}

__attribute__((visibility("default"))) ssize_t send(int descriptor, const void *data, size_t size,
                                                    int flags)
{
  const ssize_t sent = syscall(SYS_sendto, descriptor, data, size, flags, NULL, 0);
  return sent < 0 && errno == ENOTSOCK ? write(descriptor, data, size) : sent;
}

__attribute__((visibility("default"))) ssize_t recv(int descriptor, void *data, size_t size,
                                                    int flags)
{
  const ssize_t got = syscall(SYS_recvfrom, descriptor, data, size, flags, NULL, NULL);
  return got < 0 && errno == ENOTSOCK ? read(descriptor, data, size) : got;
}

static void children_inherit_no_descriptor(void)
{
  for (int pipes = 0; pipes <= 1; pipes++) {
    struct fixture fixture;
    atomic_store(&with_pipes, pipes == 1);
    REQUIRE(set_up(&fixture));
    const int before = inherited();
    CHECK_EQ_INT(connection_of(&fixture), 1);
    CHECK_EQ_INT(inherited(), before);
    struct uk_transfers *transfers = uk_transfers_open(&fixture.settings, 2);
    struct uk_transfer ended;
    REQUIRE(transfers != NULL);
    CHECK_EQ_INT(uk_transfers_start(transfers, 1, &fixture.request, TIMEOUT), UK_OK);
    CHECK(next_end(transfers, &ended));
    CHECK_EQ_INT(ended.error, UK_OK);
    CHECK_EQ_INT(inherited(), before);
    CHECK(idle_time(transfers, 50) >= 50); /* looking for the descriptors leaves no wake-up */
    uk_transfers_close(transfers);
    tear_down(&fixture);
  }
  atomic_store(&with_pipes, false);
}

/* Where it is set, another thread opens a pipe while libcurl makes a multi handle, and that many
 * bytes are in it. */
static struct {
  size_t unread;
  int ends[2];
} other;

/* In front of that of libcurl. */
__attribute__((visibility("default"))) CURLM *curl_multi_init(void)
{
  CURLM *(*real)(void) = NULL;
  *(void **)&real = dlsym(RTLD_NEXT, "curl_multi_init");
  if (other.unread > 0) {
    CHECK_EQ_INT(pipe(other.ends), 0);
    CHECK_EQ_INT(write(other.ends[1], "four", other.unread), other.unread);
  }
  return real();
}

static void a_pipe_of_another_thread_stays_as_it_is(void)
{
  for (other.unread = 2; other.unread <= 4; other.unread += 2) {
    CURLM *multi = uk_transport_multi();
    REQUIRE(multi != NULL);
    for (int i = 0; i < 2; i++) {
      CHECK_EQ_INT(fcntl(other.ends[i], F_GETFD), 0);
      close(other.ends[i]);
    }
    curl_multi_cleanup(multi);
  }
  other.unread = 0;
}

/* What curl_multi_poll was asked last, by a transfer that waits. */
static struct {
  int milliseconds;
  unsigned count;
  struct curl_waitfd first;
} poll_asked;

/* What the functions of curl that run a transfer return instead of doing it. */
static CURLMcode perform_fails, poll_fails;

/* In front of that of libcurl. */
__attribute__((visibility("default"))) CURLMcode curl_multi_poll(CURLM *multi,
                                                                 struct curl_waitfd waits[],
                                                                 unsigned int count,
                                                                 int milliseconds, int *ready)
{
  CURLMcode (*real)(CURLM *, struct curl_waitfd[], unsigned int, int, int *) = NULL;
  *(void **)&real = dlsym(RTLD_NEXT, "curl_multi_poll");
  if (milliseconds > 0) { /* otherwise it only drops old wakes */
    if (poll_fails != CURLM_OK)
      return poll_fails;
    poll_asked.milliseconds = milliseconds;
    poll_asked.count = count;
    if (count > 0)
      poll_asked.first = waits[0];
  }
  return real(multi, waits, count, milliseconds, ready);
}

/* A transfer that waits is woken by its signals, and looks at them every second. */
static void a_transfer_waits_for_its_signals(void)
{
  enum { TERM = 1u << UK_SIGNAL_TERM, SHORT = 20, LONG = 20000, NOBODY = 9 };
  struct fixture fixture;
  struct uk_settings quiet;
  int port = 0, descriptor = -1;
  REQUIRE(set_up(&fixture));
  const int listener = start_full_port(&port);
  REQUIRE(listener >= 0 && make_settings(&quiet, port, 60000) && uk_signals_watch(TERM));
  struct uk_transport *transport = uk_transport_open(&quiet);
  struct uk_response response = {.body = &fixture.body};
  CHECK_EQ_INT(uk_signals_descriptors(TERM, &descriptor), 1);
  for (unsigned count = 0; count <= 1; count++) {
    uk_transport_set_signals(transport, count == 0 ? 0 : TERM);
    poll_asked.count = NOBODY;
    /* On a slow machine the time may be over before it waits. */
    for (int time = SHORT; poll_asked.count == NOBODY && time < LONG; time *= 2)
      CHECK(uk_transport_perform(transport, &fixture.request, time, true, &response) != UK_OK);
    CHECK_EQ_INT(poll_asked.count, count);
    CHECK_EQ_INT(poll_asked.milliseconds, 1000);
  }
  CHECK_EQ_INT(poll_asked.first.fd, descriptor);
  CHECK_EQ_INT(poll_asked.first.events, CURL_WAIT_POLLIN);
  uk_signals_unwatch(TERM);
  uk_transport_close(transport);
  uk_settings_free(&quiet);
  close(listener);
  tear_down(&fixture);
}

/* A signal ends a transfer that waits for its answer; the next one works. */
static void a_signal_ends_a_transfer(void)
{
  enum { TERM = 1u << UK_SIGNAL_TERM };
  struct fixture fixture;
  struct uk_settings quiet;
  int port = 0;
  REQUIRE(set_up(&fixture));
  const int listener = start_full_port(&port);
  REQUIRE(listener >= 0 && make_settings(&quiet, port, 60000) && uk_signals_watch(TERM));
  struct uk_transport *transport = uk_transport_open(&quiet);
  struct uk_response response = {.body = &fixture.body};
  uk_transport_set_signals(transport, TERM);
  const pid_t child = fork();
  if (child == 0) {
    kill(getppid(), SIGTERM);
    _exit(0);
  }
  CHECK_EQ_INT(uk_transport_perform(transport, &fixture.request, 60000, true, &response),
               UK_E_CANCELLED);
  CHECK_EQ_STR(uk_transport_message(transport), "a signal ended the wait");
  waitpid(child, NULL, 0);
  uk_transport_close(transport);
  CHECK_EQ_INT(connection_of(&fixture), 1); /* this one heeds no signal */
  uk_signals_unwatch(TERM);
  uk_transport_set_signals(fixture.transport, TERM);
  CHECK_EQ_INT(connection_of(&fixture), 1);
  uk_settings_free(&quiet);
  close(listener);
  tear_down(&fixture);
}

static bool signal_at_end;

static CURLM *last_multi; /* that ran a transfer */

/* In front of that of libcurl. */
__attribute__((visibility("default"))) CURLMcode curl_multi_perform(CURLM *multi, int *running)
{
  CURLMcode (*real)(CURLM *, int *) = NULL;
  if (perform_fails != CURLM_OK)
    return perform_fails;
  last_multi = multi;
  *(void **)&real = dlsym(RTLD_NEXT, "curl_multi_perform");
  const CURLMcode code = real(multi, running);
  if (signal_at_end && *running == 0)
    raise(SIGTERM);
  return code;
}

/* What has arrived counts, although a signal arrived with it. */
static void a_signal_leaves_a_finished_transfer_alone(void)
{
  enum { TERM = 1u << UK_SIGNAL_TERM };
  struct fixture fixture;
  REQUIRE(set_up(&fixture) && uk_signals_watch(TERM));
  uk_transport_set_signals(fixture.transport, TERM);
  signal_at_end = true;
  CHECK_EQ_INT(connection_of(&fixture), 1);
  signal_at_end = false;
  CHECK_EQ_INT(uk_signals_arrived(TERM), TERM);
  uk_signals_unwatch(TERM);
  tear_down(&fixture);
}

/* While curl runs the transfer, and while it waits for the answer. */
static void curl_may_fail_to_run_a_transfer(void)
{
  static const struct {
    CURLMcode code;
    enum uk_error error;
    const char *message;
  } rows[] = {
    {CURLM_OUT_OF_MEMORY, UK_E_NO_MEMORY, ""},
    {CURLM_INTERNAL_ERROR, UK_E_TRANSPORT_FAILED, "A libcurl function was given a bad argument"},
  };
  struct fixture fixture;
  REQUIRE(set_up(&fixture));
  for (size_t i = 0; i < 2 * (sizeof rows / sizeof *rows); i++) {
    CURLMcode *const fails = i % 2 == 0 ? &perform_fails : &poll_fails;
    kill(fixture.server, SIGSTOP); /* it accepts no connection */
    *fails = rows[i / 2].code;
    CHECK_EQ_INT(perform(&fixture), rows[i / 2].error);
    CHECK_EQ_STR(uk_transport_message(fixture.transport), rows[i / 2].message);
    *fails = CURLM_OK;
    kill(fixture.server, SIGCONT);
    CHECK_EQ_INT(perform(&fixture), UK_OK);
    uk_transport_close(fixture.transport);
    fixture.transport = uk_transport_open(&fixture.settings);
    REQUIRE(fixture.transport != NULL);
  }
  tear_down(&fixture);
}

/* Its answer is there: nothing is waited for. */
static void a_transfer_that_has_ended_is_not_waited_for(void)
{
  enum { NOBODY = 9 };
  struct fixture fixture;
  struct uk_transfer ended;
  int running = 1;
  REQUIRE(set_up(&fixture));
  struct uk_transfers *transfers = uk_transfers_open(&fixture.settings, 2);
  REQUIRE(transfers != NULL);
  CHECK_EQ_INT(uk_transfers_start(transfers, 1, &fixture.request, TIMEOUT), UK_OK);
  uk_transfers_run(transfers, 0);
  while (curl_multi_perform(last_multi, &running) == CURLM_OK && running > 0)
    curl_multi_poll(last_multi, NULL, 0, 10, NULL);
  poll_asked.count = NOBODY;
  uk_transfers_run(transfers, 60000);
  CHECK_EQ_INT(poll_asked.count, NOBODY);
  CHECK(uk_transfers_next(transfers, &ended));
  CHECK_EQ_INT(ended.place, 1);
  CHECK_EQ_INT(ended.error, UK_OK);
  uk_transfers_close(transfers);
  tear_down(&fixture);
}

static int initializations;

/* In front of that of libcurl. */
__attribute__((visibility("default"))) CURLcode curl_global_init(long flags)
{
  CURLcode (*real)(long) = NULL;
  *(void **)&real = dlsym(RTLD_NEXT, "curl_global_init");
  CHECK_EQ_INT(flags, CURL_GLOBAL_DEFAULT);
  initializations++;
  return real(flags);
}

/* Curl would do so itself, but not if several threads begin at once. */
static void curl_has_been_initialized_once(void)
{
  CHECK_EQ_INT(initializations, 1);
}

int main(void)
{
  if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_malloc, curl_release, curl_realloc,
                           curl_strdup, curl_calloc) != CURLE_OK)
    return 1;
  CHECK_RUN(one_connection_is_kept);
  CHECK_RUN(a_fork_shares_no_connection);
  CHECK_RUN(the_child_may_only_close);
  CHECK_RUN(the_child_sends_nothing_and_frees_everything);
  CHECK_RUN(the_child_sets_its_own_handle);
  CHECK_RUN(a_transfer_begins_anew);
  CHECK_RUN(headers_are_those_of_the_request);
  CHECK_RUN(credentials_are_wiped_from_the_stack);
  CHECK_RUN(memory_may_run_out_anywhere);
  CHECK_RUN(every_outcome_has_its_error);
  CHECK_RUN(a_body_without_room_has_its_error);
  CHECK_RUN(leaves_the_signal_handlers_alone);
  CHECK_RUN(its_socket_has_no_delay_and_is_kept_alive);
  CHECK_RUN(a_transfer_and_its_connection_have_their_timeouts);
  CHECK_RUN(a_unix_socket_can_be_used);
  CHECK_RUN(transfers_end_in_their_slots);
  CHECK_RUN(each_place_has_a_connection_to_keep);
  CHECK_RUN(a_transfer_can_be_cancelled);
  CHECK_RUN(a_wait_can_be_ended);
  CHECK_RUN(no_memory_of_curl_is_left_behind);
  CHECK_RUN(curl_may_run_out_of_memory_anywhere);
  CHECK_RUN(children_inherit_no_descriptor);
  CHECK_RUN(a_pipe_of_another_thread_stays_as_it_is);
  CHECK_RUN(a_transfer_waits_for_its_signals);
  CHECK_RUN(a_signal_ends_a_transfer);
  CHECK_RUN(a_signal_leaves_a_finished_transfer_alone);
  CHECK_RUN(curl_may_fail_to_run_a_transfer);
  CHECK_RUN(a_transfer_that_has_ended_is_not_waited_for);
  CHECK_RUN(curl_has_been_initialized_once); /* last: by all of the above */
  return check_end();
}
