-- Section 4 of the contract: commit, committed and delete-consumer.

local service = require "spec.contract.service"

local post, ok, refused = service.post, service.ok, service.refused
local MANUAL = service.MANUAL

local SUCCESS = { result = "Success", status = 200 }

local function url(verb, group, instance)
  return ("/%s/%s/%s"):format(verb, group, instance or "one")
end

-- A topic of two partitions, and a group whose instance "one" holds both, without auto-commit.
local function joined()
  local topic, group = service.topic(2), service.name "group"
  service.join(group, "one", topic, MANUAL)
  return topic, group
end

local function committed(group, positions)
  local found = {}
  for _, each in ipairs(ok(post(url("committed", group), positions))) do
    found[service.place(each)] = each.offset
  end
  return found
end

describe("commit:", function()
  service.attach()

  for _, method in ipairs { "GET", "POST" } do
    it(method .. " accepts one position", function()
      local topic, group = joined()
      local body = service.json { topic = topic, partition = 1, offset = 10 }
      local response = service.request(method, url("commit", group), { body = body })
      assert.same(SUCCESS, ok(response))
      assert.equal(10, service.committed(group, topic, 1))
      assert.equal(-1, service.committed(group, topic, 0))
    end)

    it(method .. " without a body commits everything consumed", function()
      local topic, group = joined()
      service.fill(topic, 3, 0)
      service.fill(topic, 2, 1)
      service.consume_all(group, "one", topic, 5, MANUAL)
      assert.equal(-1, service.committed(group, topic))
      assert.same(SUCCESS, ok(service.request(method, url("commit", group))))
      assert.equal(3, service.committed(group, topic, 0))
      assert.equal(2, service.committed(group, topic, 1))
    end)
  end

  it("accepts an array of positions in several topics", function()
    local one, two, group = service.topic(2), service.topic(1), service.name "group"
    service.join(group, "one", { one, two }, MANUAL)
    assert.same(SUCCESS, ok(post(url("commit", group), {
      { topic = one, partition = 0, offset = 13 }, { topic = one, partition = 1, offset = 37 },
      { topic = two, partition = 0, offset = 19 },
    })))
    assert.same({ [one .. "/0"] = 13, [one .. "/1"] = 37, [two .. "/0"] = 19 }, committed(group, {
      { topic = one, partition = 0 }, { topic = one, partition = 1 }, { topic = two, partition = 0 },
    }))
  end)

  it("B4: an empty array succeeds and commits nothing", function()
    local topic, group = joined()
    service.fill(topic, 3)
    service.consume_all(group, "one", topic, 3, MANUAL)
    assert.same(SUCCESS, ok(post(url("commit", group), "[]")))
    assert.same(SUCCESS, ok(post(url("commit", group), " [ ] ")))
    assert.equal(-1, service.committed(group, topic))
    assert.same(SUCCESS, ok(post(url("commit", group))))
    assert.equal(3, service.committed(group, topic))
  end)

  it("without a body stores the last offset plus one, batch by batch", function()
    local topic, group = joined()
    for number = 1, 3 do
      service.produce(topic, { { value = "v", partition = 0 } })
      service.consume_all(group, "one", topic, 1, MANUAL)
      ok(post(url("commit", group)))
      assert.equal(number, service.committed(group, topic))
    end
  end)

  it("without a body, before anything is consumed, succeeds and commits nothing", function()
    local topic, group = joined()
    assert.same(SUCCESS, ok(post(url("commit", group))))
    assert.is_true(service.committed(group, topic) <= 0)
  end)

  it("may move back, and past the end", function()
    local topic, group = joined()
    for _, offset in ipairs { 5, 2, 1000, 0 } do
      ok(post(url("commit", group), { topic = topic, partition = 0, offset = offset }))
      assert.equal(offset, service.committed(group, topic))
    end
  end)

  for what, offset in pairs { back = 0, forth = 5 } do
    it(("B14: %s does not move a live instance, but the next one"):format(what), function()
      local topic, group = joined()
      service.fill(topic, 2)
      service.consume_all(group, "one", topic, 2, MANUAL)
      ok(post(url("commit", group), { topic = topic, partition = 0, offset = offset }))
      assert.same({}, service.consume(group, "one", topic, MANUAL))
      service.produce(topic, { { value = "third", partition = 0 }, { value = "fourth", partition = 0 } })
      local messages = service.consume_all(group, "one", topic, 2, MANUAL)
      assert.same({ 2, 3 }, { messages[1].offset, messages[2].offset })
      assert.equal(offset, service.committed(group, topic))
      service.fill(topic, 2)
      ok(post(url("delete-consumer", group)))
      messages = service.consume_all(group, "two", topic, 6 - offset, MANUAL)
      assert.equal(offset, messages[1].offset)
    end)
  end

  it("belongs to its group alone", function()
    local topic, group = joined()
    ok(post(url("commit", group), { topic = topic, partition = 0, offset = 4 }))
    assert.equal(-1, service.committed(service.name "group", topic))
  end)

  describe("without a live instance", function()
    it("is a 404 for a group that never existed", function()
      local topic = service.topic(1)
      local position = { topic = topic, partition = 0, offset = 1 }
      refused(post(url("commit", service.name "group"), position), 404)
    end)

    it("is a 404 for another instance of a live group", function()
      local topic, group = joined()
      local position = { topic = topic, partition = 0, offset = 1 }
      refused(post(url("commit", group, "two"), position), 404)
    end)

    it("is a 404 after the instance was deleted", function()
      local topic, group = joined()
      ok(post(url("delete-consumer", group)))
      local position = { topic = topic, partition = 0, offset = 1 }
      refused(post(url("commit", group), position), 404)
      refused(post(url("commit", group)), 404)
      assert.equal(-1, service.committed(group, topic))
    end)
  end)

  it("with one wrong position in a list commits none", function()
    local topic, group = joined()
    refused(post(url("commit", group), {
      { topic = topic, partition = 0, offset = 1 }, { topic = topic, partition = 9, offset = 1 },
    }), 400)
    assert.equal(-1, service.committed(group, topic))
  end)
end)

describe("committed:", function()
  service.attach()

  for _, method in ipairs { "GET", "POST" } do
    it(method .. " returns one entry per requested partition", function()
      local topic, group = joined()
      ok(post(url("commit", group), { topic = topic, partition = 1, offset = 7 }))
      local body = service.json { { topic = topic, partition = 1 }, { topic = topic, partition = 0 } }
      local path = url("committed", group) .. "?timeout=1000"
      local entries = ok(service.request(method, path, { body = body }))
      table.sort(entries, function(a, b) return a.partition < b.partition end)
      assert.same({
        { topic = topic, partition = 0, offset = -1 }, { topic = topic, partition = 1, offset = 7 },
      }, entries)
    end)
  end

  it("treats one partition as an array of one", function()
    local topic, group = joined()
    ok(post(url("commit", group), { topic = topic, partition = 1, offset = 7 }))
    local expected = { { topic = topic, partition = 1, offset = 7 } }
    local partition = { topic = topic, partition = 1 }
    assert.same(expected, ok(post(url("committed", group), partition)))
    assert.same(expected, ok(post(url("committed", group), { partition })))
  end)

  it("is -1 for partitions without a commit", function()
    assert.equal(-1, service.committed(service.name "group", service.topic(1)))
  end)

  it("needs no live instance", function()
    local topic, group = joined()
    ok(post(url("commit", group), { topic = topic, partition = 0, offset = 3 }))
    ok(post(url("delete-consumer", group)))
    assert.equal(3, service.committed(group, topic))
  end)
end)

describe("delete-consumer:", function()
  service.attach()

  for _, method in ipairs { "POST", "DELETE" } do
    it(method .. " closes the instance", function()
      local _, group = joined()
      assert.same(SUCCESS, ok(service.request(method, url("delete-consumer", group))))
      assert.same({}, service.assignment(group))
    end)

    it(method .. " is a 404 for an instance that does not exist", function()
      local _, group = joined()
      refused(service.request(method, url("delete-consumer", group, "two")), 404)
      refused(service.request(method, url("delete-consumer", service.name "group")), 404)
    end)
  end

  it("is a 404 the second time", function()
    local _, group = joined()
    ok(post(url("delete-consumer", group)))
    refused(post(url("delete-consumer", group)), 404)
  end)

  it("leaves other instances of the group alone", function()
    local topic, group = joined()
    service.join(group, "two", topic, MANUAL)
    ok(post(url("delete-consumer", group)))
    local instances = service.assignment(group)
    assert.is_nil(instances.one)
    assert.is_truthy(instances.two)
  end)

  it("ends the instance's waiting consume", function()
    local http = require "spec.support.http"
    local topic, group = joined()
    local path = url("consume", group) .. "/" .. topic .. "?timeout=120000"
    local pending = service.client:start("GET", path)
    service.eventually(10, function()
      service.sleep(0.2)
      local deleted = post(url("delete-consumer", group)) -- perhaps before the consume arrives
      assert.is_true(deleted.status == 200 or deleted.status == 404, deleted.body)
      return pcall(http.collect, { pending }, 0.2)
    end)
    if pending.response.status == 404 then
      refused(pending.response, 404)
    else
      assert.same({}, ok(pending.response))
    end
  end)
end)
