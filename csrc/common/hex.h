/* hex: hexadecimal digits. */
#ifndef UK_HEX_H
#define UK_HEX_H

/* 0 to 15, or -1 when the character is not a hexadecimal digit. */
static inline int uk_hex_value(char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  char lower = (char)(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

#endif
