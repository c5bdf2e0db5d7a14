/* for: router.c */
#include "server/api/router.h"

#include "check.h"

static struct uk_route route;
static char path_buffer[256];

static enum uk_error find(enum uk_method method, const char *path)
{
  snprintf(path_buffer, sizeof path_buffer, "%s", path);
  return uk_route_find(&route, method, path_buffer);
}

/* Every endpoint's pattern matches itself; a parameter's value is its own name. */
static void finds_every_endpoint(void)
{
  for (int i = 0; i < UK_ENDPOINT_COUNT; i++) {
    for (unsigned method = UK_GET; method <= UK_OTHER_METHOD; method <<= 1) {
      bool taken = (uk_endpoints[i].methods & method) != 0;
      char path[128];
      size_t length = 0;
      for (const char *at = uk_endpoints[i].path; *at != '\0'; at++) {
        if (*at != '{' && *at != '}')
          path[length++] = *at;
      }
      path[length] = '\0';
      enum uk_error error = find((enum uk_method)method, path);
      if (taken) {
        CHECK_EQ_INT(error, UK_OK);
        CHECK_EQ_INT(route.endpoint, i);
      } else if (error == UK_OK) {
        CHECK(route.endpoint != (enum uk_endpoint)i);
      }
    }
  }
}

static void fills_parameters(void)
{
  CHECK_EQ_INT(find(UK_GET, "/consume/my%20group/i%2F1/topic"), UK_OK);
  CHECK_EQ_INT(route.endpoint, UK_ENDPOINT_CONSUME_TOPIC);
  CHECK_EQ_SLICE(route.parameters[0], "my group");
  CHECK_EQ_SLICE(route.parameters[1], "i/1");
  CHECK_EQ_SLICE(route.parameters[2], "topic");
}

static void decodes_once_after_splitting(void)
{
  CHECK_EQ_INT(find(UK_GET, "/produce/t/a%2Fb"), UK_OK);
  CHECK_EQ_INT(route.endpoint, UK_ENDPOINT_PRODUCE_ONE);
  CHECK_EQ_SLICE(route.parameters[1], "a/b");
  CHECK_EQ_INT(find(UK_GET, "/produce/t/100%2525"), UK_OK);
  CHECK_EQ_SLICE(route.parameters[1], "100%25");
  CHECK_EQ_INT(find(UK_GET, "/produce/t/a+b"), UK_OK);
  CHECK_EQ_SLICE(route.parameters[1], "a+b");
  CHECK_EQ_INT(find(UK_GET, "/produce/t/a%00b"), UK_OK);
  CHECK_EQ_MEM(route.parameters[1].data, route.parameters[1].length, "a\0b", 3);
}

static void accepts_one_slash_at_the_end(void)
{
  CHECK_EQ_INT(find(UK_POST, "/fetch/"), UK_OK);
  CHECK_EQ_INT(route.endpoint, UK_ENDPOINT_FETCH);
  CHECK_EQ_INT(find(UK_GET, "/consume/g/i/"), UK_OK);
  CHECK_EQ_INT(route.endpoint, UK_ENDPOINT_CONSUME);
  CHECK_EQ_INT(find(UK_POST, "/fetch//"), UK_E_NOT_FOUND);
}

static void knows_the_root(void)
{
  CHECK_EQ_INT(find(UK_GET, "/"), UK_OK);
  CHECK_EQ_INT(route.endpoint, UK_ENDPOINT_ROOT);
  CHECK_EQ_INT(find(UK_POST, "/"), UK_E_METHOD_NOT_ALLOWED);
}

static void accepts_any_number_of_leading_slashes(void)
{
  CHECK_EQ_INT(find(UK_GET, "//produce/t/v"), UK_OK);
  CHECK_EQ_INT(route.endpoint, UK_ENDPOINT_PRODUCE_ONE);
  CHECK_EQ_SLICE(route.parameters[1], "v");
  CHECK_EQ_INT(find(UK_POST, "/////fetch/"), UK_OK);
  CHECK_EQ_INT(route.endpoint, UK_ENDPOINT_FETCH);
  CHECK_EQ_INT(find(UK_GET, "//"), UK_OK);
  CHECK_EQ_INT(route.endpoint, UK_ENDPOINT_ROOT);
  CHECK_EQ_INT(find(UK_POST, "//fetch//"), UK_E_NOT_FOUND);
  CHECK_EQ_INT(find(UK_GET, "/%2Fproduce/t/v"), UK_E_NOT_FOUND);
}

static void refuses_malformed_escapes(void)
{
  CHECK_EQ_INT(find(UK_GET, "/produce/t/%zz"), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(find(UK_GET, "/produce/t/%a"), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(find(UK_GET, "/produce/t/%"), UK_E_BAD_REQUEST);
}

static void knows_no_other_path(void)
{
  static const char *const paths[] = {"",
                                      "nope",
                                      "/nope",
                                      "//produce//t",
                                      "/produce///t",
                                      "/produce//t",
                                      "/produce/t/m/x",
                                      "/consume/g",
                                      "/Produce/t",
                                      "/consume/g/i/t/x",
                                      "/consume/g/i/t/x/",
                                      "/topics/a/b/c/d/e/f"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    CHECK_EQ_INT(find(UK_GET, paths[i]), UK_E_NOT_FOUND);
}

static void names_the_methods_of_a_path(void)
{
  CHECK_EQ_INT(find(UK_POST, "/topics"), UK_E_METHOD_NOT_ALLOWED);
  CHECK_EQ_INT(route.methods, UK_GET | UK_HEAD);
  CHECK_EQ_INT(find(UK_HEAD, "/fetch"), UK_E_METHOD_NOT_ALLOWED);
  CHECK_EQ_INT(route.methods, UK_GET | UK_POST);
  CHECK_EQ_INT(find(UK_OPTIONS, "/topics/a"), UK_E_METHOD_NOT_ALLOWED);
  CHECK_EQ_INT(route.methods, UK_POST | UK_DELETE);
  CHECK_EQ_INT(find(UK_GET, "/topics/a"), UK_E_METHOD_NOT_ALLOWED);
  CHECK_EQ_INT(route.methods, UK_POST | UK_DELETE);
  CHECK_EQ_INT(find(UK_OTHER_METHOD, "/consume/g/i"), UK_E_METHOD_NOT_ALLOWED);
  CHECK_EQ_INT(route.methods, UK_GET | UK_POST);
}

int main(void)
{
  CHECK_RUN(finds_every_endpoint);
  CHECK_RUN(fills_parameters);
  CHECK_RUN(decodes_once_after_splitting);
  CHECK_RUN(accepts_one_slash_at_the_end);
  CHECK_RUN(knows_the_root);
  CHECK_RUN(accepts_any_number_of_leading_slashes);
  CHECK_RUN(refuses_malformed_escapes);
  CHECK_RUN(knows_no_other_path);
  CHECK_RUN(names_the_methods_of_a_path);
  return check_end();
}
