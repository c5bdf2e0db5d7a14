---@meta upstash.kafka.server
-- luacheck: ignore 212 241

--- Options of server.start and of launcher.start. server.start requires a username and a password,
--- or credentials.
---@class upstash.kafka.ServerOptions
---@field username string?
---@field password string?
---@field credentials string? a file of more credentials, read again when it changes
---@field listen string? "HOST:PORT", "[IPv6]:PORT", ":PORT" or "unix:PATH"; port 0 picks a free port
---@field data string? the folder for the messages
---@field brokers string? "HOST:PORT,…": a Kafka cluster stores the messages instead of the folder
---@field properties table<string, string|number|boolean>? of librdkafka; only with brokers
---@field property_files table<string, string>? files that hold the values of properties; only with brokers
---@field prefetch_bytes integer? of messages read ahead from the cluster for each consumer instance
---@field prefetch_budget integer? of messages read ahead for all instances
---@field map_bytes integer? the largest size of the messages on disk
---@field partitions integer? of a topic that is created without a number
---@field auto_create_topics boolean? default true
---@field no_sync boolean? answers before messages are on disk, default false
---@field idempotency_window integer? seconds for which an idempotency key is kept, default 600; 0: not at all
---@field threads integer? that serve HTTP; 0: one for each processor, at most 8
---@field max_connections integer?
---@field max_connections_per_address integer? not for this machine's addresses nor those of behind_proxy
---@field tls_timeout integer? seconds for a TLS handshake
---@field head_timeout integer? seconds for the request line and the headers
---@field idle_timeout integer? seconds that a connection stays open without a request
---@field min_rate integer? bytes a second at which a request body must arrive and a response must be read
---@field rate_period integer? seconds in which min_rate is measured
---@field max_header_bytes integer?
---@field max_body_bytes integer?
---@field max_message_bytes integer?
---@field max_request_memory integer? bytes, for all requests in hand; 0: a quarter of the memory that is available
---@field cors_origin string|string[]|nil pages that browsers may call from: "https://HOST[:PORT]", "*" or "none"
---@field behind_proxy string|string[]|nil addresses of proxies whose X-Forwarded-For names the client, or "unix"
---@field insecure boolean? plain HTTP on an address that others can reach, default false
---@field tls_cert string? PEM file; requires tls_key
---@field tls_key string? PEM file that only its owner may use; requires tls_cert
---@field tls_priorities string? versions and ciphers, in GnuTLS's words; requires tls_cert and tls_key

--- A running server. It stops when the handle is collected.
---@class upstash.kafka.ServerHandle
local Handle = {}

--- Returns http://HOST:PORT or https://HOST:PORT with the actual port. Raises after a stop.
---@return string
function Handle:url() end

--- Reads the files again that may change while the server runs: the credentials. No connection is
--- dropped. If a file cannot be used, what was read before stays in use. Raises after a stop.
---@return true? read
---@return string? message
---@return upstash.kafka.Details? details
function Handle:reload() end

--- Stops the server. Returns true, also if it is stopped already. If the disk does not answer,
--- returns within seconds, and the message says what was left: the server's threads and the lock of
--- its data folder. A later call stops them, once the disk answers.
---@return true? stopped
---@return string? message
---@return upstash.kafka.Details? details
function Handle:stop() end

--- The module written in C that is the server. No program loads this file.
---@class upstash.kafka.Server
---@field _VERSION string
---@field defaults upstash.kafka.ServerOptions
---@field refusals_are_json boolean whether malformed requests are answered in JSON, which some builds of libmicrohttpd prevent
---@field checks_heads boolean whether the server checks the lines of request heads itself, and not libmicrohttpd in its strict mode
local server = {}

--- Starts a server, which is already accepting requests when this returns. Raises if an option is
--- wrong.
---@param options upstash.kafka.ServerOptions
---@return upstash.kafka.ServerHandle? handle
---@return string? message
---@return upstash.kafka.Details? details
function server.start(options) end

--- Options of server.check.
---@class upstash.kafka.CheckOptions
---@field data string the data folder of a server that does not run
---@field salvage string? a new folder, which may not exist, for what is whole
---@field report fun(kind: "damaged"|"note"|"progress", line: string|integer, all: integer?)? gets each line; of progress the number of pages, and of all pages

--- What server.check found whole, and the number of damaged places.
---@class upstash.kafka.CheckCounts
---@field bytes integer of data.mdb
---@field topics integer
---@field batches integer
---@field records integer
---@field committed integer
---@field damaged integer

--- Reads every page, batch and table of a data folder, and changes nothing in it. Raises if an
--- option is wrong.
---@param options upstash.kafka.CheckOptions
---@return upstash.kafka.CheckCounts? counts
---@return string? message
---@return upstash.kafka.Details? details
function server.check(options) end

--- Blocks SIGTERM, SIGINT, SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2 and SIGXFSZ in this thread and in
--- every thread that it starts later.
function server.block_signals() end

--- Waits for SIGTERM or SIGINT. SIGHUP meanwhile reloads the server of the handle; without one, it
--- is logged. Call block_signals first.
---@param handle upstash.kafka.ServerHandle?
---@return "SIGTERM"|"SIGINT"
function server.wait_for_signal(handle) end

--- From now on SIGTERM or SIGINT ends the process at once, with status 1, and so does this time.
--- Call it after wait_for_signal, before the server is stopped.
---@param milliseconds integer
function server.force_exit(milliseconds) end

--- Creates a folder and its parents, for the owner alone. Succeeds if it exists.
---@param path string
---@return true? made
---@return string? message
function server.make_directory(path) end

--- Returns the first line of a file that only its owner may read or write; nil without a message if
--- there is no file.
---@param path string
---@return string? secret
---@return string? message why the file is refused
function server.read_secret(path) end

--- Writes a new file that only the owner can read. Never replaces a file.
---@param path string
---@param text string
---@return true? written
---@return string? message
function server.write_secret(path, text) end

--- Returns bytes from the system's random generator.
---@param count integer
---@return string
function server.random_bytes(count) end

--- Raises the limit of open files, as far as the system allows.
---@param count integer
---@return integer allowed
function server.allow_files(count) end

--- Makes a password of 32 characters from random bytes.
---@return string
function server.make_password() end

--- Returns the hash of a password for a file of credentials: a slow one, or a fast one for a
--- password that make_password made.
---@param password string
---@param made boolean?
---@return string? hash
---@return string? message
function server.hash_password(password, made) end

--- Returns how many credentials the text of a file has, or why a server would refuse it.
---@param text string
---@return integer? count
---@return string? message
function server.check_credentials(text) end

--- Whether a descriptor, such as 1 for standard output, is a terminal.
---@param descriptor integer
---@return boolean
function server.is_terminal(descriptor) end

--- Lets the process keep the memory that a request frees for the next one, up to 2 MiB in each of
--- the allocator's arenas. Only for a process that does nothing but serve.
function server.keep_memory() end

return server
