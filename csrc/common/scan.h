/* scan: skips many bytes at a time, and never reads a byte at or after `end`. */
#ifndef UK_SCAN_H
#define UK_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define UK_SCAN_EACH(byte) (UINT64_MAX / 255 * (byte)) /* a word of eight of this byte */

static inline uint64_t uk_scan_word(const char *at)
{
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

/* A byte is plain if it is ASCII and needs no escape in a JSON string. */
static inline bool uk_scan_is_plain(char byte)
{
  return (signed char)byte >= 0x20 && byte != '"' && byte != '\\';
}

/* True when all eight bytes are plain. A byte minus a larger one borrows, which sets its top bit.
 * The borrow may change the bytes above, but only in a word that is not plain anyway. */
static inline bool uk_scan_word_is_plain(uint64_t word)
{
  uint64_t quote = word ^ UK_SCAN_EACH('"');
  uint64_t backslash = word ^ UK_SCAN_EACH('\\');
  uint64_t marks =
    (word - UK_SCAN_EACH(0x20)) | (quote - UK_SCAN_EACH(1)) | (backslash - UK_SCAN_EACH(1)) | word;
  return (marks & UK_SCAN_EACH(0x80)) == 0;
}

/* The first byte that is not plain, or `end`. */
static inline const char *uk_scan_plain(const char *at, const char *end)
{
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)); /* signed: 0x80 and up are low too */
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    int marks = _mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, backslash)));
    if (marks != 0)
      return at + __builtin_ctz((unsigned)marks);
  }
#endif
  while (end - at >= 8 && uk_scan_word_is_plain(uk_scan_word(at)))
    at += 8;
  while (at != end && uk_scan_is_plain(*at))
    at++;
  return at;
}

/* The first byte that is not ASCII, or `end`. */
static inline const char *uk_scan_ascii(const char *at, const char *end)
{
#ifdef __SSE2__
  for (; end - at >= 16; at += 16) {
    int marks = _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)at));
    if (marks != 0)
      return at + __builtin_ctz((unsigned)marks);
  }
#endif
  while (end - at >= 8 && (uk_scan_word(at) & UK_SCAN_EACH(0x80)) == 0)
    at += 8;
  while (at != end && (signed char)*at >= 0)
    at++;
  return at;
}

#endif
