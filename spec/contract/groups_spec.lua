-- Section 4 of the contract: several instances of a group share the partitions, as Kafka's do.

local http = require "spec.support.http"
local service = require "spec.contract.service"

local post, ok, refused = service.post, service.ok, service.refused

local function headers(more)
  local all = { ["Kafka-Auto-Offset-Reset"] = "earliest", ["Kafka-Auto-Commit-Interval"] = 100 }
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

local BRIEF = headers { ["Kafka-Session-Timeout-Ms"] = service.session_timeout }

local Group = {}
Group.__index = Group

-- A group on a new topic, and what its instances have consumed.
local function new_group(partitions, with)
  return setmetatable({
    topic = service.topic(partitions), name = service.name "group", partitions = partitions,
    headers = with or headers(), seen = {}, values = {}, distinct = 0,
  }, Group)
end

function Group:note(instance, messages)
  for _, message in ipairs(messages) do
    local place = ("%d/%d"):format(message.partition, message.offset)
    if not self.seen[place] then self.distinct = self.distinct + 1 end
    self.seen[place] = instance
    table.insert(self.values, message.value)
  end
end

function Group:consume(instance, timeout)
  self:note(instance, service.consume(self.name, instance, self.topic, self.headers, timeout or 30))
end

-- The owner of each partition; or nil and a reason if a partition has no owner or two, or if the
-- instances differ from those listed.
function Group:owners(instances)
  local owners, count, total = {}, 0, 0
  for instance, topics in pairs(service.assignment(self.name)) do
    for _, partition in ipairs(topics[self.topic] or {}) do
      if owners[partition] then return nil, "partition " .. partition .. " twice" end
      owners[partition] = instance
      total = total + 1
    end
    count = count + 1
  end
  if count ~= #instances then return nil, count .. " instances" end
  if total ~= self.partitions then return nil, total .. " partitions held" end
  return owners
end

-- Consumes with each of the instances until they share all partitions, each with at least one.
function Group:balance(instances)
  return service.eventually(15 + 2 * service.session_timeout / 1000, function()
    for _, instance in ipairs(instances) do self:consume(instance) end
    local owners, reason = self:owners(instances)
    if not owners then return nil, reason end
    local holders = {}
    for _, instance in pairs(owners) do holders[instance] = true end
    for _, instance in ipairs(instances) do
      if not holders[instance] then return nil, instance .. " holds nothing" end
    end
    return owners
  end)
end

-- Produces `each` messages to every partition.
function Group:fill(each)
  for partition = 0, self.partitions - 1 do service.fill(self.topic, each, partition) end
end

-- Consumes with each of the instances until `total` different messages have been seen.
function Group:drain(instances, total)
  service.eventually(15 + 2 * service.session_timeout / 1000, function()
    for _, instance in ipairs(instances) do self:consume(instance) end
    return self.distinct >= total, self.distinct .. " messages"
  end)
end

local function sizes(owners)
  local by_instance, list = {}, {}
  for _, instance in pairs(owners) do by_instance[instance] = (by_instance[instance] or 0) + 1 end
  for _, size in pairs(by_instance) do table.insert(list, size) end
  table.sort(list)
  return list
end

describe("groups:", function()
  service.attach()

  it("one instance holds all partitions", function()
    assert.same({ 4 }, sizes(new_group(4):balance { "a" }))
  end)

  it("two instances split them completely", function()
    assert.same({ 2, 2 }, sizes(new_group(4):balance { "a", "b" }))
  end)

  it("a third instance triggers a new split", function()
    local group = new_group(6)
    assert.same({ 3, 3 }, sizes(group:balance { "a", "b" }))
    assert.same({ 2, 2, 2 }, sizes(group:balance { "a", "b", "c" }))
  end)

  it("each instance gets the messages of its partitions and no others", function()
    local group = new_group(4)
    local owners = group:balance { "a", "b" }
    group:fill(5)
    group:drain({ "a", "b" }, 20)
    assert.equal(20, #group.values)
    for place, instance in pairs(group.seen) do
      assert.equal(owners[tonumber(place:match "^%d+")], instance)
    end
  end)

  it("the partitions of a deleted instance move to the others", function()
    local group = new_group(4)
    group:balance { "a", "b" }
    ok(post(("/delete-consumer/%s/a"):format(group.name)))
    local owners = group:balance { "b" }
    for partition = 0, 3 do assert.equal("b", owners[partition]) end
    group:fill(3)
    group:drain({ "b" }, 12)
  end)

  it("the partitions of a silent instance move to the others", function()
    local group = new_group(4, BRIEF)
    group:balance { "a", "b" }
    local owners = group:balance { "b" }
    for partition = 0, 3 do assert.equal("b", owners[partition]) end
    group:fill(3)
    group:drain({ "b" }, 12)
  end)

  it("an instance that keeps sending requests outlives its session timeout", function()
    local group = new_group(1, BRIEF)
    group:balance { "a" }
    -- On a busy machine a request may take longer than the session; then the test begins again.
    local session = service.session_timeout / 1000
    local begun, last = service.now(), service.now()
    service.eventually(60, function()
      local sent = service.now()
      group:consume("a", 50)
      local lives = service.assignment(group.name).a
      local now = service.now()
      if now - last < session then
        assert.is_truthy(lives)
      else
        begun = now
      end
      last = sent
      return now - begun > 1.6 * session
    end)
  end)

  it("a wait longer than the session timeout does not end the instance", function()
    local group = new_group(1, BRIEF)
    group:balance { "a" }
    local path = ("/consume/%s/a/%s?timeout=120000"):format(group.name, group.topic)
    local pending = service.client:start("GET", path)
    service.sleep(1.5 * service.session_timeout / 1000)
    assert.is_truthy(service.assignment(group.name).a)
    service.produce(group.topic, "late")
    http.collect({ pending }, 60)
    local status = pending.response.status
    -- On a busy machine the broker may answer too late.
    local is_busy = status == 503 or status == 504
    local messages = is_busy and {} or ok(pending.response)
    if #messages == 0 then messages = service.consume_all(group.name, "a", group.topic, 1) end
    assert.same({ "late" }, service.values(messages))
  end)

  it("the next consume creates a closed instance again", function()
    local group = new_group(1, BRIEF)
    group:balance { "a" }
    service.eventually(10 + 2 * service.session_timeout / 1000, function()
      return not service.assignment(group.name).a
    end)
    refused(post(("/commit/%s/a"):format(group.name)), 404)
    group:balance { "a" }
    group:fill(2)
    group:drain({ "a" }, 2)
  end)

  it("no message is lost while instances join and leave", function()
    local group = new_group(4)
    group:fill(20)
    group:balance { "a" }
    group:balance { "a", "b" }
    group:fill(20)
    group:balance { "a", "b", "c" }
    ok(post(("/delete-consumer/%s/a"):format(group.name)))
    group:fill(20)
    group:drain({ "b", "c" }, 240)
    assert.equal(240, group.distinct)
  end)

  it("no message is lost when an instance dies before acknowledging a batch", function()
    local group = new_group(2, BRIEF)
    group:balance { "a", "b" }
    group:fill(10)
    service.consume(group.name, "a", group.topic, group.headers, 2000) -- and never again
    group:drain({ "b" }, 20)
  end)

  it("instances of two groups do not share", function()
    local topic = service.topic(2)
    for _ = 1, 2 do
      local group = new_group(2)
      group.topic = topic
      assert.same({ 2 }, sizes(group:balance { "a" }))
    end
  end)

  it("two groups may use the same instance name", function()
    local topic = service.topic(1)
    service.fill(topic, 2)
    for _ = 1, 2 do
      local messages = service.consume_all(service.name "group", "same", topic, 2, service.EARLIEST)
      assert.same({ "1", "2" }, service.values(messages))
    end
  end)

  describe("a topic that only one instance consumes", function()
    it("is not shared with an instance that did not request it", function()
      local one, two, name = service.topic(2), service.topic(2), service.name "group"
      local held = service.eventually(15, function()
        service.consume(name, "a", one, headers(), 30)
        service.consume(name, "b", two, headers(), 30)
        local held = service.assignment(name)
        local both = held.a and held.b
        return both and #(held.a[one] or {}) == 2 and #(held.b[two] or {}) == 2 and held
      end)
      assert.is_nil(held.a[two])
      assert.is_nil(held.b[one])
    end)
  end)

  describe("the limit of instances", function()
    local function attempt(group, instance)
      local path = ("/consume/%s/%s"):format(group.name, instance)
      return post(path, { topic = group.topic, timeout = 100 }, { headers = group.headers })
    end

    it("is the number of partitions; one more is a 429 with Retry-After", function()
      local group = new_group(2)
      group:balance { "a", "b" }
      local response = attempt(group, "c")
      refused(response, 429)
      assert.is_truthy((response.headers["retry-after"] or ""):find "^%d+$")
      assert.is_nil(service.assignment(group.name).c)
    end)

    it("counts the partitions of all topics", function()
      local group, other = new_group(1), service.topic(2)
      local both = { group.topic, other }
      service.join(group.name, "a", both, group.headers)
      for _, instance in ipairs { "b", "c" } do
        local path = ("/consume/%s/%s"):format(group.name, instance)
        ok(post(path, { topics = both, timeout = 50 }, { headers = group.headers }))
      end
      local path = ("/consume/%s/d"):format(group.name)
      refused(post(path, { topics = both, timeout = 50 }, { headers = group.headers }), 429)
    end)

    it("does not affect live instances", function()
      local group = new_group(1)
      group:balance { "a" }
      refused(attempt(group, "b"), 429)
      ok(attempt(group, "a"))
    end)

    it("admits another instance after one was deleted", function()
      local group = new_group(1)
      group:balance { "a" }
      refused(attempt(group, "b"), 429)
      ok(post(("/delete-consumer/%s/a"):format(group.name)))
      group:balance { "b" }
    end)
  end)

  it("a waiting consume gets the partitions of an instance that leaves", function()
    local group = new_group(2)
    local owners = group:balance { "a", "b" }
    local left = owners[0]
    local stays = left == "a" and "b" or "a"
    local path = ("/consume/%s/%s/%s?timeout=120000"):format(group.name, stays, group.topic)
    local pending = service.client:start("GET", path, { headers = group.headers })
    service.sleep(0.2)
    ok(post(("/delete-consumer/%s/%s"):format(group.name, left)))
    service.produce(group.topic, { { value = "inherited", partition = 0 } })
    http.collect { pending }
    local messages = ok(pending.response)
    assert.same({ "inherited" }, service.values(messages))
  end)
end)
