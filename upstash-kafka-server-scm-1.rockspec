rockspec_format = "3.0"
package = "upstash-kafka-server"
version = "scm-1"

-- Built from a checkout: luarocks make upstash-kafka-server-scm-1.rockspec
source = { url = "git+file://." }

description = {
  summary = "Kafka over HTTP for Lua: the server",
  detailed = [[
A server that speaks the Upstash Kafka REST API and keeps messages in an embedded log or in a Kafka cluster, for the
inside of a Lua program or for the shell: it adds serve to the command upstash-kafka, which comes with the rock
upstash-kafka.]],
  license = "MIT",
  labels = { "kafka", "http", "server", "messaging" },
}

dependencies = {
  "lua >= 5.1, < 5.5",
  "upstash-kafka",
}

-- By header too: a system may have the library without its header, as every Debian has xxHash's.
external_dependencies = {
  MICROHTTPD = { header = "microhttpd.h", library = "microhttpd" },
  LMDB = { header = "lmdb.h", library = "lmdb" },
  XXHASH = { header = "xxhash.h", library = "xxhash" },
  ZLIB = { header = "zlib.h", library = "z" },
  RDKAFKA = { header = "librdkafka/rdkafka.h", library = "rdkafka" },
  CRYPT = { header = "crypt.h", library = "crypt" },
  GNUTLS = { header = "gnutls/crypto.h", library = "gnutls" },
}

build = {
  type = "make",
  build_target = "build-server",
  install_target = "install-server",
  variables = {
    BUILD = "build/rock",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    MICROHTTPD_INCDIR = "$(MICROHTTPD_INCDIR)",
    MICROHTTPD_LIBDIR = "$(MICROHTTPD_LIBDIR)",
    LMDB_INCDIR = "$(LMDB_INCDIR)",
    LMDB_LIBDIR = "$(LMDB_LIBDIR)",
    XXHASH_INCDIR = "$(XXHASH_INCDIR)",
    XXHASH_LIBDIR = "$(XXHASH_LIBDIR)",
    ZLIB_INCDIR = "$(ZLIB_INCDIR)",
    ZLIB_LIBDIR = "$(ZLIB_LIBDIR)",
    RDKAFKA_INCDIR = "$(RDKAFKA_INCDIR)",
    RDKAFKA_LIBDIR = "$(RDKAFKA_LIBDIR)",
    CRYPT_INCDIR = "$(CRYPT_INCDIR)",
    CRYPT_LIBDIR = "$(CRYPT_LIBDIR)",
    GNUTLS_INCDIR = "$(GNUTLS_INCDIR)",
    GNUTLS_LIBDIR = "$(GNUTLS_LIBDIR)",
  },
  install_variables = {
    INST_LIBDIR = "$(LIBDIR)",
    INST_LUADIR = "$(LUADIR)",
    INST_BINDIR = "$(BINDIR)",
  },
}
