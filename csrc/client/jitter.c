#include "client/jitter.h"

#include <time.h>
#include <unistd.h>

/* The finalizer of splitmix64: each bit of the input flips about half of the bits of the output. */
static uint64_t mix(uint64_t value)
{
  value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
  return value ^ value >> 31;
}

uint32_t uk_jitter(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t seed = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
  return (uint32_t)(mix(seed ^ (uint64_t)getpid() << 40 ^ (uintptr_t)&now) >> 32);
}
