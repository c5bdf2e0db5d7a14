/* for: http_certificate.c
 *
 * The certificate of a TLS server: which files are refused, and which certificate a handshake gets.
 * Both ends of the connections are in one thread. */
#include "server/http/http_certificate.h"

#include <fcntl.h>
#include <gnutls/x509.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"
#include "log_rig.h"
#include "made_certificate.h"

enum { MEBIBYTE = 1 << 20, NAME_SIZE = 100, PATH_SIZE = 300 };

static char message[400];
static char cert[PATH_SIZE], key[PATH_SIZE], other[PATH_SIZE], other_key[PATH_SIZE];

static const char *path_of(char path[PATH_SIZE], const char *name)
{
  snprintf(path, PATH_SIZE, "%s/%s", rig_directory(), name);
  return path;
}

static void make_files(void)
{
  made_certificate(path_of(cert, "one.pem"), path_of(key, "one.key"), "one");
  made_certificate(path_of(other, "other.pem"), path_of(other_key, "other.key"), "other");
}

static void copy_file(const char *from, const char *to, const char *how)
{
  static char bytes[2 * MEBIBYTE];
  FILE *source = fopen(from, "r"), *target = fopen(to, how);
  const size_t length = fread(bytes, 1, sizeof bytes, source);
  CHECK_EQ_INT(fwrite(bytes, 1, length, target), length);
  fclose(source);
  fclose(target);
}

static void fill_file(const char *path, size_t length)
{
  FILE *file = fopen(path, "a");
  for (long at = ftell(file); (size_t)at < length; at++)
    fputc('\n', file);
  fclose(file);
}

static enum uk_error try_to_open(const char *cert_path, const char *key_path)
{
  struct uk_certificate *certificate = NULL;
  const long before = fault_live();
  message[0] = '\0';
  enum uk_error error =
    uk_certificate_open(&certificate, cert_path, key_path, message, sizeof message);
  CHECK_EQ_INT(certificate != NULL, error == UK_OK);
  uk_certificate_free(certificate);
  CHECK_EQ_INT(fault_live(), before);
  return error;
}

static void is_refused(const char *cert_path, const char *key_path, const char *option,
                       const char *path, const char *reason)
{
  char expected[2 * PATH_SIZE];
  CHECK_EQ_INT(try_to_open(cert_path, key_path), UK_E_BAD_REQUEST);
  snprintf(expected, sizeof expected, "%s: %s: %s", option, path, reason);
  CHECK_EQ_STR(message, expected);
}

static void e5_names_the_file_that_cannot_be_used(void)
{
  char empty[PATH_SIZE], noise[PATH_SIZE], pipe[PATH_SIZE];
  const char *folder = rig_directory(), *nowhere = "/proc/nowhere";
  fclose(fopen(path_of(empty, "empty"), "w"));
  fclose(fopen(path_of(noise, "noise"), "w"));
  fill_file(noise, 10);
  CHECK(chmod(noise, 0600) == 0 && chmod(empty, 0600) == 0);
  REQUIRE(mkfifo(path_of(pipe, "pipe"), 0600) == 0);
  CHECK_EQ_INT(try_to_open(cert, key), UK_OK);
  is_refused(nowhere, key, "tls_cert", nowhere, "No such file or directory");
  is_refused(cert, nowhere, "tls_key", nowhere, "No such file or directory");
  is_refused(folder, key, "tls_cert", folder, "not a regular file");
  is_refused(cert, folder, "tls_key", folder, "not a regular file");
  is_refused(cert, pipe, "tls_key", pipe, "not a regular file");
  is_refused(empty, key, "tls_cert", empty, "empty");
  is_refused(cert, empty, "tls_key", empty, "empty");
  is_refused(noise, key, "tls_cert", noise, gnutls_strerror(GNUTLS_E_NO_CERTIFICATE_FOUND));
  is_refused(cert, noise, "tls_key", noise, gnutls_strerror(GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE));
  is_refused(key, key, "tls_cert", key, gnutls_strerror(GNUTLS_E_NO_CERTIFICATE_FOUND));
  is_refused(cert, other_key, "tls_key", other_key,
             "the key of another certificate than that of tls_cert");
  unlink(pipe);
}

static void e5_takes_files_up_to_a_mebibyte(void)
{
  char large_cert[PATH_SIZE], large_key[PATH_SIZE];
  copy_file(cert, path_of(large_cert, "large.pem"), "w");
  copy_file(key, path_of(large_key, "large.key"), "w");
  CHECK_EQ_INT(chmod(large_key, 0600), 0);
  fill_file(large_cert, MEBIBYTE);
  fill_file(large_key, MEBIBYTE);
  CHECK_EQ_INT(try_to_open(large_cert, large_key), UK_OK);
  fill_file(large_cert, MEBIBYTE + 1);
  is_refused(large_cert, key, "tls_cert", large_cert, "larger than 1 MiB");
  fill_file(large_key, MEBIBYTE + 1);
  is_refused(cert, large_key, "tls_key", large_key, "larger than 1 MiB");
}

/* The certificate is public, the key is not; a link to it may be. */
static void e5_refuses_a_key_that_others_may_use(void)
{
  static const struct {
    mode_t mode;
    const char *shown; /* NULL: fine */
  } rows[] = {{0600, NULL},   {0400, NULL},   {0700, NULL},   {0711, NULL},   {0640, "0640"},
              {0620, "0620"}, {0604, "0604"}, {0602, "0602"}, {0644, "0644"}, {04640, "4640"}};
  char link[PATH_SIZE], reason[100];
  CHECK_EQ_INT(chmod(cert, 0666), 0);
  REQUIRE(symlink(key, path_of(link, "link")) == 0);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_EQ_INT(chmod(key, rows[i].mode), 0);
    if (rows[i].shown == NULL) {
      CHECK_EQ_INT(try_to_open(cert, link), UK_OK);
      continue;
    }
    snprintf(reason, sizeof reason, "others than its owner may use it (mode %s): chmod 600 it",
             rows[i].shown);
    is_refused(cert, link, "tls_key", link, reason);
  }
  CHECK_EQ_INT(chmod(key, 0600), 0);
  unlink(link);
}

static void opening_needs_memory(void)
{
  bool hit = true;
  for (long n = 1; hit; n++) {
    fault_at(n);
    const enum uk_error error = try_to_open(cert, key);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(error, hit ? UK_E_NO_MEMORY : UK_OK);
    CHECK(n < 20);
  }
}

/* Handshakes. */

struct connection {
  int sockets[2]; /* of the server and of the client */
  gnutls_session_t server, client;
};

static gnutls_certificate_credentials_t server_credentials, client_credentials;

static int accept_any(gnutls_session_t session)
{
  (void)session;
  return 0;
}

static void begin(gnutls_session_t *session, unsigned role, int fd, void *credentials,
                  const char *priorities)
{
  REQUIRE(gnutls_init(session, role | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) == 0);
  /* Some systems allow no client of theirs to offer what is too old: it then offers nothing. */
  const bool allowed = gnutls_priority_set_direct(*session, priorities, NULL) == 0;
  REQUIRE(allowed || role == GNUTLS_CLIENT);
  REQUIRE(gnutls_credentials_set(*session, GNUTLS_CRD_CERTIFICATE, credentials) == 0);
  gnutls_transport_set_int(*session, fd);
}

static bool goes_on(int result)
{
  return result < 0 && !gnutls_error_is_fatal(result);
}

/* Returns the result of the server's handshake. */
static int shake_hands(struct connection *connection)
{
  int server = GNUTLS_E_AGAIN, client = GNUTLS_E_AGAIN;
  while (goes_on(server) || (server == 0 && goes_on(client))) {
    if (goes_on(client))
      client = gnutls_handshake(connection->client);
    if (goes_on(server))
      server = gnutls_handshake(connection->server);
    if (client < 0 && gnutls_error_is_fatal(client) && goes_on(server))
      return client;
  }
  return server;
}

static int connect_to(struct connection *connection, struct uk_certificate *certificate,
                      const char *client_priorities)
{
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, connection->sockets) == 0);
  begin(&connection->server, GNUTLS_SERVER, connection->sockets[0], server_credentials,
        UK_TLS_PRIORITIES);
  begin(&connection->client, GNUTLS_CLIENT, connection->sockets[1], client_credentials,
        client_priorities);
  uk_certificate_use(certificate, connection->server);
  return shake_hands(connection);
}

static void end(struct connection *connection)
{
  gnutls_deinit(connection->server);
  gnutls_deinit(connection->client);
  close(connection->sockets[0]);
  close(connection->sockets[1]);
}

/* The name in the certificate that the client got at this place of the chain. */
static const char *name_of_server(const struct connection *connection, unsigned place)
{
  static char name[NAME_SIZE];
  size_t size = sizeof name;
  unsigned count = 0;
  gnutls_x509_crt_t peer;
  const gnutls_datum_t *list = gnutls_certificate_get_peers(connection->client, &count);
  name[0] = '\0';
  if (!CHECK(place < count))
    return name;
  gnutls_x509_crt_init(&peer);
  CHECK_EQ_INT(gnutls_x509_crt_import(peer, &list[place], GNUTLS_X509_FMT_DER), 0);
  CHECK_EQ_INT(gnutls_x509_crt_get_dn_by_oid(peer, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size),
               0);
  gnutls_x509_crt_deinit(peer);
  return name;
}

static void carries_bytes(struct connection *connection)
{
  char byte = 0;
  CHECK_EQ_INT(gnutls_record_send(connection->client, "x", 1), 1);
  CHECK_EQ_INT(gnutls_record_recv(connection->server, &byte, 1), 1);
  CHECK_EQ_INT(byte, 'x');
}

static struct uk_certificate *open_certificate(void)
{
  struct uk_certificate *certificate = NULL;
  CHECK_EQ_INT(uk_certificate_open(&certificate, cert, key, message, sizeof message), UK_OK);
  return certificate;
}

static void is_given(struct uk_certificate *certificate, const char *name)
{
  struct connection connection;
  if (CHECK_EQ_INT(connect_to(&connection, certificate, "NORMAL"), 0))
    CHECK_EQ_STR(name_of_server(&connection, 0), name);
  end(&connection);
}

/* Old connections keep what they have. */
static void e5_a_reload_replaces_the_certificate(void)
{
  struct connection old;
  struct uk_certificate *certificate = open_certificate();
  CHECK_EQ_INT(connect_to(&old, certificate, "NORMAL"), 0);
  CHECK_EQ_STR(name_of_server(&old, 0), "one");
  made_certificate(cert, key, "renewed");
  is_given(certificate, "one");
  CHECK_EQ_INT(uk_certificate_reload(certificate, message, sizeof message), UK_OK);
  is_given(certificate, "renewed");
  carries_bytes(&old);
  end(&old);
  uk_certificate_free(certificate);
  made_certificate(cert, key, "one");
}

static void e5_a_broken_file_leaves_the_old_certificate(void)
{
  char expected[2 * PATH_SIZE], saved[PATH_SIZE];
  struct uk_certificate *certificate = open_certificate();
  copy_file(cert, path_of(saved, "saved.pem"), "w");
  copy_file(other, cert, "w"); /* the key still has to come */
  const long before = fault_live();
  CHECK_EQ_INT(uk_certificate_reload(certificate, message, sizeof message), UK_E_BAD_REQUEST);
  snprintf(expected, sizeof expected,
           "tls_key: %s: the key of another certificate than that of tls_cert", key);
  CHECK_EQ_STR(message, expected);
  is_given(certificate, "one");
  fclose(fopen(cert, "w"));
  CHECK_EQ_INT(uk_certificate_reload(certificate, message, sizeof message), UK_E_BAD_REQUEST);
  is_given(certificate, "one");
  copy_file(saved, cert, "w");
  fault_at(1);
  CHECK_EQ_INT(uk_certificate_reload(certificate, message, sizeof message), UK_E_NO_MEMORY);
  fault_off();
  CHECK_EQ_INT(fault_live(), before);
  is_given(certificate, "one");
  CHECK_EQ_INT(uk_certificate_reload(certificate, message, sizeof message), UK_OK);
  uk_certificate_free(certificate);
}

/* A server sends the whole chain, its own certificate first. */
static void e5_sends_the_chain(void)
{
  char chain[PATH_SIZE];
  struct connection connection;
  struct uk_certificate *certificate = NULL;
  copy_file(cert, path_of(chain, "chain.pem"), "w");
  copy_file(cert, chain, "a");
  REQUIRE(uk_certificate_open(&certificate, chain, key, message, sizeof message) == UK_OK);
  CHECK_EQ_INT(connect_to(&connection, certificate, "NORMAL"), 0);
  CHECK_EQ_STR(name_of_server(&connection, 0), "one");
  end(&connection);
  uk_certificate_free(certificate);
}

static void e5_offers_aead_with_ecdhe_from_tls_1_2_on(void)
{
  static const struct {
    const char *client;
    bool accepted;
  } rows[] = {
    {"NORMAL", true},
    {"NORMAL:-VERS-ALL:+VERS-TLS1.3", true},
    {"NORMAL:-VERS-ALL:+VERS-TLS1.2", true},
    {"NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM", true},
    {"NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+CHACHA20-POLY1305", true},
    {"NORMAL:-VERS-ALL:+VERS-TLS1.1", false},
    {"NORMAL:-VERS-ALL:+VERS-TLS1.0", false},
    {"NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:+AES-256-CBC", false},
    {"NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CCM", false},
    {"NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA:+DHE-RSA", false},
    {"NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-DH-ALL", false},
  };
  struct uk_certificate *certificate = open_certificate();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct connection connection;
    const int result = connect_to(&connection, certificate, rows[i].client);
    if (!CHECK_EQ_INT(result == 0, rows[i].accepted))
      fprintf(stderr, "  %s: %s\n", rows[i].client, gnutls_strerror(result));
    end(&connection);
  }
  uk_certificate_free(certificate);
}

/* The copies for a handshake. */

static int callocs_left;
static gnutls_calloc_function library_calloc;

static void *scarce(size_t count, size_t size)
{
  return callocs_left-- > 0 ? library_calloc(count, size) : NULL;
}

/* The handshake fails, and nothing else. */
static void a_handshake_needs_memory(void)
{
  struct uk_certificate *certificate = open_certificate();
  bool failed = true;
  library_calloc = gnutls_calloc;
  for (int n = 0; failed && CHECK(n < 50); n++) {
    gnutls_session_t session;
    gnutls_pcert_st *chain = NULL;
    gnutls_ocsp_data_st *ocsp;
    gnutls_privkey_t copy = NULL;
    unsigned length = 0, ocsp_length, flags;
    REQUIRE(gnutls_init(&session, GNUTLS_SERVER) == 0);
    uk_certificate_use(certificate, session);
    callocs_left = n;
    gnutls_calloc = scarce;
    const int result =
      uk_certificate_retrieve(session, NULL, &chain, &length, &ocsp, &ocsp_length, &copy, &flags);
    gnutls_calloc = library_calloc;
    failed = result != 0;
    if (!failed) {
      CHECK_EQ_INT(n > 1, true);
      CHECK_EQ_INT(length, 1);
      CHECK_EQ_INT(flags, GNUTLS_CERT_RETR_DEINIT_ALL);
      gnutls_pcert_deinit(chain);
      gnutls_free(chain);
      gnutls_privkey_deinit(copy);
    }
    gnutls_deinit(session);
  }
  is_given(certificate, "one");
  uk_certificate_free(certificate);
}

static void e5_names_the_priority_that_is_unknown(void)
{
  CHECK_EQ_INT(uk_tls_check_priorities(UK_TLS_PRIORITIES, message, sizeof message), UK_OK);
  CHECK_EQ_INT(uk_tls_check_priorities("PFS", message, sizeof message), UK_OK);
  CHECK_EQ_INT(uk_tls_check_priorities("NORMAL:+NONSENSE:-X", message, sizeof message),
               UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "tls_priorities: not understood from \"+NONSENSE:-X\" on (GnuTLS)");
  CHECK_EQ_INT(uk_tls_check_priorities("", message, sizeof message), UK_E_BAD_REQUEST);
}

static void set_up(void)
{
  REQUIRE(gnutls_certificate_allocate_credentials(&server_credentials) == 0);
  REQUIRE(gnutls_certificate_allocate_credentials(&client_credentials) == 0);
  gnutls_certificate_set_retrieve_function3(server_credentials, uk_certificate_retrieve);
  gnutls_certificate_set_verify_function(client_credentials, accept_any);
  make_files();
}

int main(void)
{
  set_up();
  CHECK_RUN(e5_names_the_file_that_cannot_be_used);
  CHECK_RUN(e5_takes_files_up_to_a_mebibyte);
  CHECK_RUN(e5_refuses_a_key_that_others_may_use);
  CHECK_RUN(opening_needs_memory);
  CHECK_RUN(e5_a_reload_replaces_the_certificate);
  CHECK_RUN(e5_a_broken_file_leaves_the_old_certificate);
  CHECK_RUN(e5_sends_the_chain);
  CHECK_RUN(e5_offers_aead_with_ecdhe_from_tls_1_2_on);
  CHECK_RUN(a_handshake_needs_memory);
  CHECK_RUN(e5_names_the_priority_that_is_unknown);
  gnutls_certificate_free_credentials(server_credentials);
  gnutls_certificate_free_credentials(client_credentials);
  rig_remove();
  return check_end();
}
