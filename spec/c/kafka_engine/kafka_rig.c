#include "kafka_rig.h"

#include <stdlib.h>

#include "check.h"
#include "client/transport.h"
#include "common/clock.h"
#include "server/server.h"

enum { PATIENCE = 60000 }; /* milliseconds */

/* For LeakSanitizer, which sees no further than librdkafka: what .ci/valgrind.supp says. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
  return "leak:librdkafka.so\n";
}

static bool open_server(struct kafka_rig *rig)
{
  char message[512], timeout[24];
  struct uk_server_options options;
  snprintf(timeout, sizeof timeout, "%d", KAFKA_RIG_SEND_TIMEOUT);
  const struct uk_kafka_property properties[] = {
    {.name = "message.timeout.ms", .value = timeout},
  };
  uk_server_options_default(&options);
  options.listen = "127.0.0.1:0";
  options.username = "u";
  options.password = "p";
  options.brokers = rd_kafka_mock_cluster_bootstraps(rig->cluster);
  options.properties = properties;
  options.property_count = sizeof properties / sizeof *properties;
  options.threads = 1;
  options.auto_create_topics = false;
  if (uk_server_start(&rig->server, &options, message, sizeof message) == UK_OK)
    return true;
  fprintf(stderr, "no server: %s\n", message);
  return false;
}

static bool open_client(struct kafka_rig *rig)
{
  char message[512];
  struct uk_settings_options options;
  uk_settings_options_default(&options);
  options.url = uk_slice_text(uk_server_url(rig->server));
  options.username = uk_slice_text("u");
  options.password = uk_slice_text("p");
  uk_client_request_init(&rig->request);
  uk_buffer_init(&rig->body, 1 << 20);
  rig->settings = calloc(1, sizeof *rig->settings);
  if (rig->settings == NULL || !uk_settings_init(rig->settings, &options, message, sizeof message))
    return false;
  rig->transport = uk_transport_open(rig->settings);
  return rig->transport != NULL;
}

bool kafka_rig_open(struct kafka_rig *rig)
{
  char message[512];
  *rig = (struct kafka_rig){.player = NULL};
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set_log_cb(conf, NULL);
  rig->player = rd_kafka_new(RD_KAFKA_PRODUCER, conf, message, sizeof message);
  if (rig->player == NULL)
    return false;
  rig->cluster = rd_kafka_mock_cluster_new(rig->player, KAFKA_RIG_BROKERS);
  return rig->cluster != NULL && open_server(rig) && open_client(rig);
}

void kafka_rig_close(struct kafka_rig *rig)
{
  uk_transport_close(rig->transport);
  if (rig->settings != NULL) {
    uk_settings_free(rig->settings);
    uk_buffer_free(&rig->body);
    uk_client_request_free(&rig->request);
  }
  free(rig->settings);
  if (rig->server != NULL)
    uk_server_stop(rig->server);
  if (rig->cluster != NULL)
    rd_kafka_mock_cluster_destroy(rig->cluster);
  if (rig->player != NULL)
    rd_kafka_destroy(rig->player);
}

void kafka_rig_ask(struct kafka_rig *rig, enum uk_method method, const char *path, const char *body,
                   struct kafka_answer *answer)
{
  int64_t begun = uk_clock_monotonic();
  struct uk_response response = {.retry_after = -1, .body = &rig->body};
  uk_client_request_begin(&rig->request, UK_ENDPOINT_PRODUCE, false, NULL);
  uk_buffer_clear(&rig->request.path);
  uk_buffer_append_text(&rig->request.path, path);
  uk_buffer_append_text(&rig->request.body, body);
  uk_client_request_header(&rig->request, uk_slice_text(UK_HEADER_OFFSET_RESET),
                           uk_slice_text("earliest"));
  uk_client_request_header(&rig->request, uk_slice_text(UK_HEADER_SESSION_TIMEOUT),
                           uk_slice_text("6000"));
  rig->request.method = method;
  enum uk_error error =
    uk_transport_perform(rig->transport, &rig->request, PATIENCE, true, &response);
  *answer = (struct kafka_answer){.took = uk_clock_monotonic() - begun};
  answer->status = error == UK_OK ? response.status : 0;
  answer->retry_after = error == UK_OK ? response.retry_after : -1;
  snprintf(answer->text, sizeof answer->text, "%.*s", (int)rig->body.length,
           error != UK_OK         ? uk_transport_message(rig->transport)
           : rig->body.length > 0 ? rig->body.data
                                  : "");
}
