/* for: credentials.c */
#undef _FORTIFY_SOURCE /* its explicit_bzero is inline */
#include "server/api/credentials.h"

#include <malloc.h>
#include <stdint.h>

#include "check.h"
#include "common/base64.h"
#include "fault.h"

static struct uk_credentials *two(void)
{
  struct uk_credentials *credentials = uk_credentials_new();
  uk_credentials_add(credentials, "alice", "se:cret", UK_PERMIT_FULL, "*");
  uk_credentials_add(credentials, "bob", "", UK_PERMIT_PRODUCE, "orders.*");
  return credentials;
}

static const struct uk_credential *find(const struct uk_credentials *credentials,
                                        const char *username, const char *password)
{
  return uk_credentials_find(credentials, uk_slice_text(username), uk_slice_text(password));
}

static const struct uk_credential *find_basic(const struct uk_credentials *credentials,
                                              const char *plain)
{
  char header[2000] = "Basic ";
  uk_base64_encode(header + 6, plain, strlen(plain));
  return uk_credentials_find_basic(credentials,
                                   uk_slice_of(header, 6 + uk_base64_encoded_size(strlen(plain))));
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
  uk_credentials_free(credentials);
}

/* "B10": Latin-1 credentials match if the configured strings can be written in Latin-1. */
static void accepts_both_encodings(void)
{
  struct uk_credentials *credentials = uk_credentials_new();
  uk_credentials_add(credentials, "j\xc3\xbcrgen", "p\xc3\xa4ss\xc2\xa0\xc3\xbf", UK_PERMIT_FULL,
                     "*");
  uk_credentials_add(credentials, "j\xc3\xb6rg", "\xe2\x82\xac", UK_PERMIT_FULL, "*");
  uk_credentials_add(credentials, "\xc3", "\xfc", UK_PERMIT_FULL, "*");
  uk_credentials_add(credentials, "\xe2\x82\xac", "p\xc3\xa4ss", UK_PERMIT_FULL, "*");
  uk_credentials_add(credentials, "no-utf8",
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
  uk_credentials_free(credentials);
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
  CHECK_EQ_INT(uk_credentials_add(credentials, "u", longest, UK_PERMIT_FULL, "*"), UK_OK);
  snprintf(plain, sizeof plain, "u:%s", longest);
  CHECK(find_basic(credentials, plain) != NULL);
  snprintf(plain, sizeof plain, "u:%s", latin1);
  CHECK(find_basic(credentials, plain) != NULL);
  latin1[127] = 'y';
  snprintf(plain, sizeof plain, "u:%s", latin1);
  CHECK(find_basic(credentials, plain) == NULL);
  uk_credentials_free(credentials);
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
  CHECK(uk_credentials_find(credentials, uk_slice_of("bob", 3), uk_slice_of("\0", 1)) == NULL);
  CHECK(find_basic(credentials, "alice") == NULL);
  CHECK(find_basic(credentials, longer) == NULL);
  uk_credentials_free(credentials);
}

/* One wrong byte anywhere is refused, and so is a right part with a wrong other one. */
static void f8_compares_every_byte(void)
{
  struct uk_credentials *credentials = uk_credentials_new();
  char longest[UK_CREDENTIAL_PART_MAX + 1] = "";
  memset(longest, 'x', UK_CREDENTIAL_PART_MAX);
  const char *const parts[] = {"p", "secret", longest};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char other[UK_CREDENTIAL_PART_MAX + 1];
    size_t length = strlen(parts[i]);
    CHECK_EQ_INT(uk_credentials_add(credentials, parts[i], parts[i], UK_PERMIT_FULL, "*"), UK_OK);
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
  uk_credentials_free(credentials);
}

static void reads_the_header(void)
{
  struct uk_credentials *credentials = two();
  static const char *const right[] = {"Basic Ym9iOg==", "basic Ym9iOg==", "BASIC   Ym9iOg==  "};
  static const char *const wrong[] = {
    "", "Basic", "Basic ", "Bearer Ym9iOg==", "Basic Ym9iOg", "Basic !!!!", "BasicYm9iOg=="};
  for (size_t i = 0; i < sizeof right / sizeof *right; i++)
    CHECK(uk_credentials_find_basic(credentials, uk_slice_text(right[i])) != NULL);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    CHECK(uk_credentials_find_basic(credentials, uk_slice_text(wrong[i])) == NULL);
  CHECK(uk_credentials_find_basic(credentials, (struct uk_slice){0}) == NULL);
  uk_credentials_free(credentials);
}

static void accepts_parts_up_to_the_limit(void)
{
  struct uk_credentials *credentials = uk_credentials_new();
  char part[UK_CREDENTIAL_PART_MAX + 2] = "";
  memset(part, 'x', UK_CREDENTIAL_PART_MAX);
  CHECK_EQ_INT(uk_credentials_add(credentials, part, part, UK_PERMIT_FULL, part), UK_OK);
  CHECK(find(credentials, part, part) != NULL);
  char both[2 * UK_CREDENTIAL_PART_MAX + 2];
  snprintf(both, sizeof both, "%s:%s", part, part);
  CHECK(find_basic(credentials, both) != NULL);
  part[UK_CREDENTIAL_PART_MAX] = 'x';
  CHECK_EQ_INT(uk_credentials_add(credentials, part, "p", UK_PERMIT_FULL, "*"), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(uk_credentials_add(credentials, "u", part, UK_PERMIT_FULL, "*"), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(uk_credentials_add(credentials, "u", "p", UK_PERMIT_FULL, part), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(uk_credentials_add(credentials, "", "p", UK_PERMIT_FULL, "*"), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(uk_credentials_add(credentials, "a:b", "p", UK_PERMIT_FULL, "*"), UK_E_BAD_REQUEST);
  CHECK(find(credentials, "u", "p") == NULL);
  uk_credentials_free(credentials);
}

static bool admits(const char *pattern, const char *topic)
{
  struct uk_credentials *credentials = uk_credentials_new();
  uk_credentials_add(credentials, "u", "p", UK_PERMIT_CONSUME, pattern);
  bool result = uk_credential_admits(find(credentials, "u", "p"), uk_slice_text(topic));
  uk_credentials_free(credentials);
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
  CHECK(!admits("", "a"));
}

static void keeps_the_given_credentials(void)
{
  struct uk_credentials *credentials = two();
  const struct uk_credential *alice = find(credentials, "alice", "se:cret");
  const struct uk_credential *bob = find(credentials, "bob", "");
  CHECK(uk_credential_holds(alice, UK_PERMIT_FULL));
  CHECK(uk_credential_holds(alice, UK_PERMIT_CONSUME));
  CHECK(uk_credential_holds(bob, UK_PERMIT_NOTHING));
  CHECK(uk_credential_holds(bob, UK_PERMIT_PRODUCE));
  CHECK(!uk_credential_holds(bob, UK_PERMIT_CONSUME));
  CHECK(!uk_credential_holds(bob, UK_PERMIT_FULL));
  uk_credentials_free(credentials);
}

static int wiped; /* areas with the secret */

void explicit_bzero(void *memory, size_t size)
{
  void *volatile block = memory;
  wiped += memmem(block, size, "se:cret", 7) != NULL;
  memset(memory, 0, size);
}

/* What a build with _FORTIFY_SOURCE calls instead. */
void __explicit_bzero_chk(void *memory, size_t size, size_t room);
void __explicit_bzero_chk(void *memory, size_t size, size_t room)
{
  CHECK(size <= room);
  explicit_bzero(memory, size);
}

/* The copy of a password that is made to find its other encoding does not stay on the stack. */
static void wipes_its_copies(void)
{
  wiped = 0;
  struct uk_credentials *credentials = two();
  CHECK_EQ_INT(wiped, 1);
  uk_credentials_free(credentials);
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

/* No password stays in freed memory, and none of it is lost. */
static void wipes_what_it_frees(void)
{
  long before = fault_live();
  struct uk_credentials *credentials = two();
  CHECK_EQ_INT(fault_live(), before + 3);
  freed = with_secret = 0;
  fault_watch_free(look_for_secret);
  uk_credentials_free(credentials);
  fault_watch_free(NULL);
  CHECK_EQ_INT(freed, 3);
  CHECK_EQ_INT(with_secret, 0);
  CHECK_EQ_INT(fault_live(), before);
}

static void survives_every_failing_allocation(void)
{
  long before = fault_live();
  for (long n = 1; n <= 2; n++) {
    fault_at(n);
    struct uk_credentials *credentials = uk_credentials_new();
    CHECK(n > 1 || credentials == NULL);
    if (credentials != NULL)
      CHECK_EQ_INT(uk_credentials_add(credentials, "u", "p", UK_PERMIT_FULL, "*"), UK_E_NO_MEMORY);
    fault_off();
    uk_credentials_free(credentials);
  }
  CHECK_EQ_INT(fault_live(), before);
}

int main(void)
{
  CHECK_RUN(finds_the_right_one);
  CHECK_RUN(accepts_both_encodings);
  CHECK_RUN(accepts_both_encodings_of_the_longest);
  CHECK_RUN(refuses_the_rest);
  CHECK_RUN(f8_compares_every_byte);
  CHECK_RUN(reads_the_header);
  CHECK_RUN(accepts_parts_up_to_the_limit);
  CHECK_RUN(admits_topics_that_match_the_pattern);
  CHECK_RUN(keeps_the_given_credentials);
  CHECK_RUN(wipes_its_copies);
  CHECK_RUN(wipes_what_it_frees);
  CHECK_RUN(survives_every_failing_allocation);
  return check_end();
}
