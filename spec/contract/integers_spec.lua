-- for: api.c, api_read.c, api_topics.c, consumer_settings.c. Every integer that a request may hold,
-- at its limits and one past each.

local endpoints = require "spec.contract.endpoints"
local service = require "spec.contract.service"

local INT32, INT64 = "2147483647", "9223372036854775807"
local BELOW_INT64 = "-9223372036854775808"

-- The integer next to one that is written in digits: `step` is 1 or -1.
local function beside(text, step)
  local sign, digits = text:match "^(%-?)(%d+)$"
  local up = (step > 0) == (sign == "")
  if digits == "0" then return step > 0 and "1" or "-1" end
  local head, last, rest = digits:match(up and "^(%d-)([0-8])(9*)$" or "^(%d-)([1-9])(0*)$")
  if not head then head, last, rest = "", "0", digits end
  local value = head .. tonumber(last) + (up and 1 or -1) .. rest:gsub("%d", up and "0" or "9")
  value = value:gsub("^0+(%d)", "%1")
  return value == "0" and value or sign .. value
end

-- {method, path, body, headers} with % where the integer stands.
local FETCH = { "POST", "/fetch", '{"topic":"{topic}","partition":%,"offset":0,"timeout":0}' }

local function fetch(field)
  return { "POST", "/fetch", '{"topic":"{topic}","partition":0,"offset":0,"' .. field .. '":%}' }
end

local function fetch_query(field)
  return { "POST", "/fetch?" .. field .. "=%", '{"topic":"{topic}","partition":0,"offset":0}' }
end

local function consume(field)
  local timeout = field ~= "timeout" and '"timeout":0,' or ""
  return { "POST", "/consume/{group}/{instance}", '{"topic":"{topic}",' .. timeout .. '"' .. field .. '":%}' }
end

local function consume_query(field)
  local timeout = field ~= "timeout" and "timeout=0&" or ""
  return { "GET", "/consume/{group}/{instance}/{topic}?" .. timeout .. field .. "=%" }
end

local function consume_header(name)
  return { "GET", "/consume/{group}/{instance}/{topic}?timeout=0", nil, name }
end

local function create(field)
  return { "POST", "/topics/{fresh}", '{"' .. field .. '":%}' }
end

local COMMIT_IN_CONSUME = { "POST", "/consume/{group}/{instance}",
  '{"topic":"{topic}","timeout":0,"commit":[{"topic":"{topic}","partition":0,"offset":%}]}' }
local PARTITION = '{"topic":"{topic}","partition":%}'
local SESSION, INTERVAL = "Kafka-Session-Timeout-Ms", "Kafka-Auto-Commit-Interval"
local FIRST = '{"topic":"{topic}","partition":0}'

-- {request, the field that an error names, least, most}. With `low` or `high` false that limit is
-- not sent: there is no such partition, it would take long, or a broker has a limit of its own.
local ROWS = {
  { { "POST", "/produce/{topic}", '{"value":"v","partition":%}' }, "partition", "0", INT32, high = false },
  { { "POST", "/produce/{topic}", '{"value":"v","timestamp":%}' }, "timestamp", "1", "9007199254740992",
    high = false },
  { { "POST", "/commit/{group}/{instance}", '{"topic":"{topic}","partition":0,"offset":%}' }, "offset", "0",
    "9223372036854775806", live = true },
  { { "POST", "/commit/{group}/{instance}", '{"topic":"{topic}","partition":%,"offset":0}' }, "partition", "0", INT32,
    live = true, high = false },
  { COMMIT_IN_CONSUME, "offset", "0", "9223372036854775806" },
  { { "POST", "/committed/{group}/{instance}", PARTITION }, "partition", "0", INT32, high = false },
  { { "POST", "/committed/{group}/{instance}?timeout=%", FIRST }, "timeout", "0", "600000", low = false },
  { { "POST", "/offsets/latest", PARTITION }, "partition", "0", INT32, high = false },
  { { "POST", "/offsets/latest?timeout=%", FIRST }, "timeout", "0", "600000", low = false },
  { { "POST", "/offsets/%", FIRST }, "timestamp", "0", INT64 },
  { FETCH, "partition", "0", INT32, high = false },
  { { "POST", "/fetch", '{"topic":"{topic}","partition":0,"offset":%,"timeout":0}' }, "offset", BELOW_INT64, INT64,
    low = false },
  { fetch "timeout", "timeout", "0", "600000" },
  { fetch "max_messages", "max_messages", "1", "100000" },
  { fetch "max_bytes", "max_bytes", "1", "67108864" },
  { fetch_query "timeout", "timeout", "0", "600000" },
  { fetch_query "max_messages", "max_messages", "1", "100000" },
  { fetch_query "max_bytes", "max_bytes", "1", "67108864" },
  { consume "timeout", "timeout", "0", "600000", high = false },
  { consume "max_messages", "max_messages", "1", "100000" },
  { consume "max_bytes", "max_bytes", "1", "67108864" },
  { consume_query "timeout", "timeout", "0", "600000", high = false },
  { consume_query "max_messages", "max_messages", "1", "100000" },
  { consume_query "max_bytes", "max_bytes", "1", "67108864" },
  { consume_header(INTERVAL), INTERVAL, "0", "86400000" },
  { consume_header(SESSION), SESSION, "1000", "1800000", low = false },
  { create "partitions", "partitions", "1", "1000", high = false },
  { create "retention_ms", "retention_ms", "-1", INT64 },
  { create "retention_bytes", "retention_bytes", "-1", INT64 },
}

describe("every integer of a request:", function()
  service.attach()

  local function send(request, fill, value)
    local function with(text) return text and fill(text):gsub("%%", value) or nil end
    local method, path, body, header = request[1], request[2], request[3], request[4]
    return service.request(method, (with(path)), { body = (with(body)), headers = header and { [header] = value } })
  end

  local function name_of(request)
    return ("%s %s%s"):format(request[2], request[3] or "", request[4] or "")
  end

  for _, row in ipairs(ROWS) do
    local request, field, least, most = row[1], row[2], row[3], row[4]
    it(("%s: %s is %s to %s"):format(name_of(request), field, least, most), function()
      local fill, names = endpoints.scene(row.live)
      service.produce(names.topic, "found")
      service.refused(send(request, fill, beside(least, -1)), 400, field)
      service.refused(send(request, fill, beside(most, 1)), 400, field)
      if row.low ~= false then assert.is_true(send(request, fill, least).status <= 201) end
      names.fresh = service.name "fresh"
      if row.high ~= false then assert.is_true(send(request, fill, most).status <= 201) end
    end)
  end

  it("the numbers beside a limit", function()
    assert.equal("-1", beside("0", -1))
    assert.equal("1", beside("0", 1))
    assert.equal("0", beside("1", -1))
    assert.equal("0", beside("-1", 1))
    assert.equal("-2", beside("-1", -1))
    assert.equal("9223372036854775808", beside(INT64, 1))
    assert.equal("-9223372036854775809", beside(BELOW_INT64, -1))
    assert.equal("999", beside("1000", -1))
    assert.equal("1000", beside("999", 1))
    assert.equal("86400001", beside("86400000", 1))
  end)

  it("a commit past the greatest offset changes nothing", function()
    local fill, names = endpoints.scene(true)
    local path = fill "/commit/{group}/{instance}"
    local function at(offset) return fill '{"topic":"{topic}","partition":0,"offset":' .. offset .. "}" end
    service.ok(service.post(path, at "7"))
    for _, body in ipairs { at(INT64), ("[%s,%s]"):format(at "9", at(INT64)) } do
      service.refused(service.post(path, body), 400, "offset", "0 to 9223372036854775806")
    end
    assert.equal(7, service.committed(names.group, names.topic))
  end)
end)
