/* proxy: whether requests go through a proxy, and how errors name it. Reads the environment as
 * libcurl does; libcurl decides by itself. */
#ifndef UK_PROXY_H
#define UK_PROXY_H

#include <stdbool.h>

#include "common/slice.h"

enum { UK_PROXY_NAME_SIZE = 256, UK_PROXY_MAX = 8192 /* bytes of the option */ };

/* True for a host that is this machine: localhost and names below it, 127.0.0.0/8 in any form,
 * 0.0.0.0, [::1] and [::], and the IPv4-mapped forms. */
bool uk_proxy_is_loopback(struct uk_slice host);

/* What is wrong with the option; NULL: nothing. Repeats none of its text, which may hold
 * credentials. Takes what libcurl does: [SCHEME://][USER[:PASSWORD]@]HOST[:PORT][/...]; "" and NULL
 * too. */
const char *uk_proxy_check(const char *proxy);

/* Writes the proxy for a host, without its credentials; "" when there is none. `proxy` is the
 * option: "" = none, NULL = that of the environment. `secure`: the URL is https. */
void uk_proxy_name(char name[UK_PROXY_NAME_SIZE], const char *proxy, struct uk_slice host,
                   bool secure);

/* Writes "TEXT (through the proxy NAME)", cut to the size. */
void uk_proxy_append(char *out, size_t size, const char *text, const char *name);

#endif
