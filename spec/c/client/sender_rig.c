#include "sender_rig.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/response.h"
#include "client/transport.h"
#include "common/clock.h"
#include "log_rig.h"
#include "server/server.h"

enum { URL_SIZE = 128 };

static struct uk_settings settings;
static pid_t server_process;

/* The server. */

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

const struct uk_settings *rig_serve(void)
{
  char url[URL_SIZE] = "";
  int ends[2];
  rig_directory(); /* the parent removes it */
  if (pipe(ends) != 0)
    return NULL;
  server_process = fork();
  if (server_process == 0)
    serve(ends[1]);
  close(ends[1]);
  const bool started =
    server_process > 0 && read(ends[0], url, sizeof url) > 0 && set_settings(url);
  close(ends[0]);
  return started ? &settings : NULL;
}

void rig_serve_end(void)
{
  uk_settings_free(&settings);
  kill(server_process, SIGKILL);
  waitpid(server_process, NULL, 0);
  rig_remove();
}

struct uk_settings rig_settings(int port)
{
  char url[URL_SIZE];
  const struct uk_settings before = settings;
  snprintf(url, sizeof url, "http://127.0.0.1:%d", port);
  set_settings(url);
  const struct uk_settings made = settings;
  settings = before;
  return made;
}

int64_t rig_stored(const char *topic)
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
  if (uk_transport_perform(transport, &request, RIG_PATIENCE, true, &response) == UK_OK) {
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

/* Senders. */

struct uk_sender_options rig_options_named(const char *name)
{
  struct uk_sender_options options;
  uk_sender_options_default(&options);
  options.log = false;
  options.linger = 1;
  snprintf(options.name, sizeof options.name, "%s", name);
  return options;
}

struct uk_sender *rig_acquire(const struct uk_sender_options *options)
{
  enum uk_error error;
  return uk_registry_acquire(&settings, options, &error);
}

enum uk_error rig_send(struct uk_sender *sender, const char *topic, const char *text)
{
  const struct uk_message message = {
    .topic = uk_slice_text(topic), .value = uk_slice_text(text), .partition = -1, .timestamp = -1};
  return uk_sender_send(sender, &message, uk_slice_of(NULL, 0));
}

bool rig_flush(struct uk_sender *sender)
{
  const int64_t deadline = uk_clock_monotonic() + RIG_PATIENCE;
  return uk_sender_wait(sender, uk_sender_flush_start(sender), deadline) &&
         uk_clock_monotonic() < deadline;
}

uint64_t rig_close(struct uk_sender *sender, int64_t timeout)
{
  bool stopped;
  const uint64_t lost = uk_registry_close(sender, timeout, &stopped);
  uk_registry_release(sender);
  return lost;
}
