/* bare_curl: one kept-alive libcurl handle doing one POST after another, and nothing else: no
 * queue, no JSON read, no retry.
 *
 *   bare_curl URL USERNAME:PASSWORD REQUESTS BODY
 *
 * Prints the requests a second. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

struct body {
  char data[65536];
  size_t length;
};

static size_t take(char *data, size_t size, size_t count, void *argument)
{
  struct body *body = argument;
  size_t bytes = size * count;
  if (bytes > sizeof body->data - body->length)
    return 0;
  memcpy(body->data + body->length, data, bytes);
  body->length += bytes;
  return bytes;
}

static CURL *handle_for(char **argv, struct curl_slist *headers, struct body *body)
{
  CURL *curl = curl_easy_init();
  if (!curl)
    return NULL;
  curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
  curl_easy_setopt(curl, CURLOPT_USERPWD, argv[2]);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, argv[4]);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
  return curl;
}

int main(int argc, char **argv)
{
  if (argc != 5) {
    fprintf(stderr, "usage: bare_curl URL USERNAME:PASSWORD REQUESTS BODY\n");
    return 2;
  }
  static struct body body;
  curl_global_init(CURL_GLOBAL_ALL);
  struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
  CURL *curl = handle_for(argv, headers, &body);
  if (!curl)
    return 1;

  long requests = atol(argv[3]);
  int64_t start = bench_now_ns();
  for (long i = 0; i < requests; i++) {
    long status = 0;
    body.length = 0;
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (rc != CURLE_OK || status != 200) {
      fprintf(stderr, "bare_curl: %s, status %ld\n", curl_easy_strerror(rc), status);
      return 1;
    }
  }
  printf("%.1f\n", (double)requests / ((double)(bench_now_ns() - start) / 1e9));
  curl_easy_cleanup(curl);
  curl_slist_free_all(headers);
  curl_global_cleanup();
  return 0;
}
