-- Credentials in a query, in every form that senders use.

local http = require "spec.support.http"
local server = require "spec.support.server"

local function percent(text)
  return (text:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function form(text)
  return (percent(text):gsub("%%20", "+"))
end

local function as_sent(text)
  return text
end

-- Credentials with characters that each form of a query reads differently.
local LOGINS = {
  { "ab", "cd", { percent, form, as_sent } },
  { "a+b", "c+d", { percent, form, as_sent } },
  { "a b", "c d", { percent, form } },
  { "a+b c", "d e+f", { percent, form } },
  { "a%2Bb", "100%25", { percent, form, as_sent } },
  { "a%b", "50%off", { percent, form, as_sent } },
}

for _, login in ipairs(LOGINS) do
  describe(("B9: a webhook of the user %q"):format(login[1]), function()
    local running, client

    lazy_setup(function()
      running = server.start { username = login[1], password = login[2] }
      client = http.client(running.url, login[1], login[2])
    end)
    lazy_teardown(function()
      client:close()
      running:stop()
    end)

    local function hook(user, pass)
      local path = ("/webhook?user=%s&topic=t&pass=%s"):format(user, pass)
      return client:request("POST", path, { body = "v", auth = false })
    end

    it("is accepted in each form", function()
      for _, written in ipairs(login[3]) do
        local response = hook(written(login[1]), written(login[2]))
        assert.equal(200, response.status, response.body)
        assert.is_truthy(response.body:find('^{"topic":"t","partition":0,'), response.body)
      end
    end)

    it("is not accepted with another password", function()
      for _, written in ipairs { percent, form } do
        assert.equal(401, hook(written(login[1]), written(login[2] .. "x")).status)
        assert.equal(401, hook(written(login[1] .. "+"), written(login[2])).status)
        assert.equal(401, hook(written(login[1]), "").status)
      end
      assert.equal(401, hook("", "").status)
      assert.equal(401, hook("%", "%").status)
    end)
  end)
end
