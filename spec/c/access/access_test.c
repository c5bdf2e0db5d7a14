/* for: access.c, login_cache.c, server_reload.c
 *
 * Which credential a login gets, and how the file takes effect. The thread that looks at the file
 * sees a clock of this program, so that a second passes when a test says so. */
#include "server/access/access.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access_rig.h"
#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "server/access/login_cache.h"
#include "server/api/server_state.h"
#include "server/server.h"

static atomic_llong now;

/* Times of this clock have long passed by the system's, so a wait until one ends at once. */
int64_t uk_clock_monotonic(void)
{
  usleep(100); /* the thread asks again and again */
  return atomic_load(&now);
}

int64_t uk_clock_epoch(void)
{
  return 0;
}

static char folder[] = "/tmp/uk-access-XXXXXX";
static char path[64], draft[72];
static char message[UK_SERVER_RELOAD_SIZE];
static struct uk_access *access_;

#define FAST_ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SLOW_ABC "$y$j75$saltsalt$ZScL9PANm1K9SitD7.SzSTFDXRRTaLo0RRCKFTaofv/"
#define ROW(user, secrets)                                                                         \
  "{\"user\":\"" user "\",\"secrets\":[" secrets                                                   \
  "],\"permission\":\"consume\",\"topics\":[\"*\"]}\n"
#define FAST_ROW(user) ROW(user, "\"" FAST_ABC "\"")
#define SLOW_ROW(user) ROW(user, "\"" SLOW_ABC "\"")

/* As an editor does: another file takes the name. */
static void put(const char *text)
{
  FILE *file = fopen(draft, "w");
  REQUIRE(file != NULL);
  fchmod(fileno(file), 0600);
  fputs(text, file);
  fclose(file);
  CHECK_EQ_INT(rename(draft, path), 0);
}

static enum uk_error open_access(const char *username, const char *password, const char *file)
{
  const struct uk_access_options options = {username, password, file};
  message[0] = '\0';
  return uk_access_open(&access_, &options, message, sizeof message);
}

static bool grants(const char *username, const char *password)
{
  struct uk_logins logins;
  const struct uk_credential *found;
  uk_logins_init(&logins);
  uk_logins_add(&logins, uk_slice_text(username), uk_slice_text(password));
  const enum uk_access_outcome outcome = uk_access_find(access_, &logins, &found);
  CHECK(outcome != UK_ACCESS_NO_MEMORY);
  CHECK((outcome == UK_ACCESS_GRANTED) == (found != NULL));
  if (found != NULL)
    CHECK_EQ_SLICE(uk_credential_username(found), username);
  uk_access_release(found);
  return outcome == UK_ACCESS_GRANTED;
}

static void both_kinds_of_credentials_work(void)
{
  put(FAST_ROW("fast") SLOW_ROW("slow") ROW("both", "\"" FAST_ABC "\",\"" SLOW_ABC "\""));
  CHECK_EQ_INT(open_access("me", "abc", path), UK_OK);
  CHECK(uk_access_has_file(access_));
  static const char *const users[] = {"me", "fast", "slow", "both"};
  for (int again = 0; again < 2; again++) {
    for (size_t i = 0; i < 4; i++) {
      CHECK(grants(users[i], "abc"));
      CHECK(!grants(users[i], "abd"));
      CHECK(!grants(users[i], ""));
    }
    CHECK(!grants("nobody", "abc"));
    CHECK(!grants("", ""));
  }
  uk_access_close(access_);
  CHECK_EQ_INT(open_access(NULL, NULL, path), UK_OK);
  CHECK(!grants("me", "abc") && grants("fast", "abc"));
  uk_access_close(access_);
  CHECK_EQ_INT(open_access("me", "abc", NULL), UK_OK);
  CHECK(!uk_access_has_file(access_));
  CHECK(grants("me", "abc") && !grants("fast", "abc"));
  CHECK_EQ_INT(uk_access_reload(access_, message, sizeof message), UK_OK);
  uk_access_close(access_);
}

static void names_what_is_wrong_at_the_start(void)
{
  char expected[200];
  put("{}");
  CHECK_EQ_INT(open_access("me", "p", path), UK_E_BAD_REQUEST);
  CHECK(access_ == NULL);
  snprintf(expected, sizeof expected, "credentials: %s: line 1: user: missing", path);
  CHECK_EQ_STR(message, expected);
  put("\n");
  CHECK_EQ_INT(open_access(NULL, NULL, path), UK_E_BAD_REQUEST);
  snprintf(expected, sizeof expected, "credentials: %s: holds no credential", path);
  CHECK_EQ_STR(message, expected);
  put(FAST_ROW("me"));
  CHECK_EQ_INT(open_access("me", "p", path), UK_E_BAD_REQUEST);
  snprintf(expected, sizeof expected, "credentials: %s: line 1: user: \"me\" is given twice", path);
  CHECK_EQ_STR(message, expected);
  CHECK_EQ_INT(open_access("a:b", "p", NULL), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "username, password: at most 255 bytes each expected, and no ':' in the "
                        "user name");
}

/* A file that cannot be used changes nothing, and is complained about once. */
static void a_reload_is_whole_or_nothing(void)
{
  char expected[200];
  put(FAST_ROW("one"));
  CHECK_EQ_INT(open_access("me", "p", path), UK_OK);
  put(FAST_ROW("two") "{}");
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_INT(uk_access_reload(access_, message, sizeof message), UK_E_BAD_REQUEST);
    snprintf(expected, sizeof expected, "credentials: %s: line 2: user: missing", path);
    CHECK_EQ_STR(message, expected);
    CHECK(grants("one", "abc") && !grants("two", "abc") && grants("me", "p"));
  }
  put(FAST_ROW("two"));
  CHECK_EQ_INT(uk_access_reload(access_, message, sizeof message), UK_OK);
  CHECK(!grants("one", "abc") && grants("two", "abc") && grants("me", "p"));
  unlink(path);
  CHECK_EQ_INT(uk_access_reload(access_, message, sizeof message), UK_E_BAD_REQUEST);
  CHECK(grants("two", "abc"));
  uk_access_close(access_);
}

/* Who was granted something keeps it until the end of the request. */
static void a_found_credential_outlives_its_set(void)
{
  const struct uk_credential *found;
  struct uk_logins logins;
  const long before = fault_live();
  put(FAST_ROW("one"));
  CHECK_EQ_INT(open_access(NULL, NULL, path), UK_OK);
  uk_logins_init(&logins);
  uk_logins_add(&logins, uk_slice_text("one"), uk_slice_text("abc"));
  CHECK_EQ_INT(uk_access_find(access_, &logins, &found), UK_ACCESS_GRANTED);
  put(FAST_ROW("two"));
  CHECK_EQ_INT(uk_access_reload(access_, message, sizeof message), UK_OK);
  CHECK_EQ_SLICE(uk_credential_username(found), "one");
  uk_access_close(access_);
  CHECK(uk_credential_admits(found, uk_slice_text("t")));
  uk_access_release(found);
  uk_access_release(NULL);
  CHECK_EQ_INT(fault_live(), before);
}

/* A second passes, again and again. */
static void wait_until_granted(const char *username)
{
  for (; !grants(username, "abc"); usleep(1000))
    atomic_fetch_add(&now, 1000);
}

/* The thread looks once a second, also after a file that it could not use. */
static void a_change_takes_effect_by_itself(void)
{
  put(FAST_ROW("one"));
  CHECK_EQ_INT(open_access(NULL, NULL, path), UK_OK);
  put(FAST_ROW("two"));
  wait_until_granted("two");
  CHECK(!grants("one", "abc"));
  put("broken");
  atomic_fetch_add(&now, 1000);
  CHECK(grants("two", "abc"));
  put(FAST_ROW("three"));
  wait_until_granted("three");
  uk_access_close(access_);
}

/* Another file with the same hash needs no slow hash; another hash does. */
static void remembers_only_what_was_right(void)
{
  struct uk_login_cache *cache = uk_login_cache_new();
  const struct uk_slice place = uk_slice_text("here"), none = {0};
  CHECK(!uk_login_cache_has(cache, place, "hash", uk_slice_text("p")));
  uk_login_cache_note(cache, place, "hash", uk_slice_text("p"));
  CHECK(uk_login_cache_has(cache, place, "hash", uk_slice_text("p")));
  CHECK(!uk_login_cache_has(cache, none, "hash", uk_slice_text("p")));
  CHECK(!uk_login_cache_has(cache, place, "hashp", uk_slice_text("")));
  CHECK(!uk_login_cache_has(cache, uk_slice_text("hereh"), "ash", uk_slice_text("p")));
  CHECK(!uk_login_cache_has(cache, place, "hash", uk_slice_text("q")));
  uk_login_cache_note(cache, none, "", none);
  CHECK(uk_login_cache_has(cache, none, "", none));
  uk_login_cache_free(cache);
  uk_login_cache_free(NULL);
}

/* It has a bound: what was used lately stays. */
static void forgets_the_oldest(void)
{
  struct uk_login_cache *cache = uk_login_cache_new();
  const struct uk_slice none = {0}, kept = uk_slice_text("kept");
  char password[20];
  int left = 0;
  uk_login_cache_note(cache, none, "hash", kept);
  for (int i = 0; i < 2 * UK_LOGIN_CACHE_ENTRIES; i++) {
    snprintf(password, sizeof password, "%d", i);
    uk_login_cache_note(cache, none, "hash", uk_slice_text(password));
    CHECK(i % 1000 != 0 || uk_login_cache_has(cache, none, "hash", kept));
  }
  for (int i = 0; i < 2 * UK_LOGIN_CACHE_ENTRIES; i++) {
    snprintf(password, sizeof password, "%d", i);
    left += uk_login_cache_has(cache, none, "hash", uk_slice_text(password));
  }
  CHECK(left > UK_LOGIN_CACHE_ENTRIES / 2 && left < UK_LOGIN_CACHE_ENTRIES);
  uk_login_cache_free(cache);
}

static void survives_every_failing_allocation(void)
{
  const long before = fault_live();
  enum uk_error error = UK_E_NO_MEMORY;
  put(FAST_ROW("one"));
  for (long n = 1; error != UK_OK && n < 100; n++) {
    fault_at(n);
    error = open_access("me", "p", path);
    fault_off();
    CHECK(error == UK_OK || (error == UK_E_NO_MEMORY && access_ == NULL && message[0] != '\0'));
  }
  CHECK_EQ_INT(error, UK_OK);
  put(FAST_ROW("two"));
  error = UK_E_NO_MEMORY;
  for (long n = 1; error != UK_OK && n < 100; n++) {
    CHECK(grants("one", "abc"));
    fault_at(n);
    error = uk_access_reload(access_, message, sizeof message);
    fault_off();
  }
  CHECK(grants("two", "abc"));
  uk_access_close(access_);
  CHECK_EQ_INT(fault_live(), before);
}

/* The server's part: SIGHUP reads again what there is. */
static void a_server_reloads_its_credentials(void)
{
  struct uk_server server = {0};
  put(FAST_ROW("one"));
  CHECK_EQ_INT(open_access(NULL, NULL, path), UK_OK);
  server.access = access_;
  put(FAST_ROW("two"));
  CHECK_EQ_INT(uk_server_reload(&server, message, sizeof message), UK_OK);
  CHECK_EQ_STR(message, "");
  CHECK(grants("two", "abc"));
  put("{");
  CHECK_EQ_INT(uk_server_reload(&server, message, sizeof message), UK_E_BAD_REQUEST);
  CHECK(strstr(message, "line 1") != NULL);
  put(FAST_ROW("three"));
  uk_server_hang_up(&server);
  CHECK(grants("three", "abc"));
  CHECK_EQ_INT(atomic_load(&server.hang_ups.next), 0);
  uk_access_close(access_);
  CHECK_EQ_INT(open_access("me", "p", NULL), UK_OK);
  server.access = access_;
  atomic_fetch_add(&now, 1);
  uk_server_hang_up(&server);
  CHECK(atomic_load(&server.hang_ups.next) != 0); /* it was logged that nothing was reloaded */
  uk_access_close(access_);
}

int main(void)
{
  CHECK(mkdtemp(folder) != NULL);
  snprintf(path, sizeof path, "%s/file", folder);
  snprintf(draft, sizeof draft, "%s/draft", folder);
  CHECK_RUN(both_kinds_of_credentials_work);
  CHECK_RUN(names_what_is_wrong_at_the_start);
  CHECK_RUN(a_reload_is_whole_or_nothing);
  CHECK_RUN(a_found_credential_outlives_its_set);
  CHECK_RUN(a_change_takes_effect_by_itself);
  CHECK_RUN(remembers_only_what_was_right);
  CHECK_RUN(forgets_the_oldest);
  CHECK_RUN(survives_every_failing_allocation);
  CHECK_RUN(a_server_reloads_its_credentials);
  unlink(path);
  rmdir(folder);
  return check_end();
}
