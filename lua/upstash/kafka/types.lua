---@meta
-- luacheck: ignore 212

--- What the language server is told of the client and the server: types, and the methods that core brings. Nothing
--- loads this file.

--- Why a call failed: the third value after nil and the text.
---@class upstash.kafka.Details
---@field error string the text
---@field status integer? the HTTP status; nil when there was no answer
---@field code string a stable word, as core.errors lists them
---@field retriable boolean whether the same call may succeed later
---@field retry_after integer? seconds that the server asks to wait
---@field results (upstash.kafka.Metadata|upstash.kafka.Details)[]? of a produce of which a part is stored: what became
--- of each message; those that failed have an `error`
---@field position upstash.kafka.Position? the message that cannot be read; the first one of an answer that is too large
---@field again string? of a consume that may have been carried out: how to get its messages again

---@class upstash.kafka.Metadata
---@field topic string
---@field partition integer
---@field offset integer
---@field timestamp integer|string milliseconds since 1970; digits where this Lua has no such integer

---@class upstash.kafka.Header
---@field key string
---@field value string

---@class upstash.kafka.Message
---@field topic string
---@field partition integer
---@field offset integer
---@field timestamp integer|string milliseconds since 1970; digits where this Lua has no such integer
---@field key string "" when the message has none
---@field value string? nil for a tombstone
---@field headers upstash.kafka.Header[]
---@field json fun(message: upstash.kafka.Message): any?, string?, upstash.kafka.Details?

---@class upstash.kafka.Position
---@field topic string
---@field partition integer
---@field offset integer

---@class upstash.kafka.ProduceOptions
---@field key string?
---@field headers table<string, string>|upstash.kafka.Header[]|nil
---@field partition integer? by the key's hash when absent, spread without a key
---@field timestamp integer? milliseconds since 1970; the server's clock when absent

---@class upstash.kafka.NewMessage: upstash.kafka.ProduceOptions
---@field topic string? only where the call names none
---@field value string|number|table|lightuserdata a table is sent as JSON, kafka.null is a tombstone

---@class upstash.kafka.ConsumeOptions
---@field timeout integer? milliseconds to wait for a first message, default 1000
---@field auto_commit boolean? default true
---@field auto_commit_interval integer? milliseconds, default 5000
---@field auto_offset_reset "latest"|"earliest"|"none"|nil default latest
---@field session_timeout integer? milliseconds without a request after which the instance is closed, default 120000
---@field max_messages integer?
---@field max_bytes integer?

---@class upstash.kafka.LoopOptions
---@field group string
---@field instance string one of its own for each loop that runs at the same time; %p: the process, %w: nginx's worker
---@field topic string? this or topics
---@field topics string[]?
---@field from "latest"|"earliest"|"none"|nil where a group without a commit starts, default latest
---@field timeout integer? milliseconds of one poll, default 1000
---@field max_messages integer? of one poll
---@field max_bytes integer? of one poll
---@field session_timeout integer? milliseconds, default 120000
---@field limit integer? ends the loop after so many messages
---@field idle integer? ends the loop after so many milliseconds without a message; by default it goes on

---@class upstash.kafka.RecordsOptions
---@field topic string
---@field partition integer
---@field from integer|"earliest"|"latest"|{timestamp: integer}|nil default earliest
---@field to integer|"latest"|{timestamp: integer}|nil the first one not to be returned; "latest" = the end as it is
--- when the loop starts; by default the loop waits for new messages and goes on
---@field timeout integer? milliseconds of one poll, default 1000
---@field max_messages integer? of one poll
---@field max_bytes integer? of one poll
---@field limit integer? ends the loop after so many messages
---@field idle integer? ends the loop after so many milliseconds without a message

---@class upstash.kafka.ProducerOptions
---@field topic string? of messages whose topic is nil
---@field queue_bytes integer? default 16 MiB
---@field batch_bytes integer? of messages in one request, default 512 KiB
---@field batch_messages integer? default 10000
---@field linger integer? milliseconds that a message waits for others, default 5
---@field in_flight integer? requests at once, default 1: order is kept
---@field overflow "error"|"block"|"drop_oldest"|nil what a full queue does, default error
---@field gzip boolean? compresses requests, default false
---@field block_timeout integer? milliseconds that "block" waits, default 1000
---@field message_timeout integer? milliseconds after which a message is given up; 0, the default: never
---@field flush_timeout integer? milliseconds at the end of the process, at most and by default 2000
---@field log boolean? discards on standard error, default true
---@field name string? producers of different names share nothing

---@class upstash.kafka.Failure
---@field message upstash.kafka.NewMessage
---@field error string
---@field code string
---@field status integer?
---@field retriable boolean

---@class upstash.kafka.ProducerStats
---@field sent integer taken into the queue
---@field delivered integer
---@field failed integer given up
---@field lost integer of these, because the producer was closed
---@field dropped integer by overflow = "drop_oldest"
---@field refused integer the queue was full
---@field requests integer
---@field retried integer requests made again
---@field queued integer waiting now
---@field in_flight integer messages under way now
---@field bytes integer of the queue in use now
---@field trouble string? why the last request failed; nil when it did not
---@field latency {mean: number, p50: number, p99: number, max: number} milliseconds from send to answer

--- What server.start takes. `username` and `password` are required there, and optional for the launcher.
---@class upstash.kafka.ServerOptions
---@field username string?
---@field password string?
---@field listen string? "HOST:PORT" or "[IPv6]:PORT"; port 0 picks a free one
---@field data string? the folder of the messages
---@field brokers string? "HOST:PORT,…": a Kafka cluster keeps the messages, and no folder
---@field properties table<string, string|number|boolean>? of librdkafka; only with brokers
---@field property_files table<string, string>? the files that hold the values of properties; only with brokers
---@field prefetch_bytes integer? of messages read ahead from the cluster for each consumer instance
---@field prefetch_budget integer? of messages read ahead for all instances
---@field map_bytes integer? the most that the messages may take on disk
---@field partitions integer? of a topic created without a number
---@field auto_create_topics boolean? default true
---@field no_sync boolean?
---@field threads integer? that serve HTTP; 0: one for each processor, at most 8
---@field max_connections integer?
---@field max_header_bytes integer?
---@field max_body_bytes integer?
---@field max_message_bytes integer?
---@field cors_origin string|string[]? the pages that browsers may call from: "https://HOST[:PORT]", "*" or "none"
---@field tls_cert string? PEM file; both or neither
---@field tls_key string? PEM file

--- A client. Every method returns its result, or nil, a text and details when the network or the server
--- made it fail; what the program itself got wrong (a type, an unknown option, a closed client) raises, blaming the
--- line of the call. Failures that pass are tried again first, as the options of kafka.new say.
---@class upstash.kafka.Client
local Client = {}

--- Produces one message. Speaks to POST /produce/{topic}.
---@param topic string
---@param value string|number|table|lightuserdata a number is sent as text, a table as JSON; kafka.null is a tombstone
---@param options upstash.kafka.ProduceOptions?
---@return upstash.kafka.Metadata? metadata
---@return string? message
---@return upstash.kafka.Details? details
function Client:produce(topic, value, options) end

--- Produces several messages, all or none: to one topic, or with a topic in each when the list comes first. Speaks to
--- POST /produce/{topic} or POST /produce.
---@param topic string|upstash.kafka.NewMessage[]
---@param messages upstash.kafka.NewMessage[]?
---@return upstash.kafka.Metadata[]? metadata in the order of the messages
---@return string? message
---@return upstash.kafka.Details? details
function Client:produce_many(topic, messages) end

--- Produces the bytes as they are. Speaks to POST /webhook.
---@param topic string
---@param body string
---@param options {headers: table<string, string>?}? names that HTTP does not define become headers of the message
---@return upstash.kafka.Metadata? metadata
---@return string? message
---@return upstash.kafka.Details? details
function Client:webhook(topic, body, options) end

--- Consumes once for an instance of a group, which the first call creates. `client:messages` does this in a loop that
--- loses nothing. Speaks to POST /consume/{group}/{instance}.
---@param group string
---@param instance string
---@param topics string|string[]
---@param options upstash.kafka.ConsumeOptions?
---@return upstash.kafka.Message[]? messages
---@return string? message
---@return upstash.kafka.Details? details
function Client:consume(group, instance, topics, options) end

--- Commits offsets as given, or without any the position after all that was consumed. Speaks to
--- POST /commit/{group}/{instance}; the instance must be alive.
---@param group string
---@param instance string
---@param offsets upstash.kafka.Position|upstash.kafka.Position[]|nil
---@return true? done
---@return string? message
---@return upstash.kafka.Details? details
function Client:commit(group, instance, offsets) end

--- What the group has committed; -1 where it has not. Speaks to POST /committed/{group}/{instance}.
---@param group string
---@param instance string need not be alive
---@param partitions {topic: string, partition: integer}|{topic: string, partition: integer}[]
---@param options {timeout: integer?}? milliseconds, default 10000
---@return upstash.kafka.Position[]? offsets
---@return string? message
---@return upstash.kafka.Details? details
function Client:committed(group, instance, partitions, options) end

--- Closes an instance. Speaks to POST /delete-consumer/{group}/{instance}.
---@param group string
---@param instance string
---@return true? done
---@return string? message code not_found when it is not alive
---@return upstash.kafka.Details? details
function Client:delete_consumer(group, instance) end

--- The live instances and their partitions. Speaks to GET /consumers.
---@return {name: string, instances: table[]}[]? groups
---@return string? message
---@return upstash.kafka.Details? details
function Client:consumers() end

--- Reads from offsets on, without a group. Speaks to POST /fetch.
---@param topic string|upstash.kafka.Position[] a list of positions takes the place of the first three arguments
---@param partition integer|{timeout: integer?, max_messages: integer?, max_bytes: integer?}|nil
---@param offset integer?
---@param options {timeout: integer?, max_messages: integer?, max_bytes: integer?}? milliseconds, default 1000
---@return upstash.kafka.Message[]? messages
---@return string? message
---@return upstash.kafka.Details? details
function Client:fetch(topic, partition, offset, options) end

--- The first offset at or after a time, or the first or the end offset, of partitions. Speaks to
--- POST /offsets/{timestamp}.
---@param at integer|"earliest"|"latest" milliseconds since 1970
---@param partitions {topic: string, partition: integer}|{topic: string, partition: integer}[]
---@param options {timeout: integer?}? milliseconds, default 10000
---@return upstash.kafka.Position[]? offsets
---@return string? message
---@return upstash.kafka.Details? details
function Client:offsets(at, partitions, options) end

--- The topics and how many partitions each has. Speaks to GET /topics.
---@return table<string, integer>? topics
---@return string? message
---@return upstash.kafka.Details? details
function Client:topics() end

--- Creates a topic; one that is there with the same settings is as good. Speaks to POST /topics/{topic}.
---@param topic string
---@param options {partitions: integer?, retention_ms: integer?, retention_bytes: integer?}?
---@return {topic: string, partitions: integer}? topic
---@return string? message code conflict when it has other settings
---@return upstash.kafka.Details? details
function Client:create_topic(topic, options) end

--- Deletes a topic with its messages and the groups' offsets in it. Speaks to DELETE /topics/{topic}.
---@param topic string
---@return true? done
---@return string? message
---@return upstash.kafka.Details? details
function Client:delete_topic(topic) end

--- Whether the server can serve; needs no credentials. Speaks to GET /health.
---@return {status: string, engine: string}? health
---@return string? message
---@return upstash.kafka.Details? details
function Client:health() end

--- A producer that sends in the background. Nothing is started before the first send. Speaks to POST /produce/{topic}
--- and POST /produce.
---@param options upstash.kafka.ProducerOptions?
---@return upstash.kafka.Producer producer
function Client:producer(options) end

--- The request that a method would send, without sending it, for another transport; `finish` reads the answer.
---@param method string
---@param ... any the method's arguments
---@return {method: string, path: string, url: string, headers: table<string, string>, body: string?, timeout: integer}
function Client:prepare(method, ...) end

--- What the method would return for the answer to a prepared request.
---@param request table from prepare
---@param status integer
---@param headers table<string, string> names in lower case
---@param body string
---@return any? result
---@return string? message
---@return upstash.kafka.Details? details
function Client:finish(request, status, headers, body) end

--- What the method would return when the transfer of a prepared request failed.
---@param request table from prepare
---@param code string of the failure, as core.errors lists them
---@param text string? the code's own when absent
---@param body string? what arrived of an answer that is too large
---@return nil
---@return string message
---@return upstash.kafka.Details details
function Client:fail(request, code, text, body) end

--- What the client goes by, defaults included, without the credentials.
---@return {url: string, socket: string?, timeout: integer, connect_timeout: integer, retries: integer}
function Client:settings() end

--- Frees the connection. Afterwards every method raises.
function Client:close() end

--- Sends messages in the background; the methods never wait for the network, but flush and close.
---@class upstash.kafka.Producer
local Producer = {} -- luacheck: ignore 241

--- Puts a message into the queue.
---@param topic string? nil: the producer's own
---@param value string|number|table|lightuserdata
---@param options upstash.kafka.ProduceOptions?
---@return true? queued
---@return string? message
---@return upstash.kafka.Details? details
function Producer:send(topic, value, options) end

--- Waits until everything sent before is delivered or given up.
---@param timeout integer? milliseconds
---@return true? flushed
---@return string? message
---@return upstash.kafka.Details? details
function Producer:flush(timeout) end

--- Makes everything sent so far go out without lingering.
---@return integer mark for `settled`
function Producer:hurry() end

--- Whether everything before the mark is delivered or given up.
---@param mark integer
---@return boolean
function Producer:settled(mark) end

--- What could not be delivered since the last call, and how many more found no room.
---@return upstash.kafka.Failure[] failures
---@return integer missed
function Producer:failures() end

---@return upstash.kafka.ProducerStats
function Producer:stats() end

--- Delivers what is queued, within that time, and ends.
---@param timeout integer? milliseconds, default flush_timeout
---@return true? closed
---@return string? message when something was not delivered
---@return upstash.kafka.Details? details
function Producer:close(timeout) end

return Client
