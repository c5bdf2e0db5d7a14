---@meta
-- luacheck: ignore 212 241

--- Types for the language server: what the client takes, returns and raises. No program loads this
--- file. The modules written in C are described in core.lua and server.lua beside it.

---@alias upstash.kafka.Value string|number|table|lightuserdata a number is sent as text, a table as JSON; kafka.null is a tombstone

--- Why a call failed: the third value, after nil and the message.
---@class upstash.kafka.Details
---@field error string the message
---@field status integer? the HTTP status; nil when there was no response
---@field code string a stable word, one of core.errors
---@field retriable boolean whether the same call may succeed later
---@field retry_after integer? how many seconds the server asks you to wait
---@field results (upstash.kafka.Metadata|upstash.kafka.Details)[]? after a produce of which a part is stored: one entry for each message; those that failed have an `error`
---@field position upstash.kafka.Position? the message that cannot be read; the first message of a response that is too large
---@field again string? after a consume that may have been carried out: how to get its messages again

--- What a response says beside its result: the third value, after the result and nil. Absent if it
--- says nothing.
---@class upstash.kafka.Notes
---@field batch string? the ID of the batch that a consume returned
---@field commit_skipped string? partitions whose commits a consume skipped because other instances hold them: "topic-0, topic-3"
---@field replayed boolean? true if a produce stored nothing, because one with its key had stored the messages

--- What a loop raises when a call fails for good. `tostring` returns the message.
---@class upstash.kafka.LoopFailure: upstash.kafka.Details
---@field after upstash.kafka.Position? the last message read, when the unreadable one does not say where it is

---@class upstash.kafka.Metadata
---@field topic string
---@field partition integer
---@field offset integer
---@field timestamp integer|string milliseconds since 1970; a string of digits when this Lua has no such integer

---@class upstash.kafka.Header
---@field key string
---@field value string

---@class upstash.kafka.Message
---@field topic string
---@field partition integer
---@field offset integer
---@field timestamp integer|string milliseconds since 1970; a string of digits when this Lua has no such integer
---@field key string "" when the message has none
---@field value string? nil for a tombstone
---@field headers upstash.kafka.Header[]
local Message = {}

--- Decodes the value from JSON.
---@return any? value kafka.null for null
---@return string? message when the value is not JSON, or holds a number that does not fit this Lua's numbers
---@return upstash.kafka.Details? details
function Message:json() end

--- Returns the value of the last header with that name.
---@param name string in the same letter case
---@return string? value nil if the message has no such header
function Message:header(name) end

---@class upstash.kafka.Partition
---@field topic string
---@field partition integer

---@class upstash.kafka.Position: upstash.kafka.Partition
---@field offset integer

---@class upstash.kafka.ProduceOptions
---@field key string?
---@field headers table<string, string>|upstash.kafka.Header[]|nil
---@field partition integer? default: chosen by the key's hash, or spread when there is no key
---@field timestamp integer? milliseconds since 1970, default: the server's clock

---@class upstash.kafka.NewMessage: upstash.kafka.ProduceOptions
---@field topic string? only if the call names no topic
---@field value upstash.kafka.Value

---@class upstash.kafka.WebhookOptions
---@field headers table<string, string>? headers that HTTP does not define become headers of the message

---@class upstash.kafka.ConsumeOptions
---@field timeout integer? milliseconds to wait for a first message, default 1000
---@field auto_commit boolean? default true
---@field auto_commit_interval integer? milliseconds, default 5000
---@field auto_offset_reset "latest"|"earliest"|"none"|nil default latest
---@field session_timeout integer? milliseconds without a request after which the server closes the instance, default 120000
---@field max_messages integer?
---@field max_bytes integer?
---@field ack string? the ID of the last batch that arrived, or "none": what is outstanding is sent again
---@field commit_batch string? the ID of a batch to acknowledge and commit first
---@field commit upstash.kafka.Position|upstash.kafka.Position[]|nil committed before anything is read

--- What a commit or deletion says about batches.
---@class upstash.kafka.BatchOptions
---@field ack string? the ID of the last batch that arrived, or "none": the batch stays outstanding
---@field commit_batch string? the ID of a batch to acknowledge and commit first

---@class upstash.kafka.FetchOptions
---@field timeout integer? milliseconds to wait for a first message, default 1000
---@field max_messages integer?
---@field max_bytes integer?

---@class upstash.kafka.TimeoutOption
---@field timeout integer? milliseconds, default 10000

---@class upstash.kafka.TopicOptions
---@field partitions integer? default: the server's
---@field retention_ms integer? -1: no limit
---@field retention_bytes integer? of each partition; -1: no limit

---@class upstash.kafka.LoopOptions
---@field group string
---@field instance string unique among the loops that run at the same time; %p stands for the process number, %w for the number of nginx's worker
---@field topic string? either this or topics
---@field topics string[]?
---@field from "latest"|"earliest"|"none"|nil where a group without a commit starts, default latest
---@field timeout integer? milliseconds of one poll, default 1000
---@field max_messages integer? of one poll
---@field max_bytes integer? of one poll
---@field session_timeout integer? milliseconds, default 120000
---@field limit integer? the loop ends after this many messages
---@field idle integer? the loop ends after this many milliseconds without a message; by default it never ends
---@field stop_on_signal boolean|string[]|nil signals that end the loop after the message in hand; true: INT and TERM; not in nginx
---@field on_wait (fun(message: string, details: upstash.kafka.Details))? called once for each cause when the loop waits because a call failed
---@field on_skip (fun(partitions: upstash.kafka.Partition[]))? called when finished messages could not be committed because other instances hold their partitions, and get them again

---@class upstash.kafka.RecordsOptions
---@field topic string
---@field partition integer
---@field from integer|"earliest"|"latest"|{timestamp: integer}|upstash.kafka.Message|nil default earliest; a message: behind it
---@field to integer|"latest"|{timestamp: integer}|nil the first message that is not returned; "latest" is the end when the loop starts; by default the loop waits for new messages
---@field timeout integer? milliseconds of one poll, default 1000
---@field max_messages integer? of one poll
---@field max_bytes integer? of one poll
---@field limit integer? the loop ends after this many messages
---@field idle integer? the loop ends after this many milliseconds without a message
---@field stop_on_signal boolean|string[]|nil signals that end the loop after the message in hand; true: INT and TERM; not in nginx
---@field on_wait (fun(message: string, details: upstash.kafka.Details))? called once for each cause when the loop waits because a call failed

---@class upstash.kafka.Group
---@field name string
---@field instances upstash.kafka.Instance[] the live ones

---@class upstash.kafka.Instance
---@field name string
---@field topics {topic: string, partitions: integer[]}[] what the instance holds

--- A request, ready to be sent by a transport of your own.
---@class upstash.kafka.Request
---@field name string the method that made it
---@field method "GET"|"POST"|"DELETE" of HTTP
---@field url string the whole URL
---@field path string its path and query
---@field headers table<string, string>
---@field body string? nil when there is none
---@field timeout integer milliseconds for the whole call, retries included
---@field messages integer? how many messages a produce_many sends

--- The settings of a client, defaults included, without its credentials.
---@class upstash.kafka.Settings
---@field url string without a slash at its end
---@field socket string? the path of a unix socket
---@field ca_file string?
---@field proxy string? that of the option, without credentials
---@field timeout integer milliseconds
---@field connect_timeout integer milliseconds
---@field retries integer
---@field retry_delay integer milliseconds
---@field retry_delay_max integer milliseconds
---@field max_response_bytes integer
---@field binary boolean
---@field verify boolean
---@field compress boolean
---@field idempotent boolean

---@class upstash.kafka.ProducerOptions
---@field topic string? for messages without a topic
---@field queue_bytes integer? default 16 MiB
---@field batch_bytes integer? of the messages in one request, default 512 KiB
---@field batch_messages integer? default 10000
---@field linger integer? milliseconds that a message waits for others, default 5
---@field in_flight integer? requests at once, default 1, which keeps messages in order
---@field overflow "error"|"block"|"drop_oldest"|nil what `send` does when the queue is full, default error
---@field gzip boolean? compresses requests, default false
---@field give_up_after integer? milliseconds that 401 and 403 are retried, default 120000
---@field block_timeout integer? milliseconds that "block" waits, default 1000
---@field message_timeout integer? milliseconds after which a message is dropped; 0, the default: never
---@field flush_timeout integer? milliseconds at the end of the process, 2000 by default and at most
---@field log boolean? writes dropped messages to standard error, default true
---@field name string? producers with different names share nothing

--- What `flush` and `close` return for messages that were not delivered.
---@class upstash.kafka.ProducerDetails: upstash.kafka.Details
---@field given_up integer messages that were dropped since the last report
---@field pending integer messages that were not delivered in time
---@field first upstash.kafka.Details? why the first of those given up was

--- A message that a producer dropped.
---@class upstash.kafka.ProducerFailure
---@field message upstash.kafka.NewMessage
---@field error string
---@field code string
---@field status integer?
---@field retriable boolean

---@class upstash.kafka.ProducerStats
---@field sent integer messages that `send` put into the queue
---@field delivered integer
---@field failed integer messages that were dropped after a failure
---@field lost integer those of them that were dropped because the producer was closed
---@field dropped integer by overflow = "drop_oldest"
---@field refused integer because the queue was full
---@field requests integer
---@field retried integer requests that were sent again
---@field queued integer messages that wait now
---@field in_flight integer messages that are being sent now
---@field bytes integer of the queue that are in use now
---@field trouble string? why the last request failed; nil if it did not
---@field latency {mean: number, p50: number, p99: number, max: number} milliseconds from `send` to the response

--- A client. Every method returns its result, or nil, a message and details if the network or the
--- server made it fail. Misuse (a wrong type, an unknown option, a closed client) raises an error
--- that blames the line of the call. A failure that may pass is retried first, as the options of
--- kafka.new say.
---@class upstash.kafka.Client
local Client = {}

--- Produces one message. Calls POST /produce/{topic}.
---@param topic string
---@param value upstash.kafka.Value
---@param options upstash.kafka.ProduceOptions?
---@return upstash.kafka.Metadata? metadata
---@return string? message
---@return upstash.kafka.Details|upstash.kafka.Notes|nil details
function Client:produce(topic, value, options) end

--- Produces several messages, all or none: to one topic, or to the topic in each message if the
--- list comes first. Calls POST /produce/{topic} or POST /produce.
---@param topic string|upstash.kafka.NewMessage[]
---@param messages upstash.kafka.NewMessage[]?
---@return upstash.kafka.Metadata[]? metadata in the order of the messages
---@return string? message
---@return upstash.kafka.Details|upstash.kafka.Notes|nil details
function Client:produce_many(topic, messages) end

--- Produces the bytes unchanged. Calls POST /webhook.
---@param topic string
---@param body string
---@param options upstash.kafka.WebhookOptions?
---@return upstash.kafka.Metadata? metadata
---@return string? message
---@return upstash.kafka.Details|upstash.kafka.Notes|nil details
function Client:webhook(topic, body, options) end

--- Consumes once as an instance of a group; the first call creates the instance. `client:messages`
--- is a loop that does this and loses no message. Calls POST /consume/{group}/{instance}.
---@param group string
---@param instance string
---@param topics string|string[]
---@param options upstash.kafka.ConsumeOptions?
---@return upstash.kafka.Message[]? messages
---@return string? message
---@return upstash.kafka.Details|upstash.kafka.Notes|nil details
function Client:consume(group, instance, topics, options) end

--- Commits the given offsets, or without any the position after everything that was consumed. The
--- instance must be alive. Calls POST /commit/{group}/{instance}.
---@param group string
---@param instance string
---@param offsets upstash.kafka.Position|upstash.kafka.Position[]|nil a message stands for the offset after it
---@param options upstash.kafka.BatchOptions?
---@return true? done
---@return string? message
---@return upstash.kafka.Details? details
function Client:commit(group, instance, offsets, options) end

--- Returns the offsets that the group has committed, -1 for a partition without a commit. Calls
--- POST /committed/{group}/{instance}.
---@param group string
---@param instance string need not be alive
---@param partitions upstash.kafka.Partition|upstash.kafka.Partition[]
---@param options upstash.kafka.TimeoutOption?
---@return upstash.kafka.Position[]? offsets
---@return string? message
---@return upstash.kafka.Details? details
function Client:committed(group, instance, partitions, options) end

--- Closes an instance. Calls POST /delete-consumer/{group}/{instance}.
---@param group string
---@param instance string
---@param options upstash.kafka.BatchOptions?
---@return true? done
---@return string? message code not_found if the instance is not alive
---@return upstash.kafka.Details? details
function Client:delete_consumer(group, instance, options) end

--- Lists the live instances and their partitions. Calls GET /consumers.
---@return upstash.kafka.Group[]? groups
---@return string? message
---@return upstash.kafka.Details? details
function Client:consumers() end

--- Reads messages from given offsets, without a group. Calls POST /fetch.
---@param topic string|upstash.kafka.Position[] a list of positions, or of messages to read behind, replaces the first three arguments
---@param partition integer|upstash.kafka.FetchOptions|nil the options, if the first argument is a list
---@param offset integer?
---@param options upstash.kafka.FetchOptions?
---@return upstash.kafka.Message[]? messages
---@return string? message
---@return upstash.kafka.Details? details
function Client:fetch(topic, partition, offset, options) end

--- Returns for each partition its first offset at or after a time, its first offset, or its end.
--- Calls POST /offsets/{timestamp}.
---@param at integer|"earliest"|"latest" milliseconds since 1970
---@param partitions upstash.kafka.Partition|upstash.kafka.Partition[]
---@param options upstash.kafka.TimeoutOption?
---@return upstash.kafka.Position[]? offsets
---@return string? message
---@return upstash.kafka.Details? details
function Client:offsets(at, partitions, options) end

--- Returns the topics and the number of partitions of each. Calls GET /topics.
---@return table<string, integer>? topics
---@return string? message
---@return upstash.kafka.Details? details
function Client:topics() end

--- Creates a topic. Succeeds if the topic exists with the same settings. Calls POST
--- /topics/{topic}.
---@param topic string
---@param options upstash.kafka.TopicOptions?
---@return {topic: string, partitions: integer}? topic
---@return string? message code conflict if it exists with other settings
---@return upstash.kafka.Details? details
function Client:create_topic(topic, options) end

--- Deletes a topic, its messages and the groups' offsets in it. Calls DELETE /topics/{topic}.
---@param topic string
---@return true? done
---@return string? message
---@return upstash.kafka.Details? details
function Client:delete_topic(topic) end

--- Says whether the server works; needs no credentials and is never retried. Calls GET /health.
---@return {status: string, engine: string}? health
---@return string? message
---@return upstash.kafka.Details? details
function Client:health() end

--- A loop over the messages of a group, at least once: client.lua describes it.
---@param options upstash.kafka.LoopOptions
---@return fun(state: upstash.kafka.Consumer): upstash.kafka.Message?
---@return upstash.kafka.Consumer state
---@return nil
---@return upstash.kafka.Consumer closing
function Client:messages(options) end

--- The same loop, over the messages of one poll at a time.
---@param options upstash.kafka.LoopOptions
---@return fun(state: upstash.kafka.Consumer): upstash.kafka.Message[]?
---@return upstash.kafka.Consumer state
---@return nil
---@return upstash.kafka.Consumer closing
function Client:batches(options) end

--- A loop over the messages of one partition, without a group.
---@param options upstash.kafka.RecordsOptions
---@return fun(state: upstash.kafka.Records): upstash.kafka.Message?
---@return upstash.kafka.Records state
---@return nil
---@return upstash.kafka.Records closing
function Client:records(options) end

--- Creates a producer, which sends in the background. Its thread starts with the first `send`.
--- Calls POST /produce/{topic} and POST /produce.
---@param options upstash.kafka.ProducerOptions?
---@return upstash.kafka.Producer producer
function Client:producer(options) end

--- Returns the request that a method would send, for a transport of your own; pass the response to
--- `finish`, or the failure to `fail`.
---@param method string
---@param ... any the arguments of the method
---@return upstash.kafka.Request? request
---@return string? message when the arguments cannot be sent, such as a value that is not UTF-8
---@return upstash.kafka.Details? details
function Client:prepare(method, ...) end

--- Returns what the method would return for a response to a prepared request.
---@param request upstash.kafka.Request
---@param status integer
---@param headers table<string, string>? names in lower case
---@param body string
---@return any? result
---@return string? message
---@return upstash.kafka.Details? details
function Client:finish(request, status, headers, body) end

--- Returns what the method would return if sending a prepared request failed.
---@param request upstash.kafka.Request
---@param code string one of core.errors
---@param message string? default: the text of the code
---@param body string? what has arrived of a response that is too large
---@return nil
---@return string message
---@return upstash.kafka.Details details
function Client:fail(request, code, message, body) end

---@return upstash.kafka.Settings
function Client:settings() end

--- Frees the connection. After that every method raises.
function Client:close() end

--- Sends messages in the background. Only `flush`, `close` and a `send` with overflow = "block"
--- wait.
---@class upstash.kafka.Producer
local Producer = {}

--- Puts a message into the queue.
---@param topic string? nil: the topic of the producer
---@param value upstash.kafka.Value
---@param options upstash.kafka.ProduceOptions?
---@return true? queued
---@return string? message
---@return upstash.kafka.Details? details
---@overload fun(self: upstash.kafka.Producer, value: upstash.kafka.Value): true?, string?, upstash.kafka.Details?
function Producer:send(topic, value, options) end

--- Waits until every message sent before is delivered or dropped.
---@param timeout integer? milliseconds, default: the client's timeout
---@return true? flushed all delivered, since the last report
---@return string? message how many were not, and why
---@return upstash.kafka.ProducerDetails? details
function Producer:flush(timeout) end

--- Starts to send every message sent so far, without lingering, and does not wait.
---@return integer mark for `settled`
function Producer:hurry() end

--- Says whether every message before the mark is delivered or dropped.
---@param mark integer
---@return boolean
function Producer:settled(mark) end

--- Returns the messages that were dropped since the last call, and how many more there were no room
--- to keep.
---@return upstash.kafka.ProducerFailure[] failures
---@return integer missed
function Producer:failures() end

---@return upstash.kafka.ProducerStats
function Producer:stats() end

--- Delivers what is queued, for as long as the timeout allows, and ends the producer.
---@param timeout integer? milliseconds, default: flush_timeout
---@return true? closed all delivered, since the last report
---@return string? message how many were not, and why
---@return upstash.kafka.ProducerDetails? details
function Producer:close(timeout) end

--- The methods of a client as functions of the module, on one client made from the environment.
---@class upstash.kafka.Functions
---@field produce fun(topic: string, value: upstash.kafka.Value, options: upstash.kafka.ProduceOptions?): upstash.kafka.Metadata?, string?, upstash.kafka.Details?
---@field produce_many fun(topic: string|upstash.kafka.NewMessage[], messages: upstash.kafka.NewMessage[]?): upstash.kafka.Metadata[]?, string?, upstash.kafka.Details?
---@field webhook fun(topic: string, body: string, options: upstash.kafka.WebhookOptions?): upstash.kafka.Metadata?, string?, upstash.kafka.Details?
---@field consume fun(group: string, instance: string, topics: string|string[], options: upstash.kafka.ConsumeOptions?): upstash.kafka.Message[]?, string?, upstash.kafka.Details?
---@field commit fun(group: string, instance: string, offsets: upstash.kafka.Position|upstash.kafka.Position[]|nil, options: upstash.kafka.BatchOptions?): true?, string?, upstash.kafka.Details?
---@field committed fun(group: string, instance: string, partitions: upstash.kafka.Partition|upstash.kafka.Partition[], options: upstash.kafka.TimeoutOption?): upstash.kafka.Position[]?, string?, upstash.kafka.Details?
---@field delete_consumer fun(group: string, instance: string, options: upstash.kafka.BatchOptions?): true?, string?, upstash.kafka.Details?
---@field consumers fun(): upstash.kafka.Group[]?, string?, upstash.kafka.Details?
---@field fetch fun(topic: string|upstash.kafka.Position[], partition: integer|upstash.kafka.FetchOptions|nil, offset: integer?, options: upstash.kafka.FetchOptions?): upstash.kafka.Message[]?, string?, upstash.kafka.Details?
---@field offsets fun(at: integer|"earliest"|"latest", partitions: upstash.kafka.Partition|upstash.kafka.Partition[], options: upstash.kafka.TimeoutOption?): upstash.kafka.Position[]?, string?, upstash.kafka.Details?
---@field topics fun(): table<string, integer>?, string?, upstash.kafka.Details?
---@field create_topic fun(topic: string, options: upstash.kafka.TopicOptions?): {topic: string, partitions: integer}?, string?, upstash.kafka.Details?
---@field delete_topic fun(topic: string): true?, string?, upstash.kafka.Details?
---@field health fun(): {status: string, engine: string}?, string?, upstash.kafka.Details?
---@field messages fun(options: upstash.kafka.LoopOptions): (fun(state: upstash.kafka.Consumer): upstash.kafka.Message?), upstash.kafka.Consumer, nil, upstash.kafka.Consumer
---@field batches fun(options: upstash.kafka.LoopOptions): (fun(state: upstash.kafka.Consumer): upstash.kafka.Message[]?), upstash.kafka.Consumer, nil, upstash.kafka.Consumer
---@field records fun(options: upstash.kafka.RecordsOptions): (fun(state: upstash.kafka.Records): upstash.kafka.Message?), upstash.kafka.Records, nil, upstash.kafka.Records
---@field producer fun(options: upstash.kafka.ProducerOptions?): upstash.kafka.Producer
---@field prepare fun(method: string, ...: any): upstash.kafka.Request?, string?, upstash.kafka.Details?
---@field finish fun(request: upstash.kafka.Request, status: integer, headers: table<string, string>?, body: string): any?, string?, upstash.kafka.Details?
---@field fail fun(request: upstash.kafka.Request, code: string, message: string?, body: string?): nil, string, upstash.kafka.Details
---@field settings fun(): upstash.kafka.Settings

return Client
