#include "common/gzip.h"

#include <limits.h>
#include <stdint.h>
#include <strings.h>
#include <zlib.h>

enum {
  WINDOW_BITS = 15 + 16, /* adding 16 selects the gzip format */
  LEVEL = 1,
  MEMORY_LEVEL = 8,
  STEP = 64 << 10 /* bytes decompressed at a time */
};

enum uk_error uk_gzip(struct uk_buffer *buffer, struct uk_slice bytes)
{
  z_stream stream = {0};
  if (bytes.length > UINT_MAX)
    return UK_E_TOO_LARGE;
  if (deflateInit2(&stream, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    return UK_E_NO_MEMORY;
  uLong bound = deflateBound(&stream, (uLong)bytes.length);
  char *out = bound <= UINT_MAX ? uk_buffer_reserve(buffer, bound) : NULL;
  enum uk_error error = out != NULL ? UK_OK : UK_E_NO_MEMORY;
  if (out != NULL) {
    stream.next_in = (Bytef *)(uintptr_t)bytes.data;
    stream.avail_in = (uInt)bytes.length;
    stream.next_out = (Bytef *)out;
    stream.avail_out = (uInt)bound;
    if (deflate(&stream, Z_FINISH) == Z_STREAM_END)
      uk_buffer_commit(buffer, stream.total_out);
    else
      error = UK_E_TOO_LARGE;
  }
  deflateEnd(&stream);
  return error;
}

/* Decompresses one step into the buffer; `*status` is the result of zlib. */
static enum uk_error unpack_step(struct uk_buffer *buffer, z_stream *stream, int *status)
{
  char last_byte = 0;
  size_t room = buffer->limit - buffer->length;
  size_t step = room < STEP ? room : STEP;
  /* At the limit, one more byte shows whether anything is left. */
  char *out = step > 0 ? uk_buffer_reserve(buffer, step) : &last_byte;
  if (out == NULL)
    return buffer->error;
  size_t size = step > 0 ? step : 1;
  stream->next_out = (Bytef *)out;
  stream->avail_out = (uInt)size;
  *status = inflate(stream, Z_NO_FLUSH);
  size_t written = size - stream->avail_out;
  if (step == 0)
    return written == 0 ? UK_OK : UK_E_TOO_LARGE;
  uk_buffer_commit(buffer, written);
  return UK_OK;
}

static enum uk_error unpack(struct uk_buffer *buffer, z_stream *stream)
{
  int status = Z_OK;
  while (status != Z_STREAM_END || stream->avail_in > 0) {
    if (status == Z_STREAM_END && inflateReset(stream) != Z_OK)
      return UK_E_BAD_REQUEST;
    enum uk_error error = unpack_step(buffer, stream, &status);
    if (error != UK_OK)
      return error;
    if (status == Z_MEM_ERROR)
      return UK_E_NO_MEMORY;
    if (status != Z_OK && status != Z_STREAM_END)
      return UK_E_BAD_REQUEST;
  }
  return UK_OK;
}

enum uk_error uk_gunzip(struct uk_buffer *buffer, struct uk_slice bytes)
{
  z_stream stream = {0};
  if (bytes.length > UINT_MAX)
    return UK_E_TOO_LARGE;
  if (inflateInit2(&stream, WINDOW_BITS) != Z_OK)
    return UK_E_NO_MEMORY;
  stream.next_in = (Bytef *)(uintptr_t)bytes.data;
  stream.avail_in = (uInt)bytes.length;
  enum uk_error error = unpack(buffer, &stream);
  inflateEnd(&stream);
  return error;
}

static struct uk_slice trim(struct uk_slice text)
{
  while (text.length > 0 && strchr(" \t", text.data[0]) != NULL)
    text = uk_slice_of(text.data + 1, text.length - 1);
  while (text.length > 0 && strchr(" \t", text.data[text.length - 1]) != NULL)
    text.length--;
  return text;
}

/* Takes the item before the first separator off `*rest`, with the separator. Returns it trimmed. */
static struct uk_slice cut(struct uk_slice *rest, char separator)
{
  const char *at = rest->length > 0 ? memchr(rest->data, separator, rest->length) : NULL;
  size_t length = at != NULL ? (size_t)(at - rest->data) : rest->length;
  struct uk_slice item = trim(uk_slice_of(rest->data, length));
  size_t passed = at != NULL ? length + 1 : length;
  *rest = uk_slice_of(rest->length > 0 ? rest->data + passed : rest->data, rest->length - passed);
  return item;
}

/* True for "q=0", "q=0.0" and so on. */
static bool is_refusal(struct uk_slice parameter)
{
  if (parameter.length < 3 || strncasecmp(parameter.data, "q=0", 3) != 0)
    return false;
  for (size_t i = 3; i < parameter.length; i++) {
    if (strchr(".0", parameter.data[i]) == NULL)
      return false;
  }
  return true;
}

bool uk_gzip_accepted(struct uk_slice accept_encoding)
{
  while (accept_encoding.length > 0) {
    struct uk_slice item = cut(&accept_encoding, ',');
    struct uk_slice coding = cut(&item, ';');
    bool named =
      (coding.length == 4 && strncasecmp(coding.data, "gzip", 4) == 0) || uk_slice_is(coding, "*");
    if (named)
      return !is_refusal(cut(&item, ';'));
  }
  return false;
}
