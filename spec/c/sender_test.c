/* Senders, whole: threads, forks, ends and memory that runs out, against a real server in a process of its own. */
#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "client/response.h"
#include "client/sender_registry.h"
#include "client/transport.h"
#include "common/clock.h"
#include "fault.h"
#include "log_rig.h"
#include "server/server.h"

enum { PATIENCE = 60000, URL_SIZE = 128 };

#ifdef __SANITIZE_THREAD__
/* A child starts a thread here while its parent has some. */
const char *__tsan_default_options(void) __attribute__((visibility("default")));
const char *__tsan_default_options(void)
{
  return "die_after_fork=0";
}
#endif

static struct uk_settings settings;

/* ---- the server ---- */

static void serve(int out)
{
  char message[400];
  struct uk_server *server;
  struct uk_server_options options;
  uk_server_options_default(&options);
  options.listen = "127.0.0.1:0";
  options.username = "u";
  options.password = "p";
  options.data = rig_directory();
  options.no_sync = true;
  options.map_bytes = 256 << 20;
  if (uk_server_start(&server, &options, message, sizeof message) != UK_OK ||
      write(out, uk_server_url(server), strlen(uk_server_url(server)) + 1) < 0)
    _exit(1);
  pause();
}

static bool set_settings(const char *url)
{
  char message[200];
  struct uk_settings_options options;
  uk_settings_options_default(&options);
  options.url = uk_slice_text(url);
  options.username = uk_slice_text("u");
  options.password = uk_slice_text("p");
  options.retry_delay = 5;
  options.retry_delay_max = 20;
  return uk_settings_init(&settings, &options, message, sizeof message);
}

static pid_t start_server(void)
{
  char url[URL_SIZE] = "";
  int ends[2];
  rig_directory(); /* the parent's to remove */
  if (pipe(ends) != 0)
    return -1;
  const pid_t process = fork();
  if (process == 0)
    serve(ends[1]);
  close(ends[1]);
  const bool started = process > 0 && read(ends[0], url, sizeof url) > 0 && set_settings(url);
  close(ends[0]);
  return started ? process : -1;
}

/* How many messages the topic's partition 0 holds. */
static int64_t stored(const char *topic)
{
  const struct uk_slice latest = uk_slice_text("latest");
  struct uk_client_request request;
  struct uk_buffer body;
  struct uk_response response = {.body = &body};
  struct uk_response_reader reader;
  struct uk_response_object object;
  struct uk_transport *transport = uk_transport_open(&settings);
  int64_t offset = -1;
  uk_buffer_init(&body, 1 << 16);
  uk_client_request_init(&request);
  uk_client_request_begin(&request, UK_ENDPOINT_OFFSETS, false, &latest);
  uk_client_request_partition(&request, uk_slice_text(topic), 0, -1);
  uk_client_request_end(&request);
  if (uk_transport_perform(transport, &request, PATIENCE, true, &response) == UK_OK) {
    uk_response_open(&reader, body.data, body.length, false);
    if (uk_response_list(&reader) && uk_response_element(&reader, &object, &uk_shape_offset))
      for (int field; (field = uk_response_field(&reader, &object)) >= 0;)
        offset = field == UK_FIELD_OFFSET ? reader.integer : offset;
  }
  uk_client_request_free(&request);
  uk_buffer_free(&body);
  uk_transport_close(transport);
  return offset;
}

/* ---- senders ---- */

static struct uk_sender_options named(const char *name)
{
  struct uk_sender_options options;
  uk_sender_options_default(&options);
  options.log = false;
  options.linger = 1;
  snprintf(options.name, sizeof options.name, "%s", name);
  return options;
}

static struct uk_sender *acquire(const struct uk_sender_options *options)
{
  enum uk_error error;
  return uk_registry_acquire(&settings, options, &error);
}

static enum uk_error send_text(struct uk_sender *sender, const char *topic, const char *text)
{
  const struct uk_message message = {
    .topic = uk_slice_text(topic), .value = uk_slice_text(text), .partition = -1, .timestamp = -1};
  return uk_sender_send(sender, &message, uk_slice_of(NULL, 0));
}

static bool flush(struct uk_sender *sender)
{
  return uk_sender_wait(sender, uk_sender_hurry(sender), uk_clock_monotonic() + PATIENCE);
}

static uint64_t close_sender(struct uk_sender *sender, int64_t timeout)
{
  bool stopped;
  const uint64_t lost = uk_registry_close(sender, timeout, &stopped);
  uk_registry_release(sender);
  return lost;
}

static int threads(void)
{
  int count = 0;
  DIR *tasks = opendir("/proc/self/task");
  if (tasks == NULL)
    return -1;
  while (readdir(tasks) != NULL)
    count++;
  closedir(tasks);
  return count - 2; /* . and .. */
}

/* ---- */

enum { CALLERS = 4, EACH = 3000 };

static void *call(void *argument)
{
  struct uk_sender_options options = named("shared");
  struct uk_sender_stats stats;
  options.overflow = UK_OVERFLOW_BLOCK;
  options.block_timeout = PATIENCE;
  options.queue_bytes = 64 << 10;
  options.in_flight = 3;
  struct uk_sender *sender = acquire(&options);
  for (int i = 0; i < EACH; i++) {
    CHECK_EQ_INT(send_text(sender, argument, "from one of many"), UK_OK);
    if (i % 1000 == 0) {
      uk_sender_stats(sender, &stats);
      uk_sender_hurry(sender);
    }
  }
  CHECK(flush(sender));
  uk_registry_release(sender);
  return NULL;
}

static void serves_many_threads(void)
{
  pthread_t callers[CALLERS];
  for (int i = 0; i < CALLERS; i++)
    CHECK(pthread_create(&callers[i], NULL, call, "many") == 0);
  for (int i = 0; i < CALLERS; i++)
    pthread_join(callers[i], NULL);
  CHECK_EQ_INT(stored("many"), CALLERS * EACH);
}

static void drops_while_others_send(void)
{
  struct uk_sender_options options = named("dropping");
  struct uk_sender_stats stats;
  options.overflow = UK_OVERFLOW_DROP_OLDEST;
  options.queue_bytes = UK_SENDER_QUEUE_BYTES_MIN;
  struct uk_sender *sender = acquire(&options);
  REQUIRE(sender != NULL);
  for (int i = 0; i < 20000; i++)
    CHECK_EQ_INT(send_text(sender, "dropped", "some text that takes its room in the queue"), UK_OK);
  CHECK(flush(sender));
  uk_sender_stats(sender, &stats);
  CHECK_EQ_INT(stats.sent, 20000);
  CHECK_EQ_INT(stats.delivered + stats.dropped, 20000);
  CHECK_EQ_INT(stored("dropped"), (int64_t)stats.delivered);
  CHECK_EQ_INT(close_sender(sender, PATIENCE), 0);
}

/* Equal settings and options share; a name keeps apart; there is an end to how many. */
static void are_few(void)
{
  struct uk_sender *senders[UK_REGISTRY_SENDERS_MAX] = {NULL};
  struct uk_sender_options options = named("same");
  enum uk_error error = UK_OK;
  struct uk_sender *one = acquire(&options), *two = acquire(&options);
  CHECK(one != NULL && one == two);
  uk_registry_release(one);
  CHECK_EQ_INT(close_sender(two, 0), 0);
  uk_registry_close_all(PATIENCE);
  int count = 0;
  for (; count < UK_REGISTRY_SENDERS_MAX; count++) {
    snprintf(options.name, sizeof options.name, "%d", count);
    senders[count] = acquire(&options);
    if (!CHECK(senders[count] != NULL))
      break;
  }
  CHECK(uk_registry_acquire(&settings, &(struct uk_sender_options){.in_flight = 1}, &error) ==
        NULL);
  CHECK_EQ_INT(error, UK_E_TOO_MANY);
  CHECK_EQ_INT(uk_registry_close_all(PATIENCE), 0);
  for (int i = 0; i < count; i++) {
    CHECK_EQ_INT(send_text(senders[i], "few", "too late"), UK_E_CANCELLED);
    uk_registry_release(senders[i]);
  }
}

/* Without references a sender delivers what it has, and its thread goes. */
static void end_by_themselves(void)
{
  struct uk_sender_options options = named("left");
  options.linger = 500;
  const int before = threads();
  struct uk_sender *sender = acquire(&options);
  REQUIRE(sender != NULL);
  CHECK_EQ_INT(threads(), before + 1);
  CHECK_EQ_INT(send_text(sender, "left", "alone"), UK_OK);
  uk_registry_release(sender);
  const int64_t deadline = uk_clock_monotonic() + PATIENCE;
  while (threads() > before && uk_clock_monotonic() < deadline)
    rig_sleep(20);
  CHECK_EQ_INT(threads(), before);
  CHECK_EQ_INT(stored("left"), 1);
}

/* ---- forks ---- */

static void child(struct uk_sender *inherited, unsigned generation)
{
  struct uk_sender_options options = named("forked");
  options.linger = 60000;
  struct uk_sender *own = acquire(&options);
  const bool good = uk_registry_generation() != generation && own != NULL && own != inherited &&
                    send_text(own, "forked", "child") == UK_OK;
  exit(good ? 0 : 1); /* which delivers it */
}

static void are_left_to_the_parent(void)
{
  struct uk_sender_options options = named("forked");
  int status = -1;
  options.linger = 60000;
  struct uk_sender *sender = acquire(&options);
  REQUIRE(sender != NULL);
  CHECK_EQ_INT(send_text(sender, "forked", "parent"), UK_OK);
  const pid_t process = fork();
  if (process == 0)
    child(sender, uk_registry_generation() - 1);
  CHECK(waitpid(process, &status, 0) == process && WIFEXITED(status));
  CHECK_EQ_INT(WEXITSTATUS(status), 0);
  CHECK_EQ_INT(stored("forked"), 1);
  CHECK_EQ_INT(close_sender(sender, PATIENCE), 0);
  CHECK_EQ_INT(stored("forked"), 2);
}

/* ---- ends ---- */

static struct uk_settings settings_of_port(int port)
{
  char url[URL_SIZE];
  const struct uk_settings before = settings;
  snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
  CHECK(set_settings(url));
  const struct uk_settings made = settings;
  settings = before;
  return made;
}

/* A server that takes connections and never says a word. */
static int listen_in_silence(int *port)
{
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0)
    return -1;
  *port = ntohs(address.sin_port);
  return listener;
}

static void stop_in_time(void)
{
  int port = 0;
  const int listener = listen_in_silence(&port);
  struct uk_settings silent = settings_of_port(port);
  struct uk_sender_options options = named("silent");
  struct uk_sender_stats stats;
  enum uk_error error;
  uint64_t missed;
  options.in_flight = 2;
  options.batch_messages = 3;
  struct uk_sender *sender = uk_registry_acquire(&silent, &options, &error);
  REQUIRE(listener >= 0 && sender != NULL);
  for (int i = 0; i < 20; i++)
    CHECK_EQ_INT(send_text(sender, "t", "v"), UK_OK);
  bool stopped;
  const int64_t started = uk_clock_monotonic();
  CHECK_EQ_INT(uk_registry_close(sender, 300, &stopped), 20);
  CHECK(stopped);
  CHECK(uk_clock_monotonic() - started >= 300);
  uk_sender_stats(sender, &stats);
  CHECK_EQ_INT(stats.lost, 20);
  CHECK_EQ_INT(stats.failed, 20);
  CHECK_EQ_INT(stats.queued + stats.in_flight, 0);
  struct uk_sender_failure *failure = uk_sender_failures(sender, &missed), *next;
  for (; failure != NULL; failure = next) {
    next = failure->next;
    CHECK_EQ_INT(failure->error, UK_E_CANCELLED);
    free(failure);
  }
  uk_registry_release(sender);
  uk_settings_free(&silent);
  close(listener);
}

/* ---- memory ---- */

/* Whatever was taken in is delivered, when one allocation fails. */
static void lose_nothing_with_any_allocation_failing(void)
{
  struct uk_sender_options options = named("fault");
  const long live = fault_live();
  int64_t sent = 0;
  options.batch_messages = 10;
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    struct uk_sender *sender = acquire(&options);
    for (int i = 0; i < 25 && sender != NULL; i++)
      sent += send_text(sender, "fault", "a value") == UK_OK;
    if (sender != NULL)
      CHECK(flush(sender));
    hit = fault_hit();
    fault_off();
    if (sender != NULL)
      CHECK_EQ_INT(close_sender(sender, PATIENCE), 0);
  }
  CHECK(stored("fault") >= sent); /* an answer that found no memory is asked for again */
  CHECK(fault_live() == live);
}

static void go_on_when_memory_is_back(void)
{
  struct uk_sender_options options = named("famine");
  struct uk_sender *sender = acquire(&options);
  REQUIRE(sender != NULL);
  fault_from(1);
  for (int i = 0; i < 100; i++)
    CHECK_EQ_INT(send_text(sender, "famine", "a value"), UK_OK);
  CHECK(!uk_sender_wait(sender, uk_sender_hurry(sender), uk_clock_monotonic() + 300));
  fault_off();
  CHECK(flush(sender));
  CHECK_EQ_INT(stored("famine"), 100);
  CHECK_EQ_INT(close_sender(sender, PATIENCE), 0);
}

int main(void)
{
  const pid_t server = start_server();
  if (server < 0) {
    fprintf(stderr, "the server did not start\n");
    return 1;
  }
  CHECK_RUN(serves_many_threads);
  CHECK_RUN(drops_while_others_send);
  CHECK_RUN(are_few);
  CHECK_RUN(end_by_themselves);
  CHECK_RUN(are_left_to_the_parent);
  CHECK_RUN(stop_in_time);
  CHECK_RUN(lose_nothing_with_any_allocation_failing);
  CHECK_RUN(go_on_when_memory_is_back);
  uk_settings_free(&settings);
  kill(server, SIGKILL);
  waitpid(server, NULL, 0);
  rig_remove();
  return check_end();
}
