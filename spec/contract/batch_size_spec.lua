-- Section 8 of the contract: max_messages and max_bytes bound a consume or fetch response.

local service = require "spec.contract.service"

local get, post, ok, refused = service.get, service.post, service.ok, service.refused

local TOTAL, SIZE = 10, 1000

-- A topic of ten messages of a thousand bytes.
local function filled()
  local topic, messages = service.topic(1), {}
  for number = 1, TOTAL do messages[number] = { value = number .. ("x"):rep(SIZE) } end
  service.produce(topic, messages)
  return topic
end

local function with_query(bounds)
  local pairs_of = {}
  for name, value in pairs(bounds) do table.insert(pairs_of, name .. "=" .. value) end
  return table.concat(pairs_of, "&")
end

-- Four ways to send the bounds, each a function of topic, group, offset and bounds.
local ways = {
  ["fetch, in the body"] = function(topic, _, offset, bounds)
    local body = { topic = topic, partition = 0, offset = offset, timeout = 1000 }
    for name, value in pairs(bounds) do body[name] = value end
    return post("/fetch", body)
  end,
  ["fetch, in the query"] = function(topic, _, offset, bounds)
    local body = { topic = topic, partition = 0, offset = offset, timeout = 1000 }
    return post("/fetch?" .. with_query(bounds), body)
  end,
  ["consume, in the body"] = function(topic, group, _, bounds)
    local body = { topic = topic, timeout = 1000 }
    for name, value in pairs(bounds) do body[name] = value end
    return post(("/consume/%s/one"):format(group), body, { headers = service.EARLIEST })
  end,
  ["consume, in the query"] = function(topic, group, _, bounds)
    local path = ("/consume/%s/one/%s?timeout=1000&%s"):format(group, topic, with_query(bounds))
    return get(path, { headers = service.EARLIEST })
  end,
}

-- Repeats the request until all messages have arrived; calls `check` with each response and its
-- messages.
local function read_all(ask, bounds, check)
  local topic, group, seen = filled(), service.name "group", 0
  service.eventually(15, function()
    local response = ask(topic, group, seen, bounds)
    local messages = ok(response)
    check(response, messages)
    for _, message in ipairs(messages) do
      assert.equal(seen, message.offset)
      seen = seen + 1
    end
    return seen == TOTAL
  end)
end

describe("batch size:", function()
  service.attach()

  for what, ask in pairs(ways) do
    for _, limit in ipairs { 1, 3, 10, 99 } do
      it(("max_messages %d bounds a %s"):format(limit, what), function()
        read_all(ask, { max_messages = limit }, function(_, messages)
          assert.is_true(#messages <= limit)
        end)
      end)
    end

    it(("max_bytes bounds a %s"):format(what), function()
      local largest = 0
      read_all(ask, { max_bytes = 4000 }, function(response, messages)
        assert.is_true(#messages <= 3, #messages .. " messages")
        assert.is_true(#response.body <= 4000, #response.body .. " bytes")
        largest = math.max(largest, #messages)
      end)
      assert.is_true(largest > 1, "max_bytes is not used up")
    end)

    it(("a %s returns a message larger than max_bytes alone"):format(what), function()
      read_all(ask, { max_bytes = 10 }, function(_, messages)
        assert.is_true(#messages <= 1)
      end)
    end)

    it(("a %s obeys both limits"):format(what), function()
      read_all(ask, { max_bytes = 4000, max_messages = 2 }, function(_, messages)
        assert.is_true(#messages <= 2)
      end)
    end)

    for _, field in ipairs { "max_messages", "max_bytes" } do
      it(("a negative %s in a %s is a 400"):format(field, what), function()
        refused(ask(filled(), service.name "group", 0, { [field] = -1 }), 400, field)
      end)
    end
  end

  for _, field in ipairs { "max_messages", "max_bytes" } do
    for _, value in ipairs { "many", "1.5", "99999999999999999999" } do
      it(("%s=%s is a 400"):format(field, value), function()
        local topic, bound = service.topic(1), field .. "=" .. value
        local position = { topic = topic, partition = 0, offset = 0, timeout = 10 }
        refused(post("/fetch?" .. bound, position), 400, field)
        local path = ("/consume/%s/one/%s?%s"):format(service.name "group", topic, bound)
        refused(get(path), 400, field)
      end)
    end

    it(field .. " of another type in a body is a 400", function()
      local position = { topic = service.topic(1), partition = 0, offset = 0, [field] = "five" }
      refused(post("/fetch", position), 400, field)
      local body = { topic = position.topic, [field] = "five" }
      refused(post(("/consume/%s/one"):format(service.name "group"), body), 400, field)
    end)
  end
end)
