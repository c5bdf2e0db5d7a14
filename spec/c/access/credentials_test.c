/* for: credentials.c, logins.c, pattern.c */
#undef _FORTIFY_SOURCE /* its explicit_bzero is inline */
#include "server/access/credentials.h"

#include <malloc.h>
#include <stdint.h>

#include "check.h"
#include "common/base64.h"
#include "fault.h"
#include "server/access/pattern.h"

static enum uk_error add(struct uk_credentials *credentials, const char *username,
                         const char *password, unsigned permissions, const char *topic)
{
  const struct uk_slice pattern = uk_slice_text(topic);
  return uk_credentials_add(credentials,
                            &(struct uk_credential_settings){.username = uk_slice_text(username),
                                                             .password = uk_slice_text(password),
                                                             .permissions = permissions,
                                                             .topics = &pattern,
                                                             .topic_count = 1});
}

static struct uk_credentials *two(void)
{
  struct uk_credentials *credentials = uk_credentials_new();
  add(credentials, "alice", "se:cret", UK_PERMIT_FULL, "*");
  add(credentials, "bob", "", UK_PERMIT_PRODUCE, "orders.*");
  return credentials;
}

static const struct uk_credential *find_login(const struct uk_credentials *credentials,
                                              const struct uk_logins *logins)
{
  for (unsigned i = 0; i < logins->count; i++) {
    const struct uk_credential *user = uk_credentials_user(credentials, logins->all[i].username);
    if (user != NULL &&
        uk_credential_match_fast(user, logins->all[i].password) == UK_PASSWORD_RIGHT)
      return user;
  }
  return NULL;
}

static const struct uk_credential *find_slices(const struct uk_credentials *credentials,
                                               struct uk_slice username, struct uk_slice password)
{
  struct uk_logins logins;
  uk_logins_init(&logins);
  uk_logins_add(&logins, username, password);
  return find_login(credentials, &logins);
}

static const struct uk_credential *find(const struct uk_credentials *credentials,
                                        const char *username, const char *password)
{
  return find_slices(credentials, uk_slice_text(username), uk_slice_text(password));
}

static const struct uk_credential *find_header(const struct uk_credentials *credentials,
                                               struct uk_slice header)
{
  struct uk_logins logins;
  uk_logins_init(&logins);
  CHECK(uk_logins_add_basic(&logins, header) || logins.count == 0);
  return find_login(credentials, &logins);
}

static const struct uk_credential *find_basic(const struct uk_credentials *credentials,
                                              const char *plain)
{
  char header[2000] = "Basic ";
  uk_base64_encode(header + 6, plain, strlen(plain));
  return find_header(credentials, uk_slice_of(header, 6 + uk_base64_encoded_size(strlen(plain))));
}

static void finds_the_right_one(void)
{
  struct uk_credentials *credentials = two();
  const struct uk_credential *alice = find(credentials, "alice", "se:cret");
  const struct uk_credential *bob = find(credentials, "bob", "");
  CHECK(alice != NULL && bob != NULL && alice != bob);
  CHECK(find_basic(credentials, "alice:se:cret") == alice);
  CHECK(find_basic(credentials, "bob:") == bob);
  CHECK_EQ_SLICE(uk_credential_username(alice), "alice");
  CHECK_EQ_SLICE(uk_credential_username(bob), "bob");
  uk_credentials_release(credentials);
}

/* "B10": Latin-1 credentials match if the configured strings can be written in Latin-1. */
static void accepts_both_encodings(void)
{
  struct uk_credentials *credentials = uk_credentials_new();
  add(credentials, "j\xc3\xbcrgen", "p\xc3\xa4ss\xc2\xa0\xc3\xbf", UK_PERMIT_FULL, "*");
  add(credentials, "j\xc3\xb6rg", "\xe2\x82\xac", UK_PERMIT_FULL, "*");
  add(credentials, "\xc3", "\xfc", UK_PERMIT_FULL, "*");
  add(credentials, "\xe2\x82\xac", "p\xc3\xa4ss", UK_PERMIT_FULL, "*");
  add(credentials, "no-utf8",
      "\xc3"
      "A",
      UK_PERMIT_FULL, "*");
  CHECK(find_basic(credentials, "j\xc3\xbcrgen:p\xc3\xa4ss\xc2\xa0\xc3\xbf") != NULL);
  const struct uk_credential *found = find_basic(credentials, "j\xfcrgen:p\xe4ss\xa0\xff");
  CHECK(found != NULL);
  CHECK_EQ_SLICE(uk_credential_username(found), "j\xc3\xbcrgen");
  CHECK(find_basic(credentials, "j\xc3\xbcrgen:p\xe4ss\xa0\xff") == NULL);
  CHECK(find_basic(credentials, "j\xfcrgen:p\xc3\xa4ss\xc2\xa0\xc3\xbf") == NULL);
  CHECK(find_basic(credentials, "j\xfcrgen:p\xe4ss\xa0\xfe") == NULL);
  CHECK(find_basic(credentials, "j\xc3\xb6rg:\xe2\x82\xac") != NULL);
  CHECK(find_basic(credentials, "j\xf6rg:\xe2\x82\xac") == NULL);
  CHECK(find_basic(credentials, "j\xf6rg:\xac") == NULL);
  CHECK(find_basic(credentials, "j\xf6rg:\x80") == NULL);
  CHECK(find_basic(credentials, "\xe2\x82\xac:p\xc3\xa4ss") != NULL);
  CHECK(find_basic(credentials, "\xe2\x82\xac:p\xe4ss") == NULL);
  CHECK(find_basic(credentials, "\xc3:\xfc") != NULL);
  CHECK(find_basic(credentials, "no-utf8:\xc3"
                                "A") != NULL);
  CHECK(find_basic(credentials, "no-utf8:\xc1") == NULL);
  CHECK(find_basic(credentials, ":") == NULL);
  uk_credentials_release(credentials);
}

/* A password of the maximum length in UTF-8, which is shorter in Latin-1. */
static void accepts_both_encodings_of_the_longest(void)
{
  struct uk_credentials *credentials = uk_credentials_new();
  char longest[256] = "", latin1[130] = "", plain[400];
  for (int i = 0; i < 127; i++)
    strcat(longest, "\xc3\xa9");
  strcat(longest, "x");
  memset(latin1, 0xe9, 127);
  latin1[127] = 'x';
  CHECK_EQ_INT(add(credentials, "u", longest, UK_PERMIT_FULL, "*"), UK_OK);
  snprintf(plain, sizeof plain, "u:%s", longest);
  CHECK(find_basic(credentials, plain) != NULL);
  snprintf(plain, sizeof plain, "u:%s", latin1);
  CHECK(find_basic(credentials, plain) != NULL);
  latin1[127] = 'y';
  snprintf(plain, sizeof plain, "u:%s", latin1);
  CHECK(find_basic(credentials, plain) == NULL);
  uk_credentials_release(credentials);
}

static void refuses_the_rest(void)
{
  struct uk_credentials *credentials = two();
  char longer[1400];
  memset(longer, 'a', sizeof longer);
  longer[sizeof longer - 1] = '\0';
  CHECK(find(credentials, "alice", "") == NULL);
  CHECK(find(credentials, "alice", "se:cre") == NULL);
  CHECK(find(credentials, "alice", "se:crett") == NULL);
  CHECK(find(credentials, "", "") == NULL);
  CHECK(find(credentials, "bob", "se:cret") == NULL);
  CHECK(find(credentials, longer, "se:cret") == NULL);
  CHECK(find(credentials, "alice", longer) == NULL);
  CHECK(find(credentials, "bob", longer) == NULL); /* his password is empty */
  CHECK(find_slices(credentials, uk_slice_of("bob", 3), uk_slice_of("\0", 1)) == NULL);
  CHECK(find_basic(credentials, "alice") == NULL);
  CHECK(find_basic(credentials, longer) == NULL);
  uk_credentials_release(credentials);
}

/* One wrong byte anywhere is refused, and so is a right part with a wrong other one. */
static void f8_compares_every_byte(void)
{
  struct uk_credentials *credentials = uk_credentials_new();
  char longest[UK_LOGIN_PART_MAX + 1] = "";
  memset(longest, 'x', UK_LOGIN_PART_MAX);
  const char *const parts[] = {"p", "secret", longest};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char other[UK_LOGIN_PART_MAX + 1];
    size_t length = strlen(parts[i]);
    CHECK_EQ_INT(add(credentials, parts[i], parts[i], UK_PERMIT_FULL, "*"), UK_OK);
    CHECK(find(credentials, parts[i], parts[i]) != NULL);
    for (size_t at = 0; at < length; at++) {
      memcpy(other, parts[i], length + 1);
      other[at] = (char)(other[at] ^ 1);
      CHECK(find(credentials, parts[i], other) == NULL);
      CHECK(find(credentials, other, parts[i]) == NULL);
      CHECK(find(credentials, other, other) == NULL);
    }
  }
  CHECK(find(credentials, "p", "secret") == NULL); /* another user's password */
  uk_credentials_release(credentials);
}

static void reads_the_header(void)
{
  struct uk_credentials *credentials = two();
  static const char *const right[] = {"Basic Ym9iOg==", "basic Ym9iOg==", "BASIC   Ym9iOg==  "};
  static const char *const wrong[] = {
    "", "Basic", "Basic ", "Bearer Ym9iOg==", "Basic Ym9iOg", "Basic !!!!", "BasicYm9iOg=="};
  for (size_t i = 0; i < sizeof right / sizeof *right; i++)
    CHECK(find_header(credentials, uk_slice_text(right[i])) != NULL);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    CHECK(find_header(credentials, uk_slice_text(wrong[i])) == NULL);
  CHECK(find_header(credentials, (struct uk_slice){0}) == NULL);
  uk_credentials_release(credentials);
}

static void accepts_parts_up_to_the_limit(void)
{
  struct uk_credentials *credentials = uk_credentials_new();
  char part[UK_LOGIN_PART_MAX + 2] = "";
  memset(part, 'x', UK_LOGIN_PART_MAX);
  CHECK_EQ_INT(add(credentials, part, part, UK_PERMIT_FULL, part), UK_OK);
  CHECK(find(credentials, part, part) != NULL);
  char both[2 * UK_LOGIN_PART_MAX + 2];
  snprintf(both, sizeof both, "%s:%s", part, part);
  CHECK(find_basic(credentials, both) != NULL);
  part[UK_LOGIN_PART_MAX] = 'x';
  CHECK_EQ_INT(add(credentials, part, "p", UK_PERMIT_FULL, "*"), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(add(credentials, "u", part, UK_PERMIT_FULL, "*"), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(add(credentials, "u", "p", UK_PERMIT_FULL, part), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(add(credentials, "", "p", UK_PERMIT_FULL, "*"), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(add(credentials, "a:b", "p", UK_PERMIT_FULL, "*"), UK_E_BAD_REQUEST);
  CHECK(find(credentials, "u", "p") == NULL);
  uk_credentials_release(credentials);
}

static bool admits(const char *pattern, const char *topic)
{
  struct uk_credentials *credentials = uk_credentials_new();
  add(credentials, "u", "p", UK_PERMIT_CONSUME, pattern);
  bool result = uk_credential_admits(find(credentials, "u", "p"), uk_slice_text(topic));
  uk_credentials_release(credentials);
  return result;
}

static void admits_topics_that_match_the_pattern(void)
{
  CHECK(admits("*", "anything"));
  CHECK(admits("orders", "orders"));
  CHECK(!admits("orders", "orders2"));
  CHECK(!admits("orders", "order"));
  CHECK(admits("orders.*", "orders.eu"));
  CHECK(admits("orders.*", "orders."));
  CHECK(!admits("orders", "orderz"));
  CHECK(!admits("orders.*", "orders"));
  CHECK(!admits("orders.*", "invoices.eu"));
  CHECK(admits("a", "a"));
  CHECK(!admits("a", ""));
  CHECK(admits("*", ""));
}

static void keeps_the_given_credentials(void)
{
  struct uk_credentials *credentials = two();
  const struct uk_credential *alice = find(credentials, "alice", "se:cret");
  const struct uk_credential *bob = find(credentials, "bob", "");
  CHECK(uk_credential_holds(alice, UK_PERMIT_FULL));
  CHECK(uk_credential_holds(alice, UK_PERMIT_CONSUME));
  CHECK(uk_credential_holds(bob, UK_PERMIT_ANY));
  CHECK(uk_credential_holds(bob, UK_PERMIT_PRODUCE | UK_PERMIT_TOPICS));
  CHECK(!uk_credential_holds(bob, UK_PERMIT_CONSUME | UK_PERMIT_MONITOR));
  CHECK(!uk_credential_holds(bob, UK_PERMIT_TOPICS));
  CHECK(uk_credential_admits_all(alice) && !uk_credential_admits_all(bob));
  CHECK(uk_credential_admits_group(bob, uk_slice_text("any")));
  uk_credentials_release(credentials);
}

static int wiped; /* areas with the secret */

/* Areas are looked at as they are, also where nothing was written yet; not under valgrind. */
static bool looks;

void explicit_bzero(void *memory, size_t size)
{
  void *volatile block = memory;
  wiped += looks && memmem(block, size, "se:cret", 7) != NULL;
  memset(memory, 0, size);
}

/* What a build with _FORTIFY_SOURCE calls instead. */
void __explicit_bzero_chk(void *memory, size_t size, size_t room);
void __explicit_bzero_chk(void *memory, size_t size, size_t room)
{
  CHECK(size <= room);
  explicit_bzero(memory, size);
}

/* Copies of a password do not stay on the stack. */
static void wipes_its_copies(void)
{
  struct uk_logins logins;
  struct uk_credentials *credentials = two();
  wiped = 0;
  uk_logins_init(&logins);
  uk_logins_add_basic(&logins, uk_slice_text("Basic YWxpY2U6c2U6Y3JldA=="));
  CHECK_EQ_INT(logins.count, 1);
  CHECK_EQ_INT(wiped, 1); /* the decoded header */
  CHECK(find_login(credentials, &logins) != NULL);
  CHECK_EQ_INT(wiped, 2); /* the padded copy */
  uk_logins_wipe(&logins);
  CHECK_EQ_INT(wiped, 3);
  CHECK_EQ_INT(logins.count, 0);
  wiped = 0;
  uk_logins_add(&logins, uk_slice_text("\xfc"), uk_slice_text("se:cret"));
  CHECK_EQ_INT(logins.count, 2);
  CHECK_EQ_INT(wiped, 1); /* the form in UTF-8 */
  uk_credentials_release(credentials);
  CHECK_EQ_INT(wiped, 2);
}

static int freed, with_secret;

/* Reads as many bytes as every block here has. */
static void look_for_secret(const void *memory)
{
  size_t size = malloc_usable_size((void *)(uintptr_t)memory);
  freed++;
  with_secret += memmem(memory, size, "se:cret", 7) != NULL;
}

/* No password stays in freed memory, and none of it is lost. A set lives as long as its last
 * reference. */
static void wipes_what_it_frees(void)
{
  long before = fault_live();
  struct uk_credentials *credentials = two();
  CHECK(fault_live() > before + 3);
  CHECK(uk_credentials_retain(credentials) == credentials);
  uk_credentials_release(credentials);
  CHECK(find(credentials, "alice", "se:cret") != NULL);
  freed = with_secret = 0;
  fault_watch_free(look_for_secret);
  uk_credentials_release(credentials);
  fault_watch_free(NULL);
  CHECK(freed > 3);
  CHECK_EQ_INT(with_secret, 0);
  CHECK_EQ_INT(fault_live(), before);
  uk_credentials_release(NULL);
}

static void survives_every_failing_allocation(void)
{
  static const char fast[] =
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const struct uk_slice names[] = {uk_slice_text("a"), uk_slice_text("b*")};
  const struct uk_credential_settings settings = {.username = names[0],
                                                  .hashes = {fast, fast},
                                                  .permissions = 1,
                                                  .topics = names,
                                                  .topic_count = 2,
                                                  .groups = names,
                                                  .group_count = 2};
  long before = fault_live();
  enum uk_error error = UK_E_NO_MEMORY;
  for (long n = 1; error != UK_OK; n++) {
    fault_at(n);
    struct uk_credentials *credentials = uk_credentials_new();
    error = credentials == NULL ? UK_E_NO_MEMORY : uk_credentials_add(credentials, &settings);
    fault_off();
    CHECK(n < 20 && (error == UK_OK || error == UK_E_NO_MEMORY));
    if (credentials != NULL)
      CHECK_EQ_INT(uk_credentials_count(credentials), error == UK_OK);
    uk_credentials_release(credentials);
  }
  CHECK_EQ_INT(fault_live(), before);
}

/* Many users, in any order: each is found, once, and nobody else. */
static void finds_each_of_many(void)
{
  struct uk_credentials *credentials = uk_credentials_new();
  char name[20];
  for (int i = 0; i < 100; i++) {
    snprintf(name, sizeof name, "user-%d", i * 37 % 100);
    CHECK_EQ_INT(add(credentials, name, name, UK_PERMIT_CONSUME, "*"), UK_OK);
  }
  CHECK_EQ_INT(uk_credentials_count(credentials), 100);
  for (int i = 0; i < 100; i++) {
    snprintf(name, sizeof name, "user-%d", i);
    const struct uk_credential *found = find(credentials, name, name);
    REQUIRE(found != NULL);
    CHECK_EQ_SLICE(uk_credential_username(found), name);
    CHECK(uk_credential_set(found) == credentials);
    CHECK_EQ_INT(add(credentials, name, "other", UK_PERMIT_FULL, "*"), UK_E_CONFLICT);
  }
  CHECK(uk_credentials_user(credentials, uk_slice_text("user-")) == NULL);
  CHECK(uk_credentials_user(credentials, uk_slice_text("user-999")) == NULL);
  CHECK(uk_credentials_user(credentials, uk_slice_text("zzz")) == NULL);
  uk_credentials_release(credentials);
}

#define FAST_ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define FAST_EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SLOW "$y$j75$saltsalt$ZScL9PANm1K9SitD7.SzSTFDXRRTaLo0RRCKFTaofv/"

static void keeps_hashes_and_patterns(void)
{
  const struct uk_slice topics[] = {uk_slice_text("a"), uk_slice_text("b*")};
  const struct uk_slice groups[] = {uk_slice_text("g"), uk_slice_text("h-*")};
  struct uk_credentials *credentials = uk_credentials_new();
  struct uk_credential_settings settings = {.username = uk_slice_text("u"),
                                            .hashes = {FAST_EMPTY, FAST_ABC},
                                            .permissions = UK_PERMIT_CONSUME,
                                            .topics = topics,
                                            .topic_count = 2,
                                            .groups = groups,
                                            .group_count = 2};
  CHECK_EQ_INT(uk_credentials_add(credentials, &settings), UK_OK);
  const struct uk_credential *u = uk_credentials_user(credentials, settings.username);
  REQUIRE(u != NULL);
  CHECK_EQ_INT(uk_credential_match_fast(u, uk_slice_text("abc")), UK_PASSWORD_RIGHT);
  CHECK_EQ_INT(uk_credential_match_fast(u, uk_slice_text("")), UK_PASSWORD_RIGHT);
  CHECK_EQ_INT(uk_credential_match_fast(u, uk_slice_text("abd")), UK_PASSWORD_WRONG);
  CHECK_EQ_STR(uk_credential_hash(u, 1), FAST_ABC);
  CHECK(uk_credential_hash(u, 2) == NULL);
  CHECK(uk_credential_admits(u, uk_slice_text("a")) &&
        uk_credential_admits(u, uk_slice_text("b1")));
  CHECK(!uk_credential_admits(u, uk_slice_text("c")) && !uk_credential_admits_all(u));
  CHECK(uk_credential_admits_group(u, uk_slice_text("g")) &&
        uk_credential_admits_group(u, uk_slice_text("h-1")));
  CHECK(!uk_credential_admits_group(u, uk_slice_text("a")));
  CHECK(uk_credentials_decoy(credentials) == NULL);
  CHECK_EQ_INT(uk_credentials_slow_hashes(credentials), 0);
  settings.username = uk_slice_text("v");
  settings.hashes[0] = SLOW;
  settings.hashes[1] = SLOW;
  CHECK_EQ_INT(uk_credentials_add(credentials, &settings), UK_OK);
  settings.username = uk_slice_text("w");
  settings.hashes[1] = FAST_ABC;
  CHECK_EQ_INT(uk_credentials_add(credentials, &settings), UK_OK);
  CHECK_EQ_STR(uk_credentials_decoy(credentials), SLOW);
  CHECK_EQ_INT(uk_credentials_slow_hashes(credentials), 2);
  settings.username = uk_slice_text("x");
  settings.hashes[1] = "sha256:0";
  CHECK_EQ_INT(uk_credentials_add(credentials, &settings), UK_E_BAD_REQUEST);
  uk_credentials_release(credentials);
}

static void reads_patterns(void)
{
  struct uk_pattern pattern;
  static const char *const wrong[] = {"", "**", "*a", "a*b", "a*b*"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    CHECK(!uk_pattern_read(&pattern, uk_slice_text(wrong[i])));
  CHECK(uk_pattern_read(&pattern, uk_slice_text("ab*")) && pattern.prefix);
  CHECK_EQ_SLICE(pattern.text, "ab");
  CHECK(uk_pattern_read(&pattern, uk_slice_text("ab")) && !pattern.prefix);
  CHECK_EQ_SLICE(pattern.text, "ab");
}

/* A header and a query give eight at most; one that is there already does not count again. */
static void takes_each_login_once(void)
{
  struct uk_logins logins, copy;
  char name[2] = "";
  uk_logins_init(&logins);
  for (int i = 0; i < 12; i++) {
    name[0] = (char)('a' + i);
    uk_logins_add(&logins, uk_slice_text(name), uk_slice_text("p"));
    uk_logins_add(&logins, uk_slice_text(name), uk_slice_text("p"));
    CHECK_EQ_INT(logins.count, i < 8 ? i + 1 : 8);
  }
  CHECK_EQ_SLICE(logins.all[7].username, "h");
  CHECK_EQ_SLICE(logins.all[7].password, "p");
  uk_logins_copy(&copy, &logins);
  uk_logins_wipe(&logins);
  CHECK_EQ_INT(copy.count, 8);
  CHECK_EQ_SLICE(copy.all[0].username, "a");
  CHECK_EQ_SLICE(copy.all[7].username, "h");
}

int main(void)
{
  const char *reason = check_unless_valgrind("it reads what may not be initialized");
  looks = reason == NULL;
  CHECK_RUN(finds_the_right_one);
  CHECK_RUN(finds_each_of_many);
  CHECK_RUN(accepts_both_encodings);
  CHECK_RUN(accepts_both_encodings_of_the_longest);
  CHECK_RUN(refuses_the_rest);
  CHECK_RUN(f8_compares_every_byte);
  CHECK_RUN(reads_the_header);
  CHECK_RUN(accepts_parts_up_to_the_limit);
  CHECK_RUN(admits_topics_that_match_the_pattern);
  CHECK_RUN(keeps_the_given_credentials);
  CHECK_RUN(keeps_hashes_and_patterns);
  CHECK_RUN(reads_patterns);
  CHECK_RUN(takes_each_login_once);
  CHECK_RUN_UNLESS(reason, wipes_its_copies);
  CHECK_RUN_UNLESS(reason, wipes_what_it_frees);
  CHECK_RUN(survives_every_failing_allocation);
  return check_end();
}
