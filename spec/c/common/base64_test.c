/* for: base64.c */
#include "check.h"
#include "common/base64.h"
#include "guard.h"

static const struct {
  const char *plain, *encoded;
} vectors[] = {
  {"", ""},
  {"f", "Zg=="},
  {"fo", "Zm8="},
  {"foo", "Zm9v"},
  {"foob", "Zm9vYg=="},
  {"fooba", "Zm9vYmE="},
  {"foobar", "Zm9vYmFy"},
  {"\xff\xff\xff", "////"},
  {"\xfb\xef\xbe", "++++"},
  {"\xff\xff", "//8="},
  {"\xff", "/w=="},
};

static void known_texts_encode(void)
{
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    char out[16];
    size_t length = strlen(vectors[i].plain);
    memset(out, '#', sizeof out);
    uk_base64_encode(out, vectors[i].plain, length);
    size_t size = uk_base64_encoded_size(length);
    CHECK_EQ_MEM(out, size, vectors[i].encoded, strlen(vectors[i].encoded));
    CHECK(out[size] == '#');
  }
}

static void known_texts_decode(void)
{
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    char out[16];
    size_t length = 77;
    CHECK(uk_base64_decode(out, &length, vectors[i].encoded, strlen(vectors[i].encoded)));
    CHECK_EQ_MEM(out, length, vectors[i].plain, strlen(vectors[i].plain));
  }
}

static void non_canonical_text_is_refused(void)
{
  static const char *const texts[] = {
    "Z",
    "Zg",
    "Zg=",
    "Zm9",
    "Zm9vY",
    "=",
    "==",
    "===",
    "====",
    "Z===",
    "Zg=a",
    "Z=g=",
    "=Zg=",
    "Zg==Zg==",
    "Zm8=Zm8=",
    "Zm9v=",
    "Zm9v====",
    "Zm9vYg=",
    "Zm9vYg===",
    "Zh==",
    "Zn==",
    "Z/==",
    "Zm9=",
    "Zm+=",
    "Zm9vYh==",
    "Zm9vYmF=",
    "Zm9-",
    "Zm9_",
    "Zm 9",
    "Zm9v\n",
    "\nZm9v",
    "Zm9v \n  ",
    "Zm9\n",
    "Z.9v",
    "Zm9v!m9v",
    "!m9vZm9v",
    "Zm9vZm9\x7f",
    "Zm\xff"
    "v",
    "\xc3\xa9"
    "9v",
    "Zm8*",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    char out[16];
    size_t length;
    if (!CHECK(!uk_base64_decode(out, &length, texts[i], strlen(texts[i]))))
      fprintf(stderr, "  %s\n", texts[i]);
  }
  char out[4];
  size_t length;
  CHECK(!uk_base64_decode(out, &length, "Zm\0v", 4));
}

/* Each position of two groups accepts exactly the characters that are valid there. */
static void every_byte_at_every_position(void)
{
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  int wrong = 0;
  for (int place = 0; place < 8; place++) {
    for (int byte = 0; byte < 256; byte++) {
      char text[8] = "AAAAAAAA", out[6];
      size_t length;
      text[place] = (char)byte;
      bool right = byte != 0 && strchr(alphabet, byte) != NULL;
      right = right || (place == 7 && byte == '=');
      wrong += uk_base64_decode(out, &length, text, 8) != right;
    }
  }
  CHECK_EQ_INT(wrong, 0);
}

static void bytes_survive_a_round_trip_in_place(void)
{
  for (size_t length = 0; length < 200; length++) {
    char bytes[200];
    for (size_t i = 0; i < length; i++)
      bytes[i] = (char)(i * 37 + length * 101);
    char *in = guard_copy(bytes, length);
    size_t size = uk_base64_encoded_size(length), back;
    char encoded[300];
    uk_base64_encode(encoded, in, length);
    char *text = guard_copy(encoded, size);
    CHECK(uk_base64_decode(text, &back, text, size));
    CHECK_EQ_MEM(text, back, bytes, length);
    guard_free(text, size);
    guard_free(in, length);
  }
}

static void sizes_are_known(void)
{
  static const size_t sizes[] = {0, 4, 4, 4, 8, 8, 8, 12};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    CHECK_EQ_INT(uk_base64_encoded_size(i), sizes[i]);
}

int main(void)
{
  CHECK_RUN(known_texts_encode);
  CHECK_RUN(known_texts_decode);
  CHECK_RUN(non_canonical_text_is_refused);
  CHECK_RUN(every_byte_at_every_position);
  CHECK_RUN(bytes_survive_a_round_trip_in_place);
  CHECK_RUN(sizes_are_known);
  return check_end();
}
