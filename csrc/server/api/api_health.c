#include "common/json_writer.h"
#include "server/api/api.h"

/* Replies {"status":"ok","engine":"log"}, or 503. Only to somebody with credentials it says more:
 * "note" if the engine has one, or the engine's explanation, which may name hosts and folders. */
bool uk_api_health(struct uk_request *request)
{
  struct uk_engine *engine = uk_api_engine(request);
  char detail[UK_MESSAGE_SIZE] = "";
  enum uk_error error = engine->methods->health(engine, detail, sizeof detail);
  const bool explains = request->credential != NULL && detail[0] != '\0';
  if (error == UK_OK) {
    uk_buffer_append_text(&request->reply, "{\"status\":\"ok\"");
  } else {
    uk_request_error(request, UK_E_UNAVAILABLE, explains ? "%s" : NULL, detail);
    uk_request_open_error(request);
  }
  uk_buffer_append_text(&request->reply, ",\"engine\":");
  uk_json_write_string(&request->reply, uk_slice_text(engine->methods->name));
  if (error == UK_OK && explains) {
    uk_buffer_append_text(&request->reply, ",\"note\":");
    uk_json_write_string(&request->reply, uk_slice_text(detail));
  }
  uk_buffer_append_byte(&request->reply, '}');
  return false;
}
