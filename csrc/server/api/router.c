#include "server/api/router.h"

#include "common/percent.h"

enum { SEGMENTS_MAX = 4 }; /* in the longest path of the table */

struct segments {
  struct uk_slice items[SEGMENTS_MAX];
  size_t count;
};

/* False for more segments than any path has, or an empty segment between two others. */
static bool split(struct segments *segments, char *path)
{
  segments->count = 0;
  while (path[0] == '/' && path[1] == '/')
    path++;
  for (char *at = path; *at == '/' && at[1] != '\0';) {
    size_t length = strcspn(++at, "/");
    if (length == 0 || segments->count == SEGMENTS_MAX)
      return false;
    segments->items[segments->count++] = uk_slice_of(at, length);
    at += length;
  }
  return path[0] == '/';
}

static bool decode(struct segments *segments, char *path)
{
  for (size_t i = 0; i < segments->count; i++) {
    struct uk_slice *segment = &segments->items[i];
    if (!uk_percent_decode(path + (segment->data - path), &segment->length))
      return false;
  }
  return true;
}

/* Whether the segments match the pattern. Sets the parameters on the way. */
static bool matches(const char *pattern, const struct segments *segments,
                    struct uk_slice *parameters)
{
  size_t parameter_count = 0;
  size_t i = 0;
  if (pattern[1] == '\0')
    return segments->count == 0;
  for (; *pattern == '/'; i++) {
    size_t length = strcspn(++pattern, "/");
    if (i == segments->count)
      return false;
    if (*pattern == '{')
      parameters[parameter_count++] = segments->items[i];
    else if (!uk_slice_equal(segments->items[i], uk_slice_of(pattern, length)))
      return false;
    pattern += length;
  }
  return i == segments->count;
}

enum uk_error uk_route_find(struct uk_route *route, enum uk_method method, char *path)
{
  struct segments segments;
  *route = (struct uk_route){0};
  if (!split(&segments, path))
    return UK_E_NOT_FOUND;
  if (!decode(&segments, path))
    return UK_E_BAD_REQUEST;
  for (int i = 0; i < UK_ENDPOINT_COUNT; i++) {
    if (!matches(uk_endpoints[i].path, &segments, route->parameters))
      continue;
    route->methods |= uk_endpoints[i].methods;
    route->endpoint = (enum uk_endpoint)i;
    if ((uk_endpoints[i].methods & (unsigned)method) != 0)
      return UK_OK;
  }
  return route->methods == 0 ? UK_E_NOT_FOUND : UK_E_METHOD_NOT_ALLOWED;
}
