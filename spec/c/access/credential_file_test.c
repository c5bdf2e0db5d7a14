/* for: credential_file.c, password_hash.c */
#include "server/access/credential_file.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"

#define FAST "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* abc */
#define SLOW "$y$j75$saltsalt$ZScL9PANm1K9SitD7.SzSTFDXRRTaLo0RRCKFTaofv/"             /* abc */
#define ROW(user, rest)                                                                            \
  "{\"user\":\"" user "\",\"secrets\":[\"" FAST "\"],\"permission\":\"consume\"," rest "}"
#define GOOD(user) ROW(user, "\"topics\":[\"t\"]")

static char message[300];
static struct uk_credentials *credentials;

/* Parses a copy that ends where the text ends. The set is the caller's. */
static enum uk_error parse(const char *text)
{
  const size_t length = strlen(text);
  char *copy = guard_copy(text, length);
  credentials = uk_credentials_new();
  message[0] = '\0';
  const enum uk_error error =
    uk_credential_file_parse(credentials, copy, length, message, sizeof message);
  guard_free(copy, length);
  return error;
}

static const struct uk_credential *user(const char *name)
{
  return uk_credentials_user(credentials, uk_slice_text(name));
}

static void reads_every_field(void)
{
  CHECK_EQ_INT(parse("\n{\"user\":\"j\\u00fcrgen\",\"secrets\":[\"" FAST "\",\"" SLOW
                     "\"],\"permission\":\"produce\",\"topics\":[\"a.b\",\"c-*\"],"
                     "\"groups\":[\"g*\",\"h\"]}\r\n \t\r\n" GOOD("two")),
               UK_OK);
  CHECK_EQ_STR(message, "");
  CHECK_EQ_INT(uk_credentials_count(credentials), 2);
  const struct uk_credential *one = user("j\xc3\xbcrgen");
  REQUIRE(one != NULL && user("two") != NULL);
  CHECK_EQ_STR(uk_credential_hash(one, 0), FAST);
  CHECK_EQ_STR(uk_credential_hash(one, 1), SLOW);
  CHECK(uk_credential_hash(user("two"), 1) == NULL);
  CHECK(uk_credential_holds(one, UK_PERMIT_PRODUCE));
  CHECK(!uk_credential_holds(one, UK_PERMIT_CONSUME | UK_PERMIT_MONITOR | UK_PERMIT_TOPICS));
  CHECK(uk_credential_admits(one, uk_slice_text("a.b")));
  CHECK(uk_credential_admits(one, uk_slice_text("c-d")));
  CHECK(!uk_credential_admits(one, uk_slice_text("t")));
  CHECK(uk_credential_admits_group(one, uk_slice_text("g1")));
  CHECK(!uk_credential_admits_group(one, uk_slice_text("i")));
  CHECK(uk_credential_admits_group(user("two"), uk_slice_text("i")));
  uk_credentials_release(credentials);
}

static void knows_every_permission(void)
{
  static const struct {
    const char *name;
    unsigned has;
  } rows[] = {{"full", 15}, {"produce", 1}, {"consume", 2}, {"monitor", 4}};
  char text[300];
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    snprintf(text, sizeof text,
             "{\"topics\":[],\"permission\":\"%s\",\"secrets\":[\"" FAST "\"],\"user\":\"u\"}",
             rows[i].name);
    CHECK_EQ_INT(parse(text), UK_OK);
    for (unsigned bit = 1; bit < 16; bit *= 2)
      CHECK_EQ_INT(uk_credential_holds(user("u"), bit), (rows[i].has & bit) != 0);
    CHECK(!uk_credential_admits(user("u"), uk_slice_text("t")));
    uk_credentials_release(credentials);
  }
}

#define SECRETS                                                                                    \
  "what \"upstash-kafka credentials add\" makes expected: sha256:\u2026 of a made "                \
  "password, or a crypt(3) hash that is not weak"

static void names_the_line_and_the_field(void)
{
  static const struct {
    const char *text, *said;
  } rows[] = {
    {GOOD("a") "\n\n{}", "line 3: user: missing"},
    {"{\"user\":\"u\"}", "line 1: secrets: missing"},
    {"{\"user\":\"u\",\"secrets\":[\"" FAST "\"]}", "line 1: permission: missing"},
    {"{\"user\":\"u\",\"secrets\":[\"" FAST "\"],\"permission\":\"full\"}",
     "line 1: topics: missing"},
    {ROW("u", "\"topic\":[]"), "line 1: unknown field \"topic\"; did you mean \"topics\"?"},
    {ROW("u", "\"topics\":[],\"topics\":[]"), "line 1: topics: given twice"},
    {ROW("u", "\"topics\":\"t\""), "line 1: topics: an array of strings expected"},
    {ROW("u", "\"topics\":[1]"), "line 1: topics: an array of strings expected"},
    {ROW("u", "\"topics\":[\"a*b\"]"),
     "line 1: topics: a topic name, a prefix and '*', or \"*\" expected, got \"a*b\""},
    {ROW("u", "\"topics\":[\"a b\"]"),
     "line 1: topics: a topic name, a prefix and '*', or \"*\" expected, got \"a b\""},
    {ROW("u", "\"topics\":[\"..\"]"),
     "line 1: topics: a topic name, a prefix and '*', or \"*\" expected, got \"..\""},
    {ROW("u", "\"topics\":[\"\"]"),
     "line 1: topics: a topic name, a prefix and '*', or \"*\" expected, got \"\""},
    {ROW("u", "\"topics\":[],\"groups\":[]"), "line 1: groups: at least one expected"},
    {ROW("u", "\"topics\":[],\"groups\":[\"*a\"]"),
     "line 1: groups: a group, a prefix and '*', or \"*\" expected, got \"*a\""},
    {ROW("", "\"topics\":[]"), "line 1: user: 1 to 255 bytes without ':' expected"},
    {ROW("a:b", "\"topics\":[]"), "line 1: user: 1 to 255 bytes without ':' expected"},
    {ROW("a\\u0000", "\"topics\":[]"), "line 1: user: 1 to 255 bytes without ':' expected"},
    {"{\"user\":1}", "line 1: user: a string expected"},
    {"{\"permission\":\"ful\"}", "line 1: permission: full, produce, consume or monitor expected, "
                                 "got \"ful\"; did you mean full?"},
    {"{\"secrets\":[]}", "line 1: secrets: at least one expected"},
    {"{\"secrets\":[\"hush\"]}", "line 1: secrets: " SECRETS},
    {"{\"secrets\":[\"sha256:hush\"]}", "line 1: secrets: " SECRETS},
    {"{\"secrets\":[\"$5$salt$\"]}", "line 1: secrets: " SECRETS},
    {"{\"secrets\":[\"$1$saltsalt$hush\"]}", "line 1: secrets: " SECRETS},
    {"{\"secrets\":[\"" FAST "\",\"" FAST "\",\"" FAST "\"]}",
     "line 1: secrets: at most 2 expected"},
    {GOOD("a") "\n" GOOD("b") "\n" GOOD("a"), "line 3: user: \"a\" is given twice"},
    {"[]", "line 1: an object expected"},
    {GOOD("a") " " GOOD("b"), "line 1: malformed JSON at byte 137: something follows the value"},
    {GOOD("a") "\n{\"user\":\"u\"", "line 2: malformed JSON at byte 11: the text ends too early"},
    {"{\"user\":\"u\",}", "line 1: malformed JSON at byte 11: a comma before the closing bracket"},
    {"# users", "line 1: malformed JSON at byte 0: expected a value"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!CHECK_EQ_INT(parse(rows[i].text), UK_E_BAD_REQUEST))
      fprintf(stderr, "  %s\n", rows[i].text);
    CHECK_EQ_STR(message, rows[i].said);
    CHECK(strstr(message, "hush") == NULL);
    uk_credentials_release(credentials);
  }
}

/* Topics of Kafka may begin with a dot, and a prefix may be as short as one. */
static void takes_every_pattern(void)
{
  char text[2000], name[260] = "";
  CHECK_EQ_INT(parse(ROW("u", "\"topics\":[\".*\",\"*\",\"_a\",\"..a\"]")), UK_OK);
  uk_credentials_release(credentials);
  memset(name, 'x', 249);
  snprintf(text, sizeof text, ROW("u", "\"topics\":[\"%s\"],\"groups\":[\"%.5s*\"]"), name, name);
  CHECK_EQ_INT(parse(text), UK_OK);
  uk_credentials_release(credentials);
  name[249] = 'x';
  snprintf(text, sizeof text, ROW("u", "\"topics\":[\"%s\"]"), name);
  CHECK_EQ_INT(parse(text), UK_E_BAD_REQUEST);
  uk_credentials_release(credentials);
  memset(name, 'g', 255);
  snprintf(text, sizeof text, ROW("u", "\"topics\":[],\"groups\":[\"%s\"]"), name);
  CHECK_EQ_INT(parse(text), UK_OK);
  uk_credentials_release(credentials);
  name[255] = 'g';
  snprintf(text, sizeof text, ROW("u", "\"topics\":[],\"groups\":[\"%s\"]"), name);
  CHECK_EQ_INT(parse(text), UK_E_BAD_REQUEST);
  uk_credentials_release(credentials);
}

static void reads_no_byte_too_many(void)
{
  static const char whole[] = GOOD("a") "\n" GOOD("b");
  char text[sizeof whole];
  for (size_t length = 0; length < sizeof whole; length++) {
    memcpy(text, whole, length);
    text[length] = '\0';
    const size_t line = strlen(GOOD("a"));
    CHECK((parse(text) == UK_OK) ==
          (length == 0 || length == line || length == line + 1 || length == sizeof whole - 1));
    uk_credentials_release(credentials);
  }
}

static void survives_every_failing_allocation(void)
{
  const long before = fault_live();
  enum uk_error error = UK_E_NO_MEMORY;
  for (long n = 1; error != UK_OK && n < 100; n++) {
    char text[] = GOOD("a");
    credentials = uk_credentials_new();
    fault_at(n);
    error = uk_credential_file_parse(credentials, text, strlen(text), message, sizeof message);
    fault_off();
    CHECK(error == UK_OK || error == UK_E_NO_MEMORY);
    uk_credentials_release(credentials);
  }
  CHECK_EQ_INT(error, UK_OK);
  CHECK_EQ_INT(fault_live(), before);
}

/* Files. */

static char folder[] = "/tmp/uk-credentials-XXXXXX";
static char path[64];

static void put(const char *text, unsigned mode)
{
  FILE *file = fopen(path, "w");
  REQUIRE(file != NULL);
  fputs(text, file);
  fclose(file);
  chmod(path, mode);
}

static enum uk_error read_it(void)
{
  credentials = uk_credentials_new();
  message[0] = '\0';
  const enum uk_error error = uk_credential_file_read(credentials, path, message, sizeof message);
  uk_credentials_release(credentials);
  return error;
}

static void refuses_what_others_may_read(void)
{
  static const struct {
    unsigned mode;
    const char *said;
  } rows[] = {
    {0600, ""},
    {0640, ""},
    {0440, ""},
    {0644, "others may read or write it (mode 644); chmod 640 it"},
    {0660, "others may read or write it (mode 660); chmod 640 it"},
    {0601, "others may read or write it (mode 601); chmod 640 it"},
    {0602, "others may read or write it (mode 602); chmod 640 it"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    unlink(path);
    put(GOOD("a"), rows[i].mode);
    CHECK_EQ_INT(read_it(), rows[i].said[0] == '\0' ? UK_OK : UK_E_BAD_REQUEST);
    CHECK_EQ_STR(message, rows[i].said);
  }
  unlink(path);
  CHECK_EQ_INT(read_it(), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "No such file or directory");
  mkdir(path, 0700);
  CHECK_EQ_INT(read_it(), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "not a regular file");
  rmdir(path);
  put("", 0600);
  CHECK_EQ_INT(truncate(path, UK_CREDENTIAL_FILE_MAX + 1), 0);
  CHECK_EQ_INT(read_it(), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "larger than 67108864 bytes");
}

static void each_change_is_another_version(void)
{
  struct uk_file_version first, second;
  unlink(path);
  uk_file_version_read(&first, path);
  uk_file_version_read(&second, path);
  CHECK(uk_file_version_equal(&first, &second));
  put("a", 0600);
  uk_file_version_read(&first, path);
  CHECK(!uk_file_version_equal(&first, &second));
  uk_file_version_read(&second, path);
  CHECK(uk_file_version_equal(&first, &second));
  put("ab", 0600);
  uk_file_version_read(&second, path);
  CHECK(!uk_file_version_equal(&first, &second));
  const struct uk_file_version base = {1, 2, 3, 4, 5, 6};
  const struct uk_file_version others[] = {{0, 2, 3, 4, 5, 6}, {1, 0, 3, 4, 5, 6},
                                           {1, 2, 0, 4, 5, 6}, {1, 2, 3, 0, 5, 6},
                                           {1, 2, 3, 4, 0, 6}, {1, 2, 3, 4, 5, 0}};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    CHECK(!uk_file_version_equal(&base, &others[i]));
  CHECK(uk_file_version_equal(&base, &base));
}

/* Passwords. */

static void tells_hashes_apart(void)
{
  char weak[400];
  CHECK_EQ_INT(uk_password_hash_kind(FAST), UK_PASSWORD_HASH_FAST);
  CHECK_EQ_INT(uk_password_hash_kind(SLOW), UK_PASSWORD_HASH_SLOW);
  CHECK_EQ_INT(uk_password_hash_kind(FAST "0"), UK_PASSWORD_HASH_BAD);
  CHECK_EQ_INT(uk_password_hash_kind("sha256:"), UK_PASSWORD_HASH_BAD);
  static const char *const bad[] = {
    "",         "*",      "!", "x", "abJnggxhB/yWI", "$1$abcdefgh$irWbblnpmw.5z7wgBnprh0",
    "$5$salt$", "$y$j9T$"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    CHECK_EQ_INT(uk_password_hash_kind(bad[i]), UK_PASSWORD_HASH_BAD);
  memset(weak, 'a', sizeof weak);
  memcpy(weak, "$5$salt$", 8);
  weak[sizeof weak - 1] = '\0';
  CHECK_EQ_INT(uk_password_hash_kind(weak), UK_PASSWORD_HASH_BAD);
}

static void matches_only_the_password(void)
{
  static const char *const hashes[] = {FAST, SLOW};
  char longest[300];
  memset(longest, 'x', sizeof longest);
  for (size_t i = 0; i < 2; i++) {
    CHECK_EQ_INT(uk_password_hash_match(hashes[i], uk_slice_text("abc")), UK_PASSWORD_RIGHT);
    CHECK_EQ_INT(uk_password_hash_match(hashes[i], uk_slice_text("abd")), UK_PASSWORD_WRONG);
    CHECK_EQ_INT(uk_password_hash_match(hashes[i], uk_slice_text("")), UK_PASSWORD_WRONG);
    CHECK_EQ_INT(uk_password_hash_match(hashes[i], uk_slice_of("abc\0", 4)), UK_PASSWORD_WRONG);
    CHECK_EQ_INT(uk_password_hash_match(hashes[i], uk_slice_of(longest, 256)), UK_PASSWORD_WRONG);
  }
  /* What cannot be a password is hashed as "", and yet is not it. */
  static const char of_nothing[] = "$y$j75$saltsalt$BT/eINL.qJ28Ek8xmIKTrnDwZkROSVFFX9HKxdqaWAD";
  CHECK_EQ_INT(uk_password_hash_match(of_nothing, uk_slice_text("")), UK_PASSWORD_RIGHT);
  CHECK_EQ_INT(uk_password_hash_match(of_nothing, uk_slice_of("\0", 1)), UK_PASSWORD_WRONG);
  CHECK_EQ_INT(uk_password_hash_match(of_nothing, uk_slice_of(longest, 256)), UK_PASSWORD_WRONG);
  char hash[UK_PASSWORD_HASH_SIZE];
  for (int fast = 0; fast < 2; fast++) {
    CHECK(uk_password_hash_make(hash, uk_slice_of(longest, 255), fast));
    CHECK_EQ_INT(uk_password_hash_kind(hash), fast ? UK_PASSWORD_HASH_FAST : UK_PASSWORD_HASH_SLOW);
    CHECK_EQ_INT(uk_password_hash_match(hash, uk_slice_of(longest, 255)), UK_PASSWORD_RIGHT);
    CHECK_EQ_INT(uk_password_hash_match(hash, uk_slice_of(longest, 254)), UK_PASSWORD_WRONG);
    CHECK(!uk_password_hash_make(hash, uk_slice_of(longest, 256), fast));
    CHECK(!uk_password_hash_make(hash, uk_slice_text(""), fast));
    CHECK(!uk_password_hash_make(hash, uk_slice_of("a\0b", 3), fast));
  }
}

static void makes_passwords_and_salts(void)
{
  char one[UK_MADE_PASSWORD_SIZE], other[UK_MADE_PASSWORD_SIZE];
  char first[UK_PASSWORD_HASH_SIZE], second[UK_PASSWORD_HASH_SIZE];
  CHECK(uk_password_make(one) && uk_password_make(other));
  CHECK_EQ_INT(strlen(one), 32);
  CHECK_EQ_INT(strspn(one, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 32);
  CHECK(strcmp(one, other) != 0);
  CHECK(uk_password_hash_make(first, uk_slice_text(one), false));
  CHECK(uk_password_hash_make(second, uk_slice_text(one), false));
  CHECK(strcmp(first, second) != 0);
  CHECK_EQ_INT(strncmp(first, "$y$", 3), 0);
}

/* RFC 4231, test case 1 with a key of 32 bytes; FIPS 180-2. */
static void digests(void)
{
  static const uint8_t key[32] = {0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
                                  0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b};
  static const uint8_t hmac[] = {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53};
  static const uint8_t sha[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea};
  uint8_t digest[UK_DIGEST_SIZE];
  CHECK(uk_keyed_digest(digest, key, uk_slice_text("Hi There"))); /* zeros pad a short key */
  CHECK_EQ_INT(memcmp(digest, hmac, sizeof hmac), 0);
  CHECK(uk_digest(digest, uk_slice_text("abc")));
  CHECK_EQ_INT(memcmp(digest, sha, sizeof sha), 0);
  CHECK(uk_is_same_secret("abc", "abd", 2) && !uk_is_same_secret("abc", "abd", 3));
}

int main(void)
{
  CHECK(mkdtemp(folder) != NULL);
  snprintf(path, sizeof path, "%s/file", folder);
  CHECK_RUN(reads_every_field);
  CHECK_RUN(knows_every_permission);
  CHECK_RUN(names_the_line_and_the_field);
  CHECK_RUN(takes_every_pattern);
  CHECK_RUN(reads_no_byte_too_many);
  CHECK_RUN(survives_every_failing_allocation);
  CHECK_RUN(refuses_what_others_may_read);
  CHECK_RUN(each_change_is_another_version);
  CHECK_RUN(tells_hashes_apart);
  CHECK_RUN(matches_only_the_password);
  CHECK_RUN(makes_passwords_and_salts);
  CHECK_RUN(digests);
  unlink(path);
  rmdir(folder);
  return check_end();
}
