--- What a loop over a group's messages has finished, and the requests that commit it: consumer.lua.

local core = require "upstash.kafka.core"
local loop = require "upstash.kafka.loop"
local positions = require "upstash.kafka.positions"

local commits = {}

local NONE = "none" -- as the last batch: the loop holds none

--- Whether loop:commit has committed the message, or a later one of its partition.
function commits.is_explicit(consumer, message)
  return message.offset < (positions.get(consumer.explicit, message) or 0)
end

--- For each partition, the position after its last finished message, unless that is committed.
function commits.finished_offsets(consumer)
  local offsets, seen = {}, {}
  for index = consumer.finished, consumer.committed + 1, -1 do
    local message = consumer.batch[index]
    if not positions.get(seen, message) then
      positions.put(seen, message, true)
      if not commits.is_explicit(consumer, message) then
        offsets[#offsets + 1] =
          { topic = message.topic, partition = message.partition, offset = message.offset + 1 }
      end
    end
  end
  return offsets
end

--- Forgets the batch and the instance. The next consume starts at the group's commits.
function commits.start_again(consumer)
  consumer.batch, consumer.handed, consumer.finished, consumer.committed = {}, 0, 0, 0
  consumer.started = false
end

--- The options of a consume that commits `offsets`. A server that names no batches is told nothing
-- about them.
function commits.consume_options(consumer, timeout, max_messages, offsets)
  local all = consumer.consume_options
  all.timeout, all.max_messages = timeout, max_messages
  all.commit = offsets and #offsets > 0 and offsets or nil
  all.ack = consumer.last or consumer.extended ~= false and NONE or nil
  return all
end

-- The offsets that are past the group's commits. `known` is what the group has committed.
local function beyond_commits(offsets, known)
  local committed, beyond = positions.first(known), {}
  for _, entry in ipairs(offsets) do
    if entry.offset > (positions.get(committed, entry) or math.huge) then
      beyond[#beyond + 1] = entry
    end
  end
  return beyond
end

-- The instance is gone, or another one holds its partitions. Commits through a new instance, one
-- partition at a time, what the group has not committed; if that fails, the messages are delivered
-- again. The loop ignores what the new instance consumes and deletes it before the next poll.
local function commit_anew(consumer, offsets, deadline)
  commits.start_again(consumer)
  local known = loop.retry_until(consumer, deadline, "not_found", "committed", consumer.group, consumer.instance,
    positions.bare(offsets))
  local beyond = beyond_commits(offsets, known or {})
  if #beyond == 0 then return end
  local group, instance = consumer.group, consumer.instance
  local messages, _, details = loop.call(consumer, "consume", group, instance, consumer.subscription,
    commits.consume_options(consumer, 0, 1))
  if messages or loop.unreadable(details) then
    for _, entry in ipairs(beyond) do loop.call(consumer, "commit", group, instance, entry) end
  end
end

-- The partitions in the text of Kafka-Commit-Skipped.
local function partitions_in(text)
  local list = {}
  for topic, partition in text:gmatch "([%w._-]+)-(%d+)%f[,%z]" do
    list[#list + 1] = { topic = topic, partition = tonumber(partition) }
  end
  return list
end

--- A response says that the commits which the request carried are done, except those of partitions
-- that another instance holds now. That instance gets their messages again.
function commits.note_committed(consumer, details)
  consumer.committed = consumer.finished
  if details and details.commit_skipped and consumer.on_skip then
    consumer.on_skip(partitions_in(details.commit_skipped))
  end
end

--- The instance is gone. Commits what the group has not committed, with a consume that creates the
-- instance again, which a deletion follows: what it delivers stays outstanding and comes again.
-- Asks for the commits first, because a consume would create a topic that is gone.
function commits.commit_by_consume(consumer, offsets, call)
  local known, message, details = call(consumer, "committed", consumer.group, consumer.instance,
    positions.bare(offsets))
  if not known then return nil, message, details end
  local beyond = beyond_commits(offsets, known)
  if #beyond == 0 then return true end
  consumer.last = nil
  local messages
  messages, message, details = call(consumer, "consume", consumer.group, consumer.instance,
    consumer.subscription, commits.consume_options(consumer, 0, 1, beyond))
  if not messages and not loop.unreadable(details) then return nil, message, details end
  commits.note_committed(consumer, messages and details)
  return true
end

-- The instance is gone, and the rest of its batch comes again. The next consume carries the commit.
local function drop_rest(consumer)
  consumer.last = nil
  for index = #consumer.batch, consumer.finished + 1, -1 do consumer.batch[index] = nil end
end

--- Commits with a request of its own.
function commits.commit_finished(consumer, deadline)
  local offsets = commits.finished_offsets(consumer)
  if #offsets == 0 then return end
  local done = loop.retry_until(consumer, deadline, "not_found", "commit", consumer.group,
    consumer.instance, offsets, loop.KEEPS_BATCH)
  if done then
    consumer.committed = consumer.finished
    consumer.contact = core.now()
  elseif not consumer.extended then
    commit_anew(consumer, offsets, deadline)
  elseif consumer.left > 0 then
    drop_rest(consumer)
  else
    local function accept(details) return details.code == "not_found" or loop.unreadable(details) end
    local function call(state, ...) return loop.retry_until(state, deadline, accept, ...) end
    commits.commit_by_consume(consumer, offsets, call)
    consumer.committed = consumer.finished
  end
end

return commits
