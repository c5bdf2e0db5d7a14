#include "common/decimal_power.h"

#ifdef __SIZEOF_INT128__

/* A power and the three after it. */
#define FOUR(power, base)                                                                          \
  (power), (power) * (base), (power) * ((base) * (base)), (power) * ((base) * (base) * (base))

const uint64_t uk_fives[UK_FIVES_MAX + 1] = {FOUR(UINT64_C(1), 5),
                                             FOUR(UINT64_C(625), 5),
                                             FOUR(UINT64_C(390625), 5),
                                             FOUR(UINT64_C(244140625), 5),
                                             FOUR(UINT64_C(152587890625), 5),
                                             FOUR(UINT64_C(95367431640625), 5),
                                             FOUR(UINT64_C(59604644775390625), 5)};

enum { STEP = UK_FIVES_MAX };

/* Every 27th power of ten, rounded down to 128 bits: from 10^-351 to 10^324. */
static const struct {
  uint64_t high, low;
  int exponent;
} steps[] = {{UINT64_C(0x8049a4ac0c5811ae), UINT64_C(0x205b896d777d6278), -1293},
             {UINT64_C(0xcf42894a5dce35ea), UINT64_C(0x52064cac828675b9), -1204},
             {UINT64_C(0xa76c582338ed2621), UINT64_C(0xaf2af2b80af6f24e), -1114},
             {UINT64_C(0x873e4f75e2224e68), UINT64_C(0x5a7744a6e804a291), -1024},
             {UINT64_C(0xda7f5bf590966848), UINT64_C(0xaf39a475506a899e), -935},
             {UINT64_C(0xb080392cc4349dec), UINT64_C(0xbd8d794d96aacfb3), -845},
             {UINT64_C(0x8e938662882af53e), UINT64_C(0x547eb47b7282ee9c), -755},
             {UINT64_C(0xe65829b3046b0afa), UINT64_C(0x0cb4a5a3112a5112), -666},
             {UINT64_C(0xba121a4650e4ddeb), UINT64_C(0x92f34d62616ce413), -576},
             {UINT64_C(0x964e858c91ba2655), UINT64_C(0x3a6a07f8d510f86f), -486},
             {UINT64_C(0xf2d56790ab41c2a2), UINT64_C(0xfae27299423fb9c3), -397},
             {UINT64_C(0xc428d05aa4751e4c), UINT64_C(0xaa97e14c3c26b886), -307},
             {UINT64_C(0x9e74d1b791e07e48), UINT64_C(0x775ea264cf55347d), -217},
             {UINT64_C(0x8000000000000000), UINT64_C(0x0000000000000000), -127},
             {UINT64_C(0xcecb8f27f4200f3a), UINT64_C(0x0000000000000000), -38},
             {UINT64_C(0xa70c3c40a64e6c51), UINT64_C(0x999090b65f67d924), 52},
             {UINT64_C(0x86f0ac99b4e8dafd), UINT64_C(0x69a028bb3ded71a3), 142},
             {UINT64_C(0xda01ee641a708de9), UINT64_C(0xe80e6f4820cc9495), 231},
             {UINT64_C(0xb01ae745b101e9e4), UINT64_C(0x5ec05dcff72e7f8f), 321},
             {UINT64_C(0x8e41ade9fbebc27d), UINT64_C(0x14588f13be847307), 411},
             {UINT64_C(0xe5d3ef282a242e81), UINT64_C(0x8f1668c8a86da5fa), 500},
             {UINT64_C(0xb9a74a0637ce2ee1), UINT64_C(0x6d953e2bd7173692), 590},
             {UINT64_C(0x95f83d0a1fb69cd9), UINT64_C(0x4abdaf101564f98e), 680},
             {UINT64_C(0xf24a01a73cf2dccf), UINT64_C(0xbc633b39673c8cec), 769},
             {UINT64_C(0xc3b8358109e84f07), UINT64_C(0x0a862f80ec4700c8), 859},
             {UINT64_C(0x9e19db92b4e31ba9), UINT64_C(0x6c07a2c26a8346d1), 949}};

struct uk_power uk_power_of_ten(int n)
{
  const int step = (n - UK_POWER_MIN) / STEP, rest = (n - UK_POWER_MIN) % STEP;
  const uint64_t five = uk_fives[rest];
  const uk_wide low = (uk_wide)steps[step].low * five;
  const uk_wide high = (uk_wide)steps[step].high * five + (low >> 64);
  const int zeros = 128 - uk_wide_bits(high); /* at most 64 */
  uk_wide mantissa = high << zeros;
  if (zeros > 0)
    mantissa |= (uint64_t)low >> (64 - zeros);
  return (struct uk_power){mantissa, steps[step].exponent + rest + 64 - zeros};
}

#else

typedef int uk_no_powers; /* ISO C forbids an empty file */

#endif
