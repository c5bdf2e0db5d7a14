--- A browser for tests: Debian's chromium behind chromedriver, over WebDriver (JSON over HTTP).
--
--     local browser = require("spec.support.webdriver").start()
--     browser:open "http://127.0.0.1:1234/page.html"
--     browser:call("return document.title")
--     browser:stop()
--
-- Each browser has its own profile, which is removed with it.

local cjson = require "cjson"
local folder = require "spec.support.folder"
local http = require "spec.support.http"
local shell = require "spec.support.shell"

local webdriver = {}

local PATIENCE = 30 -- seconds for one command; the first one starts the browser

local ARGUMENTS = {
  "--headless", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
}

local Browser = {}
Browser.__index = Browser

--- The value of an answer; raises the driver's error.
local function value_of(response)
  local decoded = cjson.decode(response.body).value
  if response.status ~= 200 then error(("%s: %s"):format(decoded.error, decoded.message), 0) end
  return decoded
end

function Browser:command(method, path, body)
  local response = self.client:request(method, path, { auth = false, body = body, timeout = PATIENCE })
  return value_of(response)
end

local function arguments(profile)
  local all = { "--user-data-dir=" .. profile }
  for _, argument in ipairs(ARGUMENTS) do all[#all + 1] = argument end
  if shell.run "test $(id -u) = 0" == 0 then all[#all + 1] = "--no-sandbox" end
  return all
end

function Browser:begin()
  local options = { args = arguments(self.profile) }
  local capabilities = { alwaysMatch = { browserName = "chrome", ["goog:chromeOptions"] = options } }
  local session = self:command("POST", "/session", cjson.encode { capabilities = capabilities })
  self.session = "/session/" .. session.sessionId
end

--- Opens a page and waits until it is loaded.
function Browser:open(url)
  self:command("POST", self.session .. "/url", cjson.encode { url = url })
end

--- Runs a function body in the page, with `arguments[0]`…, and returns its result. Waits for a
-- promise; raises if it is rejected.
function Browser:call(script, ...)
  local given = select("#", ...) > 0 and cjson.encode { ... } or "[]"
  local body = ('{"script":%s,"args":%s}'):format(cjson.encode(script), given)
  return self:command("POST", self.session .. "/execute/sync", body)
end

--- Calls `attempt` until it returns a true value, and returns that.
function Browser:wait(attempt)
  return shell.eventually(PATIENCE, function()
    return attempt(self)
  end)
end

--- Ends the browser and the driver, and removes the profile.
function Browser:stop()
  if self.session then pcall(self.command, self, "DELETE", self.session) end
  self.client:close()
  self.process:signal "TERM"
  self.process:wait()
  self.process:remove()
  folder.remove(self.profile)
end

--- Starts a browser and waits until it can open pages.
function webdriver.start()
  local browser = setmetatable({ profile = folder.make() }, Browser)
  browser.process = shell.start "chromedriver --port=0"
  local port = browser.process:expect("started successfully on port (%d+)", PATIENCE)
  browser.client = http.client("http://127.0.0.1:" .. port, "", "")
  local fine, problem = pcall(browser.begin, browser)
  if fine then return browser end
  browser:stop()
  error(problem, 0)
end

return webdriver
