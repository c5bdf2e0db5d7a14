/* for: access.c, login_cache.c, attempts.c, server_reload.c
 *
 * Which credential a login gets, and how the file takes effect. The thread that looks at the file
 * sees a clock of this program, so that a second passes when a test says so. */
#include "server/access/access.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access_rig.h"
#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "server/access/attempts.h"
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

static struct uk_client_address address(unsigned char last)
{
  return (struct uk_client_address){
    .internet = true,
    .bytes = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = last}};
}

static struct uk_access_result find(const char *username, const char *password,
                                    const struct uk_client_address *client)
{
  struct uk_logins logins;
  uk_logins_init(&logins);
  uk_logins_add(&logins, uk_slice_text(username), uk_slice_text(password));
  return uk_access_find(access_, &logins, client);
}

static enum uk_access_outcome try_from(unsigned char last, const char *username,
                                       const char *password)
{
  const struct uk_client_address client = address(last);
  const struct uk_access_result result = find(username, password, &client);
  CHECK((result.outcome == UK_ACCESS_GRANTED) == (result.credential != NULL));
  if (result.credential != NULL)
    CHECK_EQ_SLICE(uk_credential_username(result.credential), username);
  uk_access_release(result.credential);
  return result.outcome;
}

/* Each from another address of IPv6, so that none has tried too often. */
static bool grants(const char *username, const char *password)
{
  static unsigned number;
  struct uk_client_address client = {.internet = true};
  number++;
  memcpy(client.bytes, &number, sizeof number);
  const struct uk_access_result result = find(username, password, &client);
  CHECK(result.outcome == UK_ACCESS_GRANTED || result.outcome == UK_ACCESS_REFUSED);
  uk_access_release(result.credential);
  return result.outcome == UK_ACCESS_GRANTED;
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
  const struct uk_client_address client = address(1);
  const long before = fault_live();
  put(FAST_ROW("one"));
  CHECK_EQ_INT(open_access(NULL, NULL, path), UK_OK);
  const struct uk_credential *found = find("one", "abc", &client).credential;
  REQUIRE(found != NULL);
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

/* Wrong logins of an address are counted; a right one is not, nor is a request without any. */
static void wrong_logins_are_slowed_by_address(void)
{
  const struct uk_client_address one = address(1);
  struct uk_logins none;
  atomic_store(&now, 0);
  put(FAST_ROW("fast") SLOW_ROW("slow"));
  CHECK_EQ_INT(open_access("me", "p", path), UK_OK);
  uk_logins_init(&none);
  for (int i = 0; i < 30; i++) {
    CHECK_EQ_INT(try_from(1, "slow", "abc"), UK_ACCESS_GRANTED);
    CHECK_EQ_INT(uk_access_find(access_, &none, &one).outcome, UK_ACCESS_REFUSED);
  }
  static const char *const users[] = {"me", "fast", "slow", "nobody"};
  for (int i = 0; i < 10; i++)
    CHECK_EQ_INT(try_from(1, users[i % 4], "x"), UK_ACCESS_REFUSED);
  for (int i = 0; i < 10; i++)
    CHECK_EQ_INT(try_from(1, users[i % 4], "x"), UK_ACCESS_LATER);
  /* Not even a right one tells a guesser anything; who was right before is not slowed. */
  CHECK_EQ_INT(try_from(1, "me", "p"), UK_ACCESS_LATER);
  CHECK_EQ_INT(try_from(1, "fast", "abc"), UK_ACCESS_LATER);
  CHECK_EQ_INT(try_from(1, "slow", "abc"), UK_ACCESS_GRANTED);
  CHECK_EQ_INT(try_from(2, "me", "x"), UK_ACCESS_REFUSED);
  CHECK_EQ_INT(try_from(2, "me", "p"), UK_ACCESS_GRANTED);
  atomic_fetch_add(&now, UK_ATTEMPTS_INTERVAL - 1);
  CHECK_EQ_INT(try_from(1, "me", "x"), UK_ACCESS_LATER);
  atomic_fetch_add(&now, 1);
  CHECK_EQ_INT(try_from(1, "me", "x"), UK_ACCESS_REFUSED);
  CHECK_EQ_INT(try_from(1, "me", "x"), UK_ACCESS_LATER);
  atomic_fetch_add(&now, UK_ATTEMPTS_INTERVAL);
  CHECK_EQ_INT(try_from(1, "me", "p"), UK_ACCESS_GRANTED); /* and is given back */
  CHECK_EQ_INT(try_from(1, "fast", "abc"), UK_ACCESS_GRANTED);
  CHECK_EQ_INT(try_from(1, "fast", "x"), UK_ACCESS_REFUSED);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ_INT(try_from(1, "me", "p"), UK_ACCESS_GRANTED);
    CHECK_EQ_INT(try_from(1, "fast", "abc"), UK_ACCESS_GRANTED);
    CHECK_EQ_INT(try_from(1, "fast", "x"), UK_ACCESS_LATER);
  }
  uk_access_close(access_);
}

/* What was right from one address lets no other in, and a network of IPv6 counts as one. */
static void each_address_counts_for_itself(void)
{
  struct uk_client_address here = {.internet = true, .bytes = {[0] = 0x20, [7] = 1, [15] = 1}};
  put(FAST_ROW("fast") SLOW_ROW("slow"));
  CHECK_EQ_INT(open_access(NULL, NULL, path), UK_OK);
  CHECK_EQ_INT(try_from(1, "slow", "abc"), UK_ACCESS_GRANTED);
  for (int i = 0; i < UK_ATTEMPTS_AT_ONCE; i++)
    CHECK_EQ_INT(try_from(2, "slow", "x"), UK_ACCESS_REFUSED);
  CHECK_EQ_INT(try_from(2, "slow", "abc"), UK_ACCESS_LATER);
  CHECK_EQ_INT(try_from(1, "slow", "abc"), UK_ACCESS_GRANTED);
  for (int i = 0; i < UK_ATTEMPTS_AT_ONCE; i++) {
    here.bytes[15] = (unsigned char)i;
    CHECK_EQ_INT(find("fast", "x", &here).outcome, UK_ACCESS_REFUSED);
  }
  here.bytes[8] = 77;
  CHECK_EQ_INT(find("fast", "x", &here).outcome, UK_ACCESS_LATER);
  here.bytes[7] = 2;
  CHECK_EQ_INT(find("fast", "x", &here).outcome, UK_ACCESS_REFUSED);
  uk_access_close(access_);
}

/* Each slow hash is that of its own password, wherever it stands in the file. */
static void slow_hashes_differ(void)
{
  char hash[UK_PASSWORD_HASH_SIZE], text[2000];
  CHECK(uk_password_hash_make(hash, uk_slice_text("xyz"), false));
  for (int first = 0; first < 2; first++) {
    snprintf(text, sizeof text, "%s" ROW("typed", "\"%s\"") "%s" ROW("two", "\"%s\",\"%s\""),
             first ? SLOW_ROW("slow") : "", hash, first ? "" : SLOW_ROW("slow"), hash, SLOW_ABC);
    put(text);
    CHECK_EQ_INT(open_access(NULL, NULL, path), UK_OK);
    CHECK(!grants("typed", "abc") && grants("typed", "xyz") && !grants("typed", "abc"));
    CHECK(!grants("slow", "xyz") && grants("slow", "abc"));
    CHECK(grants("two", "xyz") && grants("two", "abc") && !grants("two", "xya"));
    CHECK(!grants("nobody", "abc") && !grants("nobody", "xyz"));
    uk_access_close(access_);
  }
}

/* What was right before is forgotten when the secret changes, and only then. */
static void a_changed_secret_is_not_remembered(void)
{
  put(FAST_ROW("one") SLOW_ROW("two") FAST_ROW("three"));
  CHECK_EQ_INT(open_access(NULL, NULL, path), UK_OK);
  static const char *const users[] = {"one", "two", "three"};
  for (int i = 0; i < 3; i++)
    CHECK_EQ_INT(try_from(9, users[i], "abc"), UK_ACCESS_GRANTED);
  put(ROW("one", "\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"")
        SLOW_ROW("two"));
  CHECK_EQ_INT(uk_access_reload(access_, message, sizeof message), UK_OK);
  CHECK_EQ_INT(try_from(9, "one", "abc"), UK_ACCESS_REFUSED);
  CHECK_EQ_INT(try_from(9, "three", "abc"), UK_ACCESS_REFUSED);
  CHECK_EQ_INT(try_from(9, "two", "abc"), UK_ACCESS_GRANTED);
  CHECK_EQ_INT(try_from(9, "one", ""), UK_ACCESS_GRANTED);
  uk_access_close(access_);
}

/* One right password is not another user's, and one of two secrets is not the other. */
static void remembers_for_each_user(void)
{
  put(ROW("a", "\"" FAST_ABC "\",\"" SLOW_ABC "\"")
        ROW("b", "\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""));
  CHECK_EQ_INT(open_access("me", "secret", path), UK_OK);
  CHECK_EQ_INT(access_rig_add(access_, "you", "other", UK_PERMIT_FULL, "*"), UK_OK);
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_INT(try_from(9, "me", "secret"), UK_ACCESS_GRANTED);
    CHECK_EQ_INT(try_from(9, "you", "secret"), UK_ACCESS_REFUSED);
    CHECK_EQ_INT(try_from(9, "a", "abc"), UK_ACCESS_GRANTED);
    CHECK_EQ_INT(try_from(9, "b", "abc"), UK_ACCESS_REFUSED);
  }
  uk_access_close(access_);
}

/* The table has a bound; the addresses that have tried most stay. */
static void attempts_are_bounded(void)
{
  struct uk_attempts *attempts = calloc(1, sizeof *attempts);
  REQUIRE(attempts != NULL && uk_attempts_init(attempts));
  struct uk_client_address guesser = address(1), other = {.internet = true};
  for (int i = 0; i < UK_ATTEMPTS_AT_ONCE; i++)
    CHECK_EQ_INT(uk_attempts_take(attempts, &guesser, 0), 0);
  for (unsigned i = 0; i < 4 * UK_ATTEMPTS_ADDRESSES; i++) {
    memcpy(other.bytes, &i, sizeof i);
    CHECK_EQ_INT(uk_attempts_take(attempts, &other, 0), 0);
  }
  CHECK_EQ_INT(uk_attempts_take(attempts, &guesser, 0), UK_ATTEMPTS_INTERVAL);
  CHECK_EQ_INT(uk_attempts_take(attempts, &guesser, 1), UK_ATTEMPTS_INTERVAL - 1);
  uk_attempts_give_back(attempts, &guesser);
  CHECK_EQ_INT(uk_attempts_take(attempts, &guesser, 1), 0);
  CHECK(uk_attempts_take(attempts, &guesser, 1) > 0);
  CHECK_EQ_INT(uk_attempts_take(attempts, &guesser, 1000000), 0);
  uk_attempts_destroy(attempts);
  free(attempts);
}

static void *guess(void *argument)
{
  struct uk_client_address client = address((unsigned char)(uintptr_t)argument);
  unsigned granted = 0;
  for (int i = 0; i < 50; i++) {
    const struct uk_access_result result = find(i % 2 == 0 ? "slow" : "fast", "abc", &client);
    CHECK(result.outcome == UK_ACCESS_GRANTED || result.outcome == UK_ACCESS_LATER);
    granted += result.outcome == UK_ACCESS_GRANTED;
    uk_access_release(result.credential);
  }
  CHECK(granted >= 25);
  return NULL;
}

/* While one thread computes a slow hash, others are told to come later; nobody waits. */
static void many_threads_log_in(void)
{
  pthread_t threads[4];
  put(FAST_ROW("fast") SLOW_ROW("slow"));
  CHECK_EQ_INT(open_access(NULL, NULL, path), UK_OK);
  for (uintptr_t i = 0; i < 4; i++)
    CHECK_EQ_INT(pthread_create(&threads[i], NULL, guess, (void *)i), 0);
  for (int i = 0; i < 20; i++)
    CHECK_EQ_INT(uk_access_reload(access_, message, sizeof message), UK_OK);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  uk_access_close(access_);
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
  check_run("E6: wrong logins are slowed by address", wrong_logins_are_slowed_by_address);
  check_run("E6: each address counts for itself", each_address_counts_for_itself);
  check_run("E6: slow hashes differ", slow_hashes_differ);
  check_run("E6: a changed secret is not remembered", a_changed_secret_is_not_remembered);
  check_run("E6: remembers for each user", remembers_for_each_user);
  check_run("E6: attempts are bounded", attempts_are_bounded);
  check_run("E6: many threads log in", many_threads_log_in);
  CHECK_RUN(survives_every_failing_allocation);
  CHECK_RUN(a_server_reloads_its_credentials);
  unlink(path);
  rmdir(folder);
  return check_end();
}
