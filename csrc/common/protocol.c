#include "common/protocol.h"

const struct uk_endpoint_info uk_endpoints[UK_ENDPOINT_COUNT] = {
#define UK_ENDPOINT_ROW(name, text, methods, path, permissions)                                    \
  [UK_ENDPOINT_##name] = {text, methods, path, permissions},
  UK_ENDPOINTS(UK_ENDPOINT_ROW)
#undef UK_ENDPOINT_ROW
};

static bool is_topic_character(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool uk_topic_name_valid(struct uk_slice name)
{
  if (name.length < 1 || name.length > UK_TOPIC_NAME_MAX)
    return false;
  for (size_t i = 0; i < name.length; i++) {
    if (!is_topic_character(name.data[i]))
      return false;
  }
  return !uk_slice_is(name, ".") && !uk_slice_is(name, "..");
}

bool uk_topic_name_internal(struct uk_slice name)
{
  static const char *const kafka[] = {"__consumer_offsets", "__transaction_state",
                                      "__share_group_state", "__remote_log_metadata",
                                      "__cluster_metadata"};
  static const size_t own = sizeof UK_TOPIC_OWN_PREFIX - 1;
  if (name.length < 2 || name.data[0] != '_' || name.data[1] != '_')
    return false;
  for (size_t i = 0; i < sizeof kafka / sizeof *kafka; i++) {
    if (uk_slice_is(name, kafka[i]))
      return true;
  }
  return name.length >= own && memcmp(name.data, UK_TOPIC_OWN_PREFIX, own) == 0;
}

bool uk_parse_int64(struct uk_slice text, int64_t *value)
{
  bool negative = text.length > 0 && text.data[0] == '-';
  uint64_t most = (uint64_t)INT64_MAX + negative;
  uint64_t magnitude = 0;
  if (text.length == (size_t)negative)
    return false;
  for (size_t i = negative; i < text.length; i++) {
    unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';
    if (digit > 9 || magnitude > (most - digit) / 10)
      return false;
    magnitude = magnitude * 10 + digit;
  }
  *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
  return true;
}
