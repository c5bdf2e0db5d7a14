/* for: proxy.c, settings.c. Defaults, limits, copies and equality of the settings of a client. */
#undef _FORTIFY_SOURCE /* its explicit_bzero is inline */
#include <stdlib.h>

#include "check.h"
#include "client/proxy.h"
#include "client/settings.h"
#include "fault.h"

static char message[128];

static struct uk_settings_options options_of(const char *url)
{
  struct uk_settings_options options;
  uk_settings_options_default(&options);
  options.url = uk_slice_text(url);
  return options;
}

/* The text, padded with 'x' to `size` bytes. */
static struct uk_slice padded(const char *text, size_t size)
{
  static char bytes[3][UK_SETTINGS_URL_MAX + 2];
  static int next;
  char *at = bytes[next++ % 3];
  memset(at, 'x', size);
  memcpy(at, text, strlen(text));
  return uk_slice_of(at, size);
}

static bool accepts(const struct uk_settings_options *options)
{
  struct uk_settings settings;
  message[0] = '\0';
  const bool fine = uk_settings_init(&settings, options, message, sizeof message);
  if (fine)
    uk_settings_free(&settings);
  return fine;
}

/* The table of docs/client.md. */
static void defaults_match_the_documentation(void)
{
  const struct uk_settings_options options = options_of("http://h");
  CHECK_EQ_INT(options.timeout, 30000);
  CHECK_EQ_INT(options.connect_timeout, 5000);
  CHECK_EQ_INT(options.retries, 3);
  CHECK_EQ_INT(options.retry_delay, 100);
  CHECK_EQ_INT(options.retry_delay_max, 10000);
  CHECK_EQ_INT(options.max_response_bytes, 134217728);
  CHECK(options.verify && !options.binary && !options.compress && !options.idempotent);
  CHECK(options.username.data == NULL && options.password.data == NULL && options.ca_file == NULL);
}

static void sizes_have_limits(void)
{
  struct uk_settings_options options = options_of("http://h");
  options.url = padded("http://h/", UK_SETTINGS_URL_MAX);
  CHECK(accepts(&options));
  options.url = padded("http://h/", UK_SETTINGS_URL_MAX + 1);
  CHECK(!accepts(&options));
  CHECK_EQ_STR(message, "url: too long");
  options.url = padded("http://unix:/", strlen("http://unix:") + UK_SETTINGS_SOCKET_MAX);
  CHECK(accepts(&options));
  options.url = padded("http://unix:/", strlen("http://unix:") + UK_SETTINGS_SOCKET_MAX + 1);
  CHECK(!accepts(&options));
  CHECK_EQ_STR(message, "url: the path of the unix socket is too long");
  options = options_of("http://h");
  options.username = padded("", UK_SETTINGS_CREDENTIAL_MAX);
  options.password = padded("", UK_SETTINGS_CREDENTIAL_MAX);
  CHECK(accepts(&options));
  options.username = padded("", UK_SETTINGS_CREDENTIAL_MAX + 1);
  CHECK(!accepts(&options));
  CHECK_EQ_STR(message, "username: too long");
  options.username = uk_slice_text("u");
  options.password = padded("", UK_SETTINGS_CREDENTIAL_MAX + 1);
  CHECK(!accepts(&options));
  CHECK_EQ_STR(message, "password: too long");
}

static void credentials_come_together(void)
{
  static const struct {
    const char *username, *password, *message;
  } rows[] = {
    {NULL, NULL, ""},
    {"u", "p", ""},
    {"u", "", ""},
    {"u", "p:w", ""},
    {NULL, "p", "username: missing, but there is a password"},
    {"", "p", "username: missing, but there is a password"},
    {"u", NULL, "password: missing, but there is a username"},
    {"u:v", "p", "username: must not contain ':'"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_settings_options options = options_of("http://h");
    if (rows[i].username != NULL)
      options.username = uk_slice_text(rows[i].username);
    if (rows[i].password != NULL)
      options.password = uk_slice_text(rows[i].password);
    CHECK_EQ_INT(accepts(&options), rows[i].message[0] == '\0');
    CHECK_EQ_STR(message, rows[i].message);
  }
}

static void urls_are_parsed(void)
{
  static const struct {
    const char *url, *whole, *prefix, *socket;
  } rows[] = {
    {"http://h", "http://h", "", NULL},
    {"HTTPS://h:1/", "HTTPS://h:1", "", NULL},
    {"https://[::1]:80/a/b//", "https://[::1]:80/a/b", "/a/b", NULL},
    {"http://unix:/s", "http://localhost", "", "/s"},
    {"http://unix:/d/s:", "http://localhost", "", "/d/s"},
    {"http://unix:/s:/", "http://localhost", "", "/s"},
    {"http://unix:/s:/p/q/", "http://localhost/p/q", "/p/q", "/s"},
    {"http://unix:1/p", "http://unix:1/p", "/p", NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_settings settings;
    const struct uk_settings_options options = options_of(rows[i].url);
    REQUIRE(uk_settings_init(&settings, &options, message, sizeof message));
    CHECK_EQ_STR(settings.url.data, rows[i].whole);
    CHECK_EQ_INT(settings.url.length, strlen(rows[i].whole));
    CHECK_EQ_SLICE(settings.prefix, rows[i].prefix);
    CHECK_EQ_STR(settings.socket, rows[i].socket);
    CHECK(settings.authorization == NULL);
    uk_settings_free(&settings);
  }
}

static void invalid_urls_are_named(void)
{
  static const struct {
    const char *url, *message;
  } rows[] = {
    {"", "url: http:// or https:// and a host expected"},
    {"http://", "url: http:// or https:// and a host expected"},
    {"https:///x", "url: a host expected after the scheme"},
    {"http://h h", "url: contains a space or a control character"},
    {"http://h\x7f", "url: contains a space or a control character"},
    {"http://h?x", "url: must not have a query or a fragment"},
    {"http://h/#", "url: must not have a query or a fragment"},
    {"http://u@h", "url: must not contain credentials; pass username and password"},
    {"https://unix:/s", "url: https over a unix socket is not supported"},
    {"http://unix:", "url: the path of a unix socket expected after unix:"},
    {"http://unix:/s:p", "url: a path expected after the unix socket and its ':'"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct uk_settings_options options = options_of(rows[i].url);
    CHECK(!accepts(&options));
    CHECK_EQ_STR(message, rows[i].message);
  }
  const struct uk_settings_options at = options_of("http://h/a@b");
  CHECK(accepts(&at)); /* an '@' in the path is allowed */
}

/* Copies. */

enum { KINDS = 16 };

/* The first settings, and others that each differ in one option. */
static void make_kinds(struct uk_settings kinds[KINDS])
{
  struct uk_settings_options all[KINDS];
  for (int i = 0; i < KINDS; i++) {
    all[i] = options_of("http://host/p");
    all[i].username = uk_slice_text("u");
    all[i].password = uk_slice_text("p");
    all[i].ca_file = "/a";
  }
  all[1].url = uk_slice_text("http://host/q");
  all[2].username = uk_slice_text("v");
  all[3].password = uk_slice_text("q");
  all[4].ca_file = "/b";
  all[5].timeout++;
  all[6].connect_timeout++;
  all[7].retries++;
  all[8].retry_delay++;
  all[9].retry_delay_max++;
  all[10].max_response_bytes++;
  all[11].binary = true;
  all[12].verify = false;
  all[13].compress = true;
  all[14].proxy = "http://proxy";
  all[15].idempotent = true;
  for (int i = 0; i < KINDS; i++)
    CHECK(uk_settings_init(&kinds[i], &all[i], message, sizeof message));
}

static void are_equal_when_every_option_is(void)
{
  struct uk_settings kinds[KINDS], copy;
  make_kinds(kinds);
  for (int i = 0; i < KINDS; i++) {
    for (int j = 0; j < KINDS; j++)
      if (!CHECK(uk_settings_equal(&kinds[i], &kinds[j]) == (i == j)))
        fprintf(stderr, "  %d and %d\n", i, j);
    REQUIRE(uk_settings_copy(&copy, &kinds[i]));
    CHECK(uk_settings_equal(&copy, &kinds[i]));
    uk_settings_free(&copy);
  }
  for (int i = 0; i < KINDS; i++)
    uk_settings_free(&kinds[i]);
}

static void an_absent_option_differs_from_a_present_one(void)
{
  struct uk_settings plain, file, login, socket, other;
  struct uk_settings_options options = options_of("http://localhost");
  CHECK(uk_settings_init(&plain, &options, message, sizeof message));
  options.ca_file = "";
  CHECK(uk_settings_init(&file, &options, message, sizeof message));
  options.ca_file = NULL;
  options.username = options.password = uk_slice_text("u");
  CHECK(uk_settings_init(&login, &options, message, sizeof message));
  options = options_of("http://unix:/s");
  CHECK(uk_settings_init(&socket, &options, message, sizeof message));
  options = options_of("http://unix:/t");
  CHECK(uk_settings_init(&other, &options, message, sizeof message));
  struct uk_settings *const all[] = {&plain, &file, &login, &socket, &other};
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 5; j++)
      CHECK(uk_settings_equal(all[i], all[j]) == (i == j));
  for (int i = 0; i < 5; i++)
    uk_settings_free(all[i]);
}

/* The last text ends with the memory, so that a text which is not counted shows. */
static void everything_fits_its_memory(void)
{
  struct uk_settings settings;
  struct uk_settings_options options = options_of("http://h:1/p/");
  options.username = options.password = uk_slice_text("u");
  options.ca_file = "/ca.pem";
  options.proxy = "http://me:hush@proxy";
  for (int i = 0; i < 2; i++) {
    REQUIRE(uk_settings_init(&settings, &options, message, sizeof message));
    const char *end = settings.proxy_name + strlen(settings.proxy_name) + 1;
    CHECK_EQ_INT(end - settings.memory + (i == 0), settings.size); /* one for the socket is left */
    uk_settings_free(&settings);
    options.url = uk_slice_text("http://unix:/s:/p/");
  }
}

/* A copy shares no memory with its original. */
static void a_copy_is_independent(void)
{
  struct uk_settings settings, copy;
  struct uk_settings_options options = options_of("http://unix:/s:/p");
  const long live = fault_live();
  options.username = uk_slice_text("u");
  options.password = uk_slice_text("p");
  options.ca_file = "/ca.pem";
  REQUIRE(uk_settings_init(&settings, &options, message, sizeof message));
  fault_at(1);
  CHECK(!uk_settings_copy(&copy, &settings));
  fault_off();
  REQUIRE(uk_settings_copy(&copy, &settings));
  memset(settings.memory, '!', settings.size - 1);
  uk_settings_free(&settings);
  CHECK_EQ_STR(copy.url.data, "http://localhost/p");
  CHECK_EQ_SLICE(copy.prefix, "/p");
  CHECK_EQ_STR(copy.socket, "/s");
  CHECK_EQ_STR(copy.authorization, "Basic dTpw");
  CHECK_EQ_STR(copy.options.ca_file, "/ca.pem");
  CHECK_EQ_STR(copy.proxy, "");
  CHECK_EQ_STR(copy.proxy_name, "");
  uk_settings_free(&copy);
  CHECK_EQ_INT(fault_live(), live);
}

/* Of 64 letters. */
#define LONG_NAME "abcdefghijklmnopabcdefghijklmnopabcdefghijklmnopabcdefghijklmnop"

/* C9: a proxy is for other machines only. */
static void a_server_on_this_machine_has_no_proxy(void)
{
  static const struct {
    const char *url;
    bool local;
  } rows[] = {
    {"http://localhost:80/p", true},
    {"http://LocalHost", true},
    {"http://a.localhost.", true},
    {"http://127.0.0.1", true},
    {"http://127.255.0.9:1", true},
    {"http://127.1", true},
    {"http://2130706433", true},
    {"http://0.0.0.0:80", true},
    {"https://[::1]:8080", true},
    {"http://[::]", true},
    {"http://[::ffff:127.0.0.1]", true},
    {"http://unix:/s", true},
    {"http://128.0.0.1", false},
    {"http://notlocalhost", false},
    {"http://localhost.example", false},
    {"http://[::2]", false},
    {"http://[::ffff:10.0.0.1]", false},
    {"http://127.0.0.1.example", false},
    {"http://126.0.0.1", false},
    {"http://" LONG_NAME ".localhost", true},
    {"http://localhost." LONG_NAME, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_settings settings;
    struct uk_settings_options options = options_of(rows[i].url);
    options.proxy = "http://me:hush@proxy:3128/x";
    REQUIRE(uk_settings_init(&settings, &options, message, sizeof message));
    if (!CHECK_EQ_STR(settings.proxy, rows[i].local ? "" : options.proxy))
      fprintf(stderr, "  %s\n", rows[i].url);
    CHECK_EQ_STR(settings.proxy_name, rows[i].local ? "" : "http://proxy:3128");
    uk_settings_free(&settings);
  }
}

#define PROXY_SCHEME "proxy: http, https, socks4, socks4a, socks5 or socks5h expected before ://"
#define PROXY_HOST "proxy: the name or the address of a host expected"
#define PROXY_PORT "proxy: a port of 1 to 65535 expected after the host and its ':'"

/* Also for a server that is never reached through it. No part of the value is repeated: it may hold
 * a password. */
static void a_proxy_that_cannot_be_used_is_refused(void)
{
  static char long_one[UK_PROXY_MAX + 2];
  static const struct {
    const char *proxy, *problem; /* NULL: none */
  } rows[] = {
    {"", NULL},
    {"proxy", NULL},
    {"proxy.example:3128", NULL},
    {"10.0.0.1:1", NULL},
    {"10.0.0.1:65535/x", NULL},
    {"http://proxy", NULL},
    {"HTTPS://me:hush@proxy:00443/x@y:z", NULL},
    {"socks://proxy", NULL},
    {"socks4://proxy", NULL},
    {"socks4a://proxy", NULL},
    {"socks5://me@proxy", NULL},
    {"socks5h://:@proxy", NULL},
    {"[::1]", NULL},
    {"http://me:hush@[fe80::1%25eth0]:8080", NULL},
    {"nonsense:", PROXY_PORT},
    {"proxy:0", PROXY_PORT},
    {"proxy:00", PROXY_PORT},
    {"proxy:65536", PROXY_PORT},
    {"proxy:4294967297", PROXY_PORT},
    {"proxy:18446744073709551617", PROXY_PORT},
    {"proxy:http", PROXY_PORT},
    {"proxy:-1", PROXY_PORT},
    {"proxy:+1", PROXY_PORT},
    {"proxy:80:80", PROXY_PORT},
    {"http://me:hush@proxy:", PROXY_PORT},
    {"http:/proxy", PROXY_PORT},
    {"[::1]:", PROXY_PORT},
    {"[::1]:x", PROXY_PORT},
    {"ftp://me:hush@proxy", PROXY_SCHEME},
    {"://proxy", PROXY_SCHEME},
    {"socks6://proxy", PROXY_SCHEME},
    {"http2://proxy", PROXY_SCHEME},
    {"htt://proxy", PROXY_SCHEME},
    {"me:hush@http://proxy", PROXY_SCHEME},
    {":80", PROXY_HOST},
    {"/proxy", PROXY_HOST},
    {"http://", PROXY_HOST},
    {"http:///proxy", PROXY_HOST},
    {"http://:80", PROXY_HOST},
    {"http://me:hush@", PROXY_HOST},
    {"http://me:hush@:80", PROXY_HOST},
    {"http://me:hu@sh@proxy", PROXY_HOST},
    {"http://a,b", PROXY_HOST},
    {"http://a\\b", PROXY_HOST},
    {"::1", PROXY_HOST},
    {"[]", PROXY_HOST},
    {"[]:80", PROXY_HOST},
    {"[::1", PROXY_HOST},
    {"[::g]", PROXY_HOST},
    {"[1.2.3.4]", PROXY_HOST},
    {"x[::1]", PROXY_HOST},
    {"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", PROXY_HOST},
    {"http://me:hush@proxy?x", "proxy: must not have a query or a fragment"},
    {"proxy#x", "proxy: must not have a query or a fragment"},
    {"http://me:hush@pro xy", "proxy: contains a space or a control character"},
    {"proxy\n", "proxy: contains a space or a control character"},
    {"\x7fproxy", "proxy: contains a space or a control character"},
    {long_one, "proxy: too long"},
  };
  static const char *const urls[] = {"http://broker:8080", "http://localhost", "http://unix:/s"};
  memset(long_one, 'p', sizeof long_one - 1);
  for (size_t i = 0; i < 3 * sizeof rows / sizeof *rows; i++) {
    const size_t row = i / 3;
    struct uk_settings settings;
    struct uk_settings_options options = options_of(urls[i % 3]);
    options.proxy = rows[row].proxy;
    message[0] = '\0';
    const bool good = uk_settings_init(&settings, &options, message, sizeof message);
    if (!CHECK_EQ_INT(good, rows[row].problem == NULL) ||
        !CHECK_EQ_STR(message, good ? "" : rows[row].problem))
      fprintf(stderr, "  of proxy %s\n", options.proxy);
    if (good)
      uk_settings_free(&settings);
  }
  long_one[UK_PROXY_MAX] = '\0';
  CHECK(uk_proxy_check(long_one) == NULL);
  CHECK(uk_proxy_check(NULL) == NULL);
}

static void check_proxy_name(const char *proxy, const char *host, bool secure, const char *expected)
{
  char name[UK_PROXY_NAME_SIZE];
  memset(name, '!', sizeof name);
  uk_proxy_name(name, proxy, uk_slice_text(host), secure);
  CHECK_EQ_STR(name, expected);
}

/* Whatever a password contains, no part of it is shown. */
static void a_proxy_is_named_without_its_credentials(void)
{
  static const struct {
    const char *proxy, *name;
  } rows[] = {
    {"", ""},
    {"http://proxy", "http://proxy"},
    {"proxy:3128", "proxy:3128"},
    {"me:hush@proxy:3128", "proxy:3128"},
    {"http://me:hu@sh@proxy:3128", "http://proxy:3128"},
    {"socks5h://me@[::1]:1/", "socks5h://[::1]:1"},
    {"http://proxy/a@b", "http://proxy"},
    {"http://me:hush@proxy/a@b", "http://proxy"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    check_proxy_name(rows[i].proxy, "h", false, rows[i].name);
  char long_one[2 * UK_PROXY_NAME_SIZE], name[UK_PROXY_NAME_SIZE];
  memset(long_one, 'p', sizeof long_one - 1);
  long_one[sizeof long_one - 1] = '\0';
  uk_proxy_name(name, long_one, uk_slice_text("h"), false);
  CHECK_EQ_INT(strlen(name), UK_PROXY_NAME_SIZE - 1);
}

static const char *const proxy_variables[] = {"http_proxy", "https_proxy", "all_proxy", "no_proxy",
                                              "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"};

/* Sets the variables of "NAME=VALUE NAME=VALUE", and no other one of a proxy. A '+' in a value
 * stands for a blank. */
static void set_variables(const char *text)
{
  char copy[256], *rest = copy;
  for (size_t i = 0; i < sizeof proxy_variables / sizeof *proxy_variables; i++)
    unsetenv(proxy_variables[i]);
  snprintf(copy, sizeof copy, "%s", text);
  for (char *word; (word = strsep(&rest, " ")) != NULL;) {
    char *value = strchr(word, '=');
    if (value == NULL)
      continue;
    *value++ = '\0';
    for (char *at = value; *at != '\0'; at++)
      *at = *at == '+' ? ' ' : *at;
    setenv(word, value, 1);
  }
}

/* As libcurl reads it. */
static void the_environment_names_the_proxy(void)
{
  static const struct {
    const char *variables, *host, *plain, *secure;
  } rows[] = {
    {"", "h", "", ""},
    {"http_proxy=a", "h", "a", ""},
    {"HTTP_PROXY=a", "h", "", ""}, /* a CGI client can set it */
    {"https_proxy=a", "h", "", "a"},
    {"HTTPS_PROXY=a", "h", "", "a"},
    {"https_proxy=a HTTPS_PROXY=b", "h", "", "a"},
    {"all_proxy=a", "h", "a", "a"},
    {"ALL_PROXY=a", "h", "a", "a"},
    {"all_proxy=a ALL_PROXY=b", "h", "a", "a"},
    {"http_proxy=a all_proxy=b", "h", "a", "b"},
    {"https_proxy=a all_proxy=b", "h", "b", "a"},
    {"HTTPS_PROXY=a all_proxy=b", "h", "b", "a"},
    {"http_proxy= all_proxy=b", "h", "b", "b"},
    {"all_proxy=a no_proxy=h", "h", "", ""},
    {"all_proxy=a NO_PROXY=h", "h", "", ""},
    {"all_proxy=a no_proxy= NO_PROXY=h", "h", "", ""},
    {"all_proxy=a no_proxy=x NO_PROXY=h", "h", "a", "a"},
    {"all_proxy=a no_proxy=*", "h", "", ""},
    {"all_proxy=a no_proxy=*.b.c", "a.b.c", "a", "a"},
    {"all_proxy=a no_proxy=x,*", "h", "", ""},
    {"all_proxy=a no_proxy=x,+h,y", "h", "", ""},
    {"all_proxy=a no_proxy=x+H+y", "h", "", ""},
    {"all_proxy=a no_proxy=,,+", "h", "a", "a"},
    {"all_proxy=a no_proxy=x\th\ty", "h", "", ""},
    {"all_proxy=a no_proxy=b.c", "a.b.c", "", ""},
    {"all_proxy=a no_proxy=.b.c", "a.b.c", "", ""},
    {"all_proxy=a no_proxy=.b.c", "b.c", "", ""},
    {"all_proxy=a no_proxy=.", "b.c", "a", "a"},
    {"all_proxy=a no_proxy=b.c", "ab.c", "a", "a"},
    {"all_proxy=a no_proxy=a.b.c", "b.c", "a", "a"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    set_variables(rows[i].variables);
    check_proxy_name(NULL, rows[i].host, false, rows[i].plain);
    check_proxy_name(NULL, rows[i].host, true, rows[i].secure);
    check_proxy_name("mine", rows[i].host, false, "mine"); /* the option goes first */
    check_proxy_name("", rows[i].host, false, "");
  }
  set_variables("");
}

static void an_error_names_the_proxy(void)
{
  char text[64], cut[12];
  uk_proxy_append(text, sizeof text, "it failed", "http://proxy");
  CHECK_EQ_STR(text, "it failed (through the proxy http://proxy)");
  uk_proxy_append(cut, sizeof cut, "it failed", "http://proxy");
  CHECK_EQ_STR(cut, "it failed (");
}

static void memory_may_run_out(void)
{
  const struct uk_settings_options options = options_of("http://h");
  fault_at(1);
  CHECK(!accepts(&options));
  fault_off();
  CHECK_EQ_STR(message, "out of memory");
}

/* Bytes beyond ASCII are no control characters. */
static void a_url_may_have_any_letters(void)
{
  const struct uk_settings_options options = options_of("http://h\xc3\xa9/\xff\x80");
  CHECK(accepts(&options));
}

/* Secrets. */

static int plain_wiped, encoded_wiped, proxy_wiped;
static bool watches_wipes;

__attribute__((noinline)) static void wipe(void *bytes, size_t size)
{
  if (watches_wipes) {
    plain_wiped += size >= 6 && memcmp(bytes, "u:hush", 6) == 0; /* all of it */
    encoded_wiped += size == 14 && memcmp(bytes, "Basic dTpodXNo", 14) == 0;
    proxy_wiped += size == 16 && memcmp(bytes, "http://me:hush@p", 16) == 0;
  }
  memset(bytes, 0, size);
}

/* In front of that of libc. */
__attribute__((visibility("default"))) void explicit_bzero(void *bytes, size_t size)
{
  wipe(bytes, size);
}

/* What a build with _FORTIFY_SOURCE calls instead. */
void __explicit_bzero_chk(void *bytes, size_t size, size_t room);
__attribute__((visibility("default"))) void __explicit_bzero_chk(void *bytes, size_t size,
                                                                 size_t room)
{
  CHECK(size <= room);
  wipe(bytes, size);
}

static void leave_no_password_in_memory(void)
{
  struct uk_settings settings, copy;
  struct uk_settings_options options = options_of("http://h");
  options.username = uk_slice_text("u");
  options.password = uk_slice_text("hush");
  watches_wipes = true;
  REQUIRE(uk_settings_init(&settings, &options, message, sizeof message));
  CHECK_EQ_INT(plain_wiped, 1);
  CHECK_EQ_INT(encoded_wiped, 0);
  REQUIRE(uk_settings_copy(&copy, &settings));
  uk_settings_free(&copy);
  CHECK_EQ_INT(encoded_wiped, 1);
  uk_settings_free(&settings);
  CHECK_EQ_INT(encoded_wiped, 2);
  uk_settings_free(&settings); /* twice is once */
  CHECK_EQ_INT(encoded_wiped, 2);
  options = options_of("http://h");
  options.proxy = "http://me:hush@p";
  REQUIRE(uk_settings_init(&settings, &options, message, sizeof message));
  REQUIRE(uk_settings_copy(&copy, &settings));
  CHECK_EQ_STR(copy.proxy, "http://me:hush@p");
  CHECK_EQ_STR(copy.proxy_name, "http://p");
  uk_settings_free(&copy);
  uk_settings_free(&settings);
  CHECK_EQ_INT(proxy_wiped, 2);
  CHECK_EQ_INT(encoded_wiped, 2);
  watches_wipes = false;
}

int main(void)
{
  CHECK_RUN(defaults_match_the_documentation);
  CHECK_RUN(sizes_have_limits);
  CHECK_RUN(credentials_come_together);
  CHECK_RUN(urls_are_parsed);
  CHECK_RUN(invalid_urls_are_named);
  CHECK_RUN(are_equal_when_every_option_is);
  CHECK_RUN(an_absent_option_differs_from_a_present_one);
  CHECK_RUN(everything_fits_its_memory);
  CHECK_RUN(a_copy_is_independent);
  CHECK_RUN(a_proxy_that_cannot_be_used_is_refused);
  CHECK_RUN(a_server_on_this_machine_has_no_proxy);
  CHECK_RUN(a_proxy_is_named_without_its_credentials);
  CHECK_RUN(the_environment_names_the_proxy);
  CHECK_RUN(an_error_names_the_proxy);
  CHECK_RUN(memory_may_run_out);
  CHECK_RUN(a_url_may_have_any_letters);
  CHECK_RUN(leave_no_password_in_memory);
  return check_end();
}
