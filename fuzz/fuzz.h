/* fuzz: what the harnesses share. A harness reads any bytes; libFuzzer changes them, and looks for
 * new paths through the code. A crash, a report of a sanitizer or a FUZZ_REQUIRE that does not hold
 * is a finding. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_REQUIRE(ok)                                                                           \
  do {                                                                                             \
    if (!(ok)) {                                                                                   \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #ok);                             \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

/* A copy that ends where its memory ends, for readers that change their bytes. Free it. */
static inline char *fuzz_copy(const void *data, size_t size)
{
  char *copy = malloc(size > 0 ? size : 1);
  FUZZ_REQUIRE(copy != NULL);
  if (size > 0)
    memcpy(copy, data, size);
  return copy;
}

/* Reads every byte, so that a sanitizer sees those that are not the reader's. */
static inline unsigned fuzz_touch(const char *data, size_t size)
{
  unsigned sum = 0;
  for (size_t i = 0; i < size; i++)
    sum += (unsigned char)data[i];
  return sum;
}

/* The first byte says how to read the others. */
static inline unsigned fuzz_take_byte(const uint8_t **data, size_t *size)
{
  if (*size == 0)
    return 0;
  const unsigned byte = **data;
  (*data)++;
  (*size)--;
  return byte;
}

#endif
