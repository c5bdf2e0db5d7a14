---@meta upstash.kafka.core
-- luacheck: ignore 212 241

--- Signals that are watched. A second signal ends the process as it would by default.
---@class upstash.kafka.Signals
local Signals = {}

--- Returns the name of a signal that has arrived.
---@return string?
function Signals:arrived() end

--- Blocks the thread, until a signal arrives.
---@param milliseconds number
---@return boolean slept false if a signal ended it
function Signals:sleep(milliseconds) end

--- Calls a method of a client. The call fails with code cancelled as soon as a signal arrives.
---@param method function
---@param client upstash.kafka.Client
---@param ... any
---@return any? result
---@return string? message
---@return upstash.kafka.Details? details
function Signals:call(method, client, ...) end

--- Restores the handlers that the program had before.
function Signals:close() end

--- The module written in C that the client is made of. No program loads this file.
---@class upstash.kafka.Core
---@field _VERSION string
---@field null lightuserdata null in JSON, a tombstone as a value, and an option that is absent; the same as cjson.null
---@field methods table<string, function> of every client; the modules written in Lua add theirs
---@field producer_methods table<string, function> of every producer
---@field message_methods table<string, function> of every message
---@field errors {code: string, status: integer?, retriable: boolean, text: string}[]
---@field endpoints {name: string, methods: string[], path: string}[] of the REST API
local core = {}

--- Creates a client. Raises if an option is wrong. `encode` has no default here: without it a value
--- cannot be a table.
---@param options upstash.kafka.Options
---@return upstash.kafka.Client client
function core.new(options) end

--- Returns two functions that turn values into JSON and back, by the conventions of lua-cjson.
---@param cjson table? whose sentinels, metatables and settings they use
---@return fun(value: any): string?, string?, string? encode returns the text, or nil, the reason and the path to what is not JSON
---@return fun(text: string): any?, string?, string? decode returns the value, or nil, the reason and an error code
function core.json(cjson) end

--- Returns how long to wait before the next attempt of a call that failed, jitter included.
---@param attempt integer how many attempts have been made, from 1
---@param details upstash.kafka.Details of the failure
---@param options {method: string?, retries: integer?, retry_delay: integer?, retry_delay_max: integer?}? with a method, a call that may have been carried out is not repeated if that would do harm
---@return integer? milliseconds nil: do not retry
function core.retry_delay(attempt, details, options) end

--- Ends all producers of the process.
---@param timeout integer? milliseconds, default 2000
---@return true? closed
---@return string? message if a message was not delivered
---@return upstash.kafka.Details? details
function core.close_producers(timeout) end

--- Starts to watch signals: the first one that arrives no longer ends the process. Raises if a name
--- is unknown.
---@param names string[] of INT, TERM, HUP, QUIT, USR1 and USR2
---@return upstash.kafka.Signals? watch
---@return string? message when there are no file descriptors left
---@return upstash.kafka.Details? details
function core.watch_signals(names) end

--- Returns the milliseconds of a monotonic clock.
---@return number
function core.now() end

--- Blocks the thread. A signal ends the wait early.
---@param milliseconds number
function core.sleep(milliseconds) end

--- Waits for standard input, and returns the bytes that are there; "" if none came in time or a
--- signal did; nil at the end. Reads nothing more once a signal of the watch has arrived.
---@param milliseconds integer -1: without a limit
---@param watch upstash.kafka.Signals? from core.watch_signals
---@return string? bytes
---@return string? message if it cannot be read
function core.read_input(milliseconds, watch) end

---@return integer
function core.process_id() end

return core
