--- The rooms: what each may include, which files may include a library, and the exceptions.
--
-- `make lint` refuses what no list here allows, and entries of a list that no longer apply.

-- Headers of libc, of the kernel, and of the compiler.
local libc = { "^arpa/", "^linux/", "^net/", "^netinet/", "^sys/", "^%a+intrin%.h$", "^arm_neon%.h$" }
for name in ([[
  assert ctype dirent dlfcn endian errno fcntl float inttypes limits malloc locale math netdb poll pthread sched setjmp signal
  stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings time unistd
]]):gmatch "%a+" do libc[#libc + 1] = "^" .. name .. "%.h$" end

return {
  c = {
    folder = "csrc",

    -- A room is a folder; what it may include besides itself.
    directions = {
      common = {},
      client = { "common" },
      ["client/sender"] = { "common", "client" },
      ["server/watch"] = { "common" },
      ["server/engine"] = { "common" },
      ["server/groups"] = { "common", "server/watch", "server/engine" },
      ["server/log_engine"] = {
        "common", "server/watch", "server/engine", "server/groups", "server/log_engine/pages",
      },
      ["server/log_engine/pages"] = { "common" },
      ["server/kafka_engine"] = {
        "common", "server/watch", "server/engine", "server/kafka_engine/rd", "server/kafka_engine/cluster",
        "server/kafka_engine/produce", "server/kafka_engine/fetch", "server/kafka_engine/group",
      },
      ["server/kafka_engine/rd"] = { "common", "server/watch", "server/engine" },
      ["server/kafka_engine/cluster"] = { "common", "server/watch", "server/engine", "server/kafka_engine/rd" },
      ["server/kafka_engine/produce"] = {
        "common", "server/watch", "server/engine", "server/kafka_engine/rd", "server/kafka_engine/cluster",
      },
      ["server/kafka_engine/fetch"] = {
        "common", "server/watch", "server/engine", "server/kafka_engine/rd", "server/kafka_engine/cluster",
      },
      ["server/kafka_engine/group"] = {
        "common", "server/watch", "server/engine", "server/kafka_engine/rd", "server/kafka_engine/cluster",
      },
      ["server/request"] = { "common", "server/watch", "server/engine" },
      ["server/access"] = { "common", "server/watch", "server/request" },
      ["server/api"] = { "common", "server/watch", "server/engine", "server/request", "server/access" },
      ["server/http"] = { "common", "server/watch", "server/api", "server/request" },
      server = {
        "common", "server/watch", "server/access", "server/api", "server/http", "server/kafka_engine",
        "server/log_engine",
      },
      binding = { "common", "client", "client/sender", "server", "server/access", "server/log_engine" },
    },

    -- A header of a library, as a pattern, and the files that may include it.
    doors = {
      { header = "^curl/", files = { "^client/transport[%w_]*%.[ch]$" } },
      { header = "^microhttpd%.h$", files = { "^server/http/http[%w_]*%.[ch]$" } },
      { header = "^lmdb%.h$", files = { "^server/log_engine/log_store_private%.h$" } },
      { header = "^xxhash%.h$", files = { "^server/api/api_idempotency%.c$" } },
      { header = "^crypt%.h$", files = { "^server/access/password_hash%.c$" } },
      { header = "^gnutls/", files = {
        "^server/access/password_hash%.c$", "^server/http/http_certificate%.[ch]$", "^server/http/http_handshake%.c$",
      } },
      { header = "^zlib%.h$", files = { "^common/gzip%.c$" } },
      { header = "^librdkafka/rdkafka%.h$", files = { "^server/kafka_engine/rd/kafka_rd%.h$" } },
      { header = "^lua%.h$", files = { "^binding/" } },
      { header = "^lauxlib%.h$", files = { "^binding/" } },
      { header = "^lualib%.h$", files = { "^binding/" } },
    },
    libc = libc,

    -- Arrows that point upwards: from a file to a room.
    upward = {},

    -- Circles of calls inside a room, by noun.
    circles = {},
  },

  -- A room is a folder, or the files whose names a pattern matches, or the rest.
  lua = {
    folder = "lua/upstash/kafka",
    prefixes = { { pattern = "^init%.lua$", room = "module" }, { pattern = "^client%.lua$", room = "module" } },
    directions = {
      types = {}, -- for the language server alone
      rest = {},
      nginx = { "rest" },
      module = { "rest", "nginx" }, -- puts a client together
      command = { "rest", "module" },
    },
    upward = {},
    circles = {},
  },
}
