rockspec_format = "3.0"
package = "upstash-kafka"
version = "scm-1"

-- Built from a checkout: luarocks make upstash-kafka-scm-1.rockspec
source = { url = "git+file://." }

description = {
  summary = "Kafka over HTTP for Lua: the client and the command line",
  detailed = [[
A client in C for the Upstash Kafka REST API: produce, consume with groups, fetch by offset, iterators that lose no
message, offsets that are integers; and the command upstash-kafka. The server for it is the rock upstash-kafka-server.]],
  license = "MIT",
  labels = { "kafka", "http", "messaging" },
}

-- lua-cjson is optional: its sentinels and settings are honoured where it is installed.
dependencies = {
  "lua >= 5.1, < 5.5",
}

-- curl by library alone: Debian keeps its header in a folder of the architecture, where LuaRocks does not look.
external_dependencies = {
  CURL = { library = "curl" },
  ZLIB = { header = "zlib.h", library = "z" },
}

-- The command starts in sh: it must ignore signals from its first moment on, and finds its modules by itself.
deploy = { wrap_bin_scripts = false }

build = {
  type = "make",
  build_target = "build-client",
  install_target = "install-client",
  variables = {
    BUILD = "build/rock",
    LUA = "$(LUA)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    CURL_INCDIR = "$(CURL_INCDIR)",
    CURL_LIBDIR = "$(CURL_LIBDIR)",
    ZLIB_INCDIR = "$(ZLIB_INCDIR)",
    ZLIB_LIBDIR = "$(ZLIB_LIBDIR)",
  },
  install_variables = {
    INST_LIBDIR = "$(LIBDIR)",
    INST_LUADIR = "$(LUADIR)",
    INST_BINDIR = "$(BINDIR)",
  },
}
