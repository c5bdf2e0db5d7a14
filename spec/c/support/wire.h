/* wire: a client that sends any bytes, well-formed or not, to a server on the loopback interface.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>

enum {
  WIRE_ANSWER_SIZE = 128 << 10, /* bytes of an answer that are kept */
  WIRE_PATIENCE = 120           /* seconds until a read or write fails: a bound for hangs */
};

/* The last answer, NUL-terminated. */
extern char wire_answer[WIRE_ANSWER_SIZE];

/* `address` ends in ":PORT". */
int wire_connect(const char *address);
/* The socket may still be connecting. */
int wire_connect_without_waiting(const char *address);
bool wire_is_connected(int fd);

/* How many connections the kernel has for this listening socket that were not accepted. The client
 * may be connected a moment earlier. */
unsigned wire_waiting(int listener);

void wire_send(int fd, const char *text);

/* Reads one answer; returns its body, or "" if none came. `has_body`: false for HEAD. */
const char *wire_receive(int fd, bool has_body);

/* Reads until the server closes the connection; returns the body, or "". */
const char *wire_receive_all(int fd);

/* Sends a request that asks the server to close, on a connection of its own; returns the body. */
const char *wire_ask(const char *address, const char *request);

/* The Content-Length in the head of an answer, or 0. */
size_t wire_length(const char *head);

/* Whether the last answer has this status; prints the answer if not. */
bool wire_has_status(int status);

/* Waits until the server closes its side; false if it sends more bytes instead. */
bool wire_is_closed(int fd);

#endif
