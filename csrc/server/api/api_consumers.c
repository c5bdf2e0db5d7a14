/* consumers: lists the live instances as
 * [{name, instances: [{name, topics: [{topic, partitions}]}]}]. */
#include "common/json_writer.h"
#include "server/api/api.h"
#include "server/access/credentials.h"

/* A name from the previous row, to detect where a group or an instance ends. */
struct name {
  char bytes[UK_GROUP_NAME_MAX];
  size_t length;
};

struct consumers_call {
  struct uk_consumers consumers;
  struct name group, instance;
  bool in_group;  /* a group and an instance are open */
  bool has_topic; /* the instance already has one */
};

static bool is_same(const struct name *name, struct uk_slice text)
{
  return uk_slice_equal(uk_slice_of(name->bytes, name->length), text);
}

static void keep(struct name *name, struct uk_slice text)
{
  name->length = text.length < sizeof name->bytes ? text.length : sizeof name->bytes;
  memcpy(name->bytes, text.data, name->length);
}

static void open_named(struct uk_buffer *reply, struct uk_slice name, const char *list)
{
  uk_buffer_append_text(reply, "{\"name\":");
  uk_json_write_string(reply, name);
  uk_buffer_append_text(reply, list);
}

/* Closes and opens groups and instances until the row's are open. */
static void enter(struct consumers_call *call, struct uk_buffer *reply, struct uk_slice group,
                  struct uk_slice instance)
{
  bool same_group = call->in_group && is_same(&call->group, group);
  if (same_group && is_same(&call->instance, instance))
    return;
  if (!call->in_group)
    uk_buffer_append_byte(reply, '[');
  else
    uk_buffer_append_text(reply, same_group ? "]}," : "]}]},");
  if (!same_group)
    open_named(reply, group, ",\"instances\":[");
  open_named(reply, instance, ",\"topics\":[");
  keep(&call->group, group);
  keep(&call->instance, instance);
  call->in_group = true;
  call->has_topic = false;
}

/* Whether the credentials may see the row. An instance that holds nothing may be of any topic. */
static bool is_shown(const struct uk_credential *credential, struct uk_slice group,
                     struct uk_slice topic)
{
  return uk_credential_admits_group(credential, group) &&
         (topic.length > 0 ? uk_credential_admits(credential, topic)
                           : uk_credential_admits_all(credential));
}

static void write_row(struct uk_operation *operation, struct uk_slice group,
                      struct uk_slice instance, struct uk_slice topic, const int32_t *partitions,
                      size_t count)
{
  struct uk_request *request = operation->context;
  struct consumers_call *call = request->operation;
  struct uk_buffer *reply = &request->reply;
  if (!is_shown(request->credential, group, topic))
    return;
  enter(call, reply, group, instance);
  if (topic.length == 0)
    return;
  uk_buffer_append_text(reply, call->has_topic ? ",{\"topic\":" : "{\"topic\":");
  uk_json_write_string(reply, topic);
  uk_buffer_append_text(reply, ",\"partitions\":[");
  for (size_t i = 0; i < count; i++) {
    if (i > 0)
      uk_buffer_append_byte(reply, ',');
    uk_json_write_integer(reply, partitions[i]);
  }
  uk_buffer_append_text(reply, "]}");
  call->has_topic = true;
}

static void finish(struct uk_request *request)
{
  const struct consumers_call *call = request->operation;
  if (!uk_api_failed(request))
    uk_buffer_append_text(&request->reply, call->in_group ? "]}]}]" : "[]");
}

bool uk_api_consumers(struct uk_request *request)
{
  struct consumers_call *call = uk_api_operation(request, sizeof *call, UK_OFFSETS_TIMEOUT, finish);
  if (call == NULL)
    return false;
  call->consumers.owned = write_row;
  struct uk_engine *engine = uk_api_engine(request);
  uk_request_drop_input(request, false);
  engine->methods->consumers(engine, &call->consumers);
  return true;
}
