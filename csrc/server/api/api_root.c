#include "common/json_writer.h"
#include "common/version.h"
#include "server/api/api.h"

/* For people who open the server's URL: what this server is, and where its documentation is. */
bool uk_api_root(struct uk_request *request)
{
  uk_buffer_append_text(&request->reply, "{\"name\":\"upstash-kafka\",\"version\":\"" UK_VERSION
                                         "\",\"documentation\":\"docs/rest-api.md\","
                                         "\"health\":\"/health\"}");
  return false;
}
