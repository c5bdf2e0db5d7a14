#include "server/log_engine/log_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/hex.h"
#include "server/log_engine/log_checksum.h"

enum { TEXT_MAX = 256, HEX_DIGITS = 2 * UK_LOG_ID_BYTES };

/* Writes the file's text, of which `text` has room for TEXT_MAX bytes. Returns its length. */
static size_t format_text(char *text, const struct uk_log_identity *identity)
{
  char hex[HEX_DIGITS + 1];
  for (size_t i = 0; i < UK_LOG_ID_BYTES; i++)
    snprintf(hex + 2 * i, 3, "%02x", (unsigned)identity->id[i]);
  int length = snprintf(text, TEXT_MAX,
                        "upstash-kafka log 2\nid %s\nlife %" PRIu32 "\ntransaction %" PRIu64
                        "\ntopics %" PRIu64 "\n",
                        hex, identity->life, identity->transaction, identity->topics);
  uint32_t sum = uk_log_checksum(0, text, (size_t)length);
  length += snprintf(text + length, TEXT_MAX - (size_t)length, "checksum %08" PRIx32 "\n", sum);
  return (size_t)length;
}

/* Reads what it can; the caller compares the text that this identity has. */
static void parse_text(struct uk_log_identity *identity, const char *text)
{
  char hex[HEX_DIGITS + 1] = "";
  *identity = (struct uk_log_identity){.life = 0};
  int count = sscanf(text,
                     "upstash-kafka log 2 id %32[0-9a-f] life %" SCNu32 " transaction %" SCNu64
                     " topics %" SCNu64,
                     hex, &identity->life, &identity->transaction, &identity->topics);
  for (size_t i = 0; count == 4 && i < UK_LOG_ID_BYTES && hex[2 * i] != '\0'; i++)
    identity->id[i] =
      (uint8_t)(uk_hex_value(hex[2 * i]) << 4 | (uk_hex_value(hex[2 * i + 1]) & 15));
}

enum uk_log_identity_result uk_log_identity_read(int folder, struct uk_log_identity *identity)
{
  char text[TEXT_MAX + 1], wanted[TEXT_MAX];
  int file = openat(folder, "identity", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0)
    return errno == ENOENT ? UK_LOG_IDENTITY_MISSING : UK_LOG_IDENTITY_FAILED;
  ssize_t length = pread(file, text, TEXT_MAX, 0);
  int error = errno;
  close(file);
  errno = error;
  if (length < 0)
    return UK_LOG_IDENTITY_FAILED;
  text[length] = '\0';
  parse_text(identity, text);
  return (size_t)length == format_text(wanted, identity) &&
             memcmp(text, wanted, (size_t)length) == 0
           ? UK_LOG_IDENTITY_OK
           : UK_LOG_IDENTITY_DAMAGED;
}

static int write_new(int folder, const char *text, size_t length, bool sync)
{
  int file = openat(folder, "identity.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0)
    return errno;
  ssize_t written = write(file, text, length);
  int error = written < 0 ? errno : (size_t)written < length ? ENOSPC : 0;
  if (error == 0 && sync && fsync(file) != 0)
    error = errno;
  close(file);
  return error;
}

int uk_log_identity_write(int folder, const struct uk_log_identity *identity, bool sync)
{
  char text[TEXT_MAX];
  size_t length = format_text(text, identity);
  int error = write_new(folder, text, length, sync);
  if (error == 0 && renameat(folder, "identity.new", folder, "identity") != 0)
    error = errno;
  if (error == 0 && sync && fsync(folder) != 0)
    error = errno;
  return error;
}
