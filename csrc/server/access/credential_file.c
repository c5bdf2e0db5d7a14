#include "server/access/credential_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/json_reader.h"
#include "common/nearest.h"
#include "common/utf8.h"
#include "server/access/pattern.h"

enum { SHOWN = 64 };

static const struct {
  const char *name;
  unsigned permission;
} permissions[] = {
  {"full", UK_PERMIT_FULL},
  {"produce", UK_PERMIT_PRODUCE},
  {"consume", UK_PERMIT_CONSUME},
  {"monitor", UK_PERMIT_MONITOR},
};
static const char *const permission_names[] = {"full", "produce", "consume", "monitor"};
enum { PERMISSIONS = sizeof permissions / sizeof *permissions };

/* A line. */
struct row {
  struct uk_json_reader json;
  unsigned line;
  const char *field; /* the one that is read */
  char *message;
  size_t size;
  struct uk_credential_settings settings;
  size_t hash_count;
  char hashes[UK_CREDENTIAL_SECRETS][UK_PASSWORD_HASH_SIZE];
  struct uk_slice topics[UK_CREDENTIAL_PATTERNS], groups[UK_CREDENTIAL_PATTERNS];
};

/* Returns false. */
static bool refuse(struct row *row, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool refuse(struct row *row, const char *format, ...)
{
  va_list arguments;
  int length = snprintf(row->message, row->size, "line %u: %s%s", row->line,
                        row->field != NULL ? row->field : "", row->field != NULL ? ": " : "");
  if (length < 0 || (size_t)length >= row->size)
    return false;
  va_start(arguments, format);
  vsnprintf(row->message + length, row->size - (size_t)length, format, arguments);
  va_end(arguments);
  return false;
}

static int shown(struct uk_slice text)
{
  return (int)(text.length < SHOWN ? text.length : SHOWN);
}

static bool refuse_event(struct row *row, enum uk_json_event event, const char *expected)
{
  if (event != UK_JSON_ERROR)
    return refuse(row, "%s expected", expected);
  row->field = NULL;
  return refuse(row, "malformed JSON at byte %zu: %s", row->json.position,
                uk_json_error_text(row->json.error));
}

static bool read_string(struct row *row, struct uk_slice *text)
{
  const enum uk_json_event event = uk_json_next(&row->json);
  *text = row->json.string;
  return event == UK_JSON_STRING || refuse_event(row, event, "a string");
}

static bool read_user(struct row *row)
{
  struct uk_slice name;
  if (!read_string(row, &name))
    return false;
  if (name.length == 0 || name.length > UK_LOGIN_PART_MAX ||
      memchr(name.data, ':', name.length) != NULL || memchr(name.data, '\0', name.length) != NULL)
    return refuse(row, "1 to %d bytes without ':' expected", UK_LOGIN_PART_MAX);
  row->settings.username = name;
  return true;
}

static bool read_permission(struct row *row)
{
  struct uk_slice name;
  if (!read_string(row, &name))
    return false;
  size_t i = 0;
  while (i < PERMISSIONS && !uk_slice_is(name, permissions[i].name))
    i++;
  if (i == PERMISSIONS)
    return refuse(row, "full, produce, consume or monitor expected, got \"%.*s\"; did you mean %s?",
                  shown(name), name.data, uk_nearest(name, permission_names, PERMISSIONS));
  row->settings.permissions = permissions[i].permission;
  return true;
}

/* Calls `item` for each string of an array. */
static bool read_strings(struct row *row, bool (*item)(struct row *row, struct uk_slice text))
{
  enum uk_json_event event = uk_json_next(&row->json);
  if (event != UK_JSON_ARRAY)
    return refuse_event(row, event, "an array of strings");
  while ((event = uk_json_next(&row->json)) == UK_JSON_STRING) {
    if (!item(row, row->json.string))
      return false;
  }
  return event == UK_JSON_ARRAY_END || refuse_event(row, event, "an array of strings");
}

static bool add_secret(struct row *row, struct uk_slice text)
{
  if (row->hash_count == UK_CREDENTIAL_SECRETS)
    return refuse(row, "at most %d expected", UK_CREDENTIAL_SECRETS);
  char *hash = row->hashes[row->hash_count];
  const bool fits =
    text.length < UK_PASSWORD_HASH_SIZE && memchr(text.data, '\0', text.length) == NULL;
  if (fits) {
    memcpy(hash, text.data, text.length);
    hash[text.length] = '\0';
  }
  if (!fits || uk_password_hash_kind(hash) == UK_PASSWORD_HASH_BAD)
    return refuse(row, "what \"upstash-kafka credentials add\" makes expected: sha256:… of a made "
                       "password, or a crypt(3) hash that is not weak");
  row->settings.hashes[row->hash_count++] = hash;
  return true;
}

static bool read_secrets(struct row *row)
{
  return read_strings(row, add_secret) &&
         (row->hash_count > 0 || refuse(row, "at least one expected"));
}

/* Whether what comes before a '*' at the end may begin a topic's name. */
static bool may_be_topic(struct uk_slice text)
{
  char name[UK_TOPIC_NAME_MAX + 1];
  const struct uk_slice stem = text.length > 0 && text.data[text.length - 1] == '*'
                                 ? uk_slice_of(text.data, text.length - 1)
                                 : text;
  if (stem.length >= sizeof name)
    return false;
  memcpy(name, stem.data, stem.length);
  name[stem.length] = 'x'; /* "." and "" begin names */
  return uk_topic_name_valid(uk_slice_of(name, stem.length + (stem.length < text.length))) ||
         stem.length == 0;
}

static bool add_topic(struct row *row, struct uk_slice text)
{
  struct uk_pattern pattern;
  if (!uk_pattern_read(&pattern, text) || !may_be_topic(text))
    return refuse(row, "a topic name, a prefix and '*', or \"*\" expected, got \"%.*s\"",
                  shown(text), text.data);
  if (row->settings.topic_count == UK_CREDENTIAL_PATTERNS)
    return refuse(row, "at most %d expected", UK_CREDENTIAL_PATTERNS);
  row->topics[row->settings.topic_count++] = text;
  return true;
}

static bool read_topics(struct row *row)
{
  row->settings.topics = row->topics;
  return read_strings(row, add_topic);
}

static bool add_group(struct row *row, struct uk_slice text)
{
  struct uk_pattern pattern;
  if (!uk_pattern_read(&pattern, text) || text.length > UK_PATTERN_MAX)
    return refuse(row, "a group, a prefix and '*', or \"*\" expected, got \"%.*s\"", shown(text),
                  text.data);
  if (row->settings.group_count == UK_CREDENTIAL_PATTERNS)
    return refuse(row, "at most %d expected", UK_CREDENTIAL_PATTERNS);
  row->groups[row->settings.group_count++] = text;
  return true;
}

static bool read_groups(struct row *row)
{
  row->settings.groups = row->groups;
  return read_strings(row, add_group) &&
         (row->settings.group_count > 0 || refuse(row, "at least one expected"));
}

static const struct {
  const char *name;
  bool (*read)(struct row *row);
  bool required;
} fields[] = {
  {"user", read_user, true},
  {"secrets", read_secrets, true},
  {"permission", read_permission, true},
  {"topics", read_topics, true},
  {"groups", read_groups, false},
};
static const char *const field_names[] = {"user", "secrets", "permission", "topics", "groups"};
enum { FIELDS = sizeof fields / sizeof *fields };

static bool refuse_field(struct row *row, struct uk_slice name)
{
  return refuse(row, "unknown field \"%.*s\"; did you mean \"%s\"?", shown(name), name.data,
                uk_nearest(name, field_names, FIELDS));
}

static bool read_field(struct row *row, unsigned *seen)
{
  const struct uk_slice name = row->json.string;
  size_t i = 0;
  while (i < FIELDS && !uk_slice_is(name, fields[i].name))
    i++;
  if (i == FIELDS)
    return refuse_field(row, name);
  row->field = fields[i].name;
  if ((*seen >> i & 1) != 0)
    return refuse(row, "given twice");
  *seen |= 1u << i;
  const bool good = fields[i].read(row);
  row->field = good ? NULL : row->field;
  return good;
}

static bool has_required(struct row *row, unsigned seen)
{
  for (size_t i = 0; i < FIELDS; i++) {
    row->field = fields[i].name;
    if (fields[i].required && (seen >> i & 1) == 0)
      return refuse(row, "missing");
  }
  row->field = NULL;
  return true;
}

static bool read_row(struct row *row)
{
  unsigned seen = 0;
  enum uk_json_event event = uk_json_next(&row->json);
  if (event != UK_JSON_OBJECT)
    return refuse_event(row, event, "an object");
  while ((event = uk_json_next(&row->json)) == UK_JSON_KEY) {
    if (!read_field(row, &seen))
      return false;
  }
  if (event != UK_JSON_OBJECT_END || (event = uk_json_next(&row->json)) != UK_JSON_END)
    return refuse_event(row, event, "one object");
  return has_required(row, seen);
}

static enum uk_error add_row(struct uk_credentials *credentials, struct row *row)
{
  const enum uk_error error = uk_credentials_add(credentials, &row->settings);
  const struct uk_slice name = row->settings.username;
  if (error == UK_E_CONFLICT)
    refuse(row, "user: \"%.*s\" is given twice", shown(name), name.data);
  else if (error == UK_E_NO_MEMORY)
    refuse(row, "%s", uk_error_text(error));
  else if (error != UK_OK)
    refuse(row, "a field is too long");
  return error == UK_E_NO_MEMORY ? error : error == UK_OK ? UK_OK : UK_E_BAD_REQUEST;
}

static bool is_blank(struct uk_slice line)
{
  size_t i = 0;
  while (i < line.length && (line.data[i] == ' ' || line.data[i] == '\t' || line.data[i] == '\r'))
    i++;
  return i == line.length;
}

static enum uk_error parse_line(struct uk_credentials *credentials, struct row *row, char *line,
                                size_t length)
{
  row->line++;
  row->field = NULL;
  row->settings = (struct uk_credential_settings){0};
  row->hash_count = 0;
  if (is_blank(uk_slice_of(line, length)))
    return UK_OK;
  if (length > UK_CREDENTIAL_LINE_MAX) {
    refuse(row, "longer than %d bytes", UK_CREDENTIAL_LINE_MAX);
    return UK_E_BAD_REQUEST;
  }
  if (uk_credentials_count(credentials) == UK_CREDENTIALS_MAX) {
    refuse(row, "more than %d credentials", UK_CREDENTIALS_MAX);
    return UK_E_BAD_REQUEST;
  }
  uk_json_reader_init(&row->json, line, length, UK_JSON_STRICT_SURROGATE);
  return read_row(row) ? add_row(credentials, row) : UK_E_BAD_REQUEST;
}

static enum uk_error parse_lines(struct uk_credentials *credentials, struct row *row, char *text,
                                 size_t length)
{
  char *const end = text + length;
  enum uk_error error = UK_OK;
  while (error == UK_OK && text < end) {
    char *newline = memchr(text, '\n', (size_t)(end - text));
    char *stop = newline != NULL ? newline : end;
    error = parse_line(credentials, row, text, (size_t)(stop - text));
    text = stop + 1;
  }
  return error;
}

enum uk_error uk_credential_file_parse(struct uk_credentials *credentials, char *text,
                                       size_t length, char *message, size_t size)
{
  struct row *row = calloc(1, sizeof *row);
  if (row == NULL) {
    snprintf(message, size, "%s", uk_error_text(UK_E_NO_MEMORY));
    return UK_E_NO_MEMORY;
  }
  row->message = message;
  row->size = size;
  const enum uk_error error = parse_lines(credentials, row, text, length);
  free(row);
  return error;
}

/* Reading. */

static void note_version(struct uk_file_version *version, const struct stat *status)
{
  *version = (struct uk_file_version){.device = (uint64_t)status->st_dev,
                                      .inode = (uint64_t)status->st_ino,
                                      .size = (uint64_t)status->st_size,
                                      .seconds = (int64_t)status->st_ctim.tv_sec,
                                      .nanoseconds = (int64_t)status->st_ctim.tv_nsec};
}

void uk_file_version_read(struct uk_file_version *version, const char *path)
{
  struct stat status;
  if (stat(path, &status) == 0)
    note_version(version, &status);
  else
    *version = (struct uk_file_version){.error = errno};
}

bool uk_file_version_equal(const struct uk_file_version *a, const struct uk_file_version *b)
{
  return a->device == b->device && a->inode == b->inode && a->size == b->size &&
         a->seconds == b->seconds && a->nanoseconds == b->nanoseconds && a->error == b->error;
}

static bool is_safe(const struct stat *status, char *message, size_t size)
{
  if (!S_ISREG(status->st_mode))
    snprintf(message, size, "not a regular file");
  else if (status->st_uid != geteuid() && status->st_uid != 0)
    snprintf(message, size, "belongs to another user (uid %u)", (unsigned)status->st_uid);
  else if ((status->st_mode & 027) != 0)
    snprintf(message, size, "others may read or write it (mode %o); chmod 640 it",
             (unsigned)status->st_mode & 07777);
  else if (status->st_size > UK_CREDENTIAL_FILE_MAX)
    snprintf(message, size, "larger than %d bytes", UK_CREDENTIAL_FILE_MAX);
  else
    return true;
  return false;
}

/* Returns how many bytes were read, or -1 with errno set. */
static ssize_t read_all(int file, char *bytes, size_t size)
{
  size_t length = 0;
  while (length < size) {
    const ssize_t got = read(file, bytes + length, size - length);
    if (got == 0)
      break;
    if (got < 0 && errno != EINTR)
      return -1;
    length += got > 0 ? (size_t)got : 0;
  }
  return (ssize_t)length;
}

static enum uk_error read_open(struct uk_credentials *credentials, int file, char *message,
                               size_t size)
{
  struct stat status;
  if (fstat(file, &status) != 0) {
    snprintf(message, size, "%s", strerror(errno));
    return UK_E_BAD_REQUEST;
  }
  if (!is_safe(&status, message, size))
    return UK_E_BAD_REQUEST;
  const size_t room = (size_t)status.st_size;
  char *text = calloc(1, room + 1);
  if (text == NULL) {
    snprintf(message, size, "%s", uk_error_text(UK_E_NO_MEMORY));
    return UK_E_NO_MEMORY;
  }
  const ssize_t length = read_all(file, text, room);
  enum uk_error error = UK_E_BAD_REQUEST;
  if (length < 0)
    snprintf(message, size, "%s", strerror(errno));
  else
    error = uk_credential_file_parse(credentials, text, (size_t)length, message, size);
  free(text);
  return error;
}

enum uk_error uk_credential_file_read(struct uk_credentials *credentials, const char *path,
                                      char *message, size_t size)
{
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    snprintf(message, size, "%s", strerror(errno));
    return UK_E_BAD_REQUEST;
  }
  const enum uk_error error = read_open(credentials, file, message, size);
  close(file);
  return error;
}
