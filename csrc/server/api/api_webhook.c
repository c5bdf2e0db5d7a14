/* webhook: the request's body becomes the message's value, and its non-standard headers become the
 * message's headers. */
#include <strings.h>

#include "server/api/api_idempotency.h"
#include "server/api/api_produce.h"

/* Request headers that HTTP and related standards define, and ours. A name that ends in '-' is a
 * prefix. */
static const char *const standard_headers[] = {
  "Accept",
  "Accept-",
  "Access-Control-",
  "Authorization",
  "Cache-Control",
  "Connection",
  "Content-",
  "Cookie",
  "Date",
  "DNT",
  "Early-Data",
  "Expect",
  "Forwarded",
  "From",
  "Host",
  "HTTP2-Settings",
  "Idempotency-Key",
  "If-",
  "Kafka-",
  "Keep-Alive",
  "Max-Forwards",
  "Origin",
  "Pragma",
  "Prefer",
  "Priority",
  "Proxy-",
  "Range",
  "Referer",
  "Sec-",
  "TE",
  "Trailer",
  "Transfer-Encoding",
  "Upgrade",
  "Upgrade-Insecure-Requests",
  "User-Agent",
  "Via",
  "Warning",
};

static bool is_standard(struct uk_slice name)
{
  for (size_t i = 0; i < sizeof standard_headers / sizeof *standard_headers; i++) {
    size_t length = strlen(standard_headers[i]);
    bool prefix = standard_headers[i][length - 1] == '-';
    if (name.length >= length && (prefix || name.length == length) &&
        strncasecmp(name.data, standard_headers[i], length) == 0)
      return true;
  }
  return false;
}

enum { NAME_SHOWN = 64 };

struct harvest {
  struct uk_record_header *headers; /* NULL: count only */
  size_t count;
  struct uk_slice bad; /* the name of a header with a control character in its value */
};

/* A tab is white space in a header. */
static bool has_control(struct uk_slice value)
{
  size_t i = 0;
  while (i < value.length &&
         (value.data[i] == '\t' || ((unsigned char)value.data[i] >= ' ' && value.data[i] != 0x7f)))
    i++;
  return i < value.length;
}

static void harvest(void *argument, struct uk_slice name, struct uk_slice value)
{
  struct harvest *found = argument;
  if (is_standard(name))
    return;
  if (has_control(value))
    found->bad = name;
  if (found->headers != NULL)
    found->headers[found->count] = (struct uk_record_header){name, value};
  found->count++;
}

/* Does not copy the bytes: the HTTP library keeps them as long as the request. */
static bool take_headers(struct uk_request *request, struct uk_record *record)
{
  struct harvest found = {0};
  uk_request_each_header(request, harvest, &found);
  if (found.bad.data != NULL) {
    uk_request_error(request, UK_E_BAD_REQUEST, "%.*s: a value without control characters expected",
                     (int)(found.bad.length < NAME_SHOWN ? found.bad.length : NAME_SHOWN),
                     found.bad.data);
    return false;
  }
  found.headers = uk_arena_allocate(&request->arena, found.count, sizeof *found.headers);
  found.count = 0;
  if (found.headers == NULL) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return false;
  }
  uk_request_each_header(request, harvest, &found);
  record->headers = found.headers;
  record->header_count = found.count;
  return true;
}

bool uk_api_webhook(struct uk_request *request)
{
  struct uk_slice topic;
  struct uk_produce_key key;
  if (!uk_api_read_produce_key(request, &key))
    return false;
  int found = uk_request_query(request, "topic", &topic);
  if (found == 0)
    uk_request_error(request, UK_E_BAD_REQUEST, "topic: missing from the query");
  struct uk_produce *produce = found == 1 ? uk_api_produce_operation(request, &key, 1, true) : NULL;
  if (produce == NULL)
    return false;
  struct uk_record *record = &produce->records[0];
  record->topic = topic;
  record->has_value = true;
  record->value = uk_slice_of(request->body, request->body_length);
  return take_headers(request, record) && uk_api_check_topic(request, topic, "topic") &&
         uk_api_check_size(request, record, -1) && uk_api_submit_produce(request, true);
}
