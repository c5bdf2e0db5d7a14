/* The file of credentials. */
#include "fuzz.h"
#include "server/access/credential_file.h"

/* The user whom the corpus names, and whom libFuzzer keeps naming. */
static void ask(const struct uk_credentials *credentials)
{
  static const char *const names[] = {"t", "orders-eu", "", "\xff*"};
  const struct uk_credential *user = uk_credentials_user(credentials, uk_slice_text("shop"));
  const char *decoy = uk_credentials_decoy(credentials), *hash;
  FUZZ_REQUIRE(uk_credentials_slow_hashes(credentials) <= UK_CREDENTIAL_SECRETS);
  FUZZ_REQUIRE((decoy != NULL) == (uk_credentials_slow_hashes(credentials) > 0));
  if (user == NULL)
    return;
  FUZZ_REQUIRE(uk_slice_is(uk_credential_username(user), "shop"));
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const bool topic = uk_credential_admits(user, uk_slice_text(names[i]));
    FUZZ_REQUIRE(topic || !uk_credential_admits_all(user));
    uk_credential_admits_group(user, uk_slice_text(names[i]));
  }
  for (unsigned i = 0; (hash = uk_credential_hash(user, i)) != NULL; i++)
    FUZZ_REQUIRE(strlen(hash) < UK_PASSWORD_HASH_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char message[300] = "";
  char *text = fuzz_copy(data, size);
  struct uk_credentials *credentials = uk_credentials_new();
  FUZZ_REQUIRE(credentials != NULL);
  const enum uk_error error =
    uk_credential_file_parse(credentials, text, size, message, sizeof message);
  FUZZ_REQUIRE(memchr(message, '\0', sizeof message) != NULL);
  FUZZ_REQUIRE((error == UK_OK) == (message[0] == '\0'));
  if (error == UK_OK)
    ask(credentials);
  uk_credentials_release(credentials);
  free(text);
  return 0;
}
