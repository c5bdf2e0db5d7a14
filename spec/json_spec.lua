-- The JSON reader as a Lua program meets it: answers of no fixed shape, through `finish`, compared with lua-cjson
-- on generated text, and the cases of spec/json.

local cjson = require "cjson"
local core = require "upstash.kafka.core"

local client = core.new { url = "http://127.0.0.1:1" }
local list_request, object_request = client:prepare "consumers", client:prepare "health"

local function decode(text)
  return client:finish(text:find "^%s*{" and object_request or list_request, 200, nil, text)
end

-- cjson has null where we have nothing, and floats where 5.4 has integers; == sees no difference between the latter.
local function same(ours, theirs)
  if theirs == cjson.null then return ours == nil end
  if type(theirs) ~= "table" then return ours == theirs end
  if type(ours) ~= "table" then return false end
  for key, value in pairs(theirs) do
    if not same(ours[key], value) then return false end
  end
  for key in pairs(ours) do
    if theirs[key] == nil then return false end
  end
  return true
end

-- A generator with a fixed seed, the same on every Lua.
local state = 20250311
local function random(below)
  state = (state * 16807) % 2147483647
  return state % below
end

local pieces = {
  "a", "Z", " ", "\\n", '\\"', "\\\\", "\\/", "\\u0041", "\\u00e9", "\\ud83d\\ude00", "é", "漢", "😀", "\127",
}
local numbers = { "0", "-1", "7", "123456789012345", "-99999999999999", "1.5", "-0.25", "1e3", "2E-2", "123.456e1" }
local spaces = { "", "", "", " ", "\n", "\t ", "\r\n" }

local generate

local function text()
  local parts = {}
  for index = 1, random(8) do parts[index] = pieces[random(#pieces) + 1] end
  return '"' .. table.concat(parts) .. '"'
end

local function space() return spaces[random(#spaces) + 1] end

local function list(depth)
  local parts = {}
  for index = 1, random(5) do parts[index] = space() .. generate(depth + 1) .. space() end
  return "[" .. table.concat(parts, ",") .. space() .. "]"
end

local function object(depth)
  local parts = {}
  for index = 1, random(5) do
    parts[index] = space() .. ('"k%d"'):format(index) .. space() .. ":" .. space() .. generate(depth + 1)
  end
  return "{" .. table.concat(parts, ",") .. space() .. "}"
end

local scalars = {
  text, text, function() return numbers[random(#numbers) + 1] end, function() return "true" end,
  function() return "false" end, function() return "null" end,
}

function generate(depth)
  local kind = random(depth < 6 and 9 or 6)
  if kind >= 8 then return object(depth) end
  if kind >= 6 then return list(depth) end
  return scalars[kind + 1]()
end

describe("JSON", function()
  it("reads as lua-cjson does what is generated", function()
    for round = 1, 5000 do
      local json = list(0)
      assert(same(decode(json), cjson.decode(json)), ("round %d: %s"):format(round, json))
    end
  end)

  it("refuses every strict prefix of a list", function()
    for _ = 1, 200 do
      local json = list(0):gsub("%s+$", "")
      for length = 0, #json - 1 do
        local value, _, details = decode(json:sub(1, length))
        assert.is_nil(value, json:sub(1, length))
        assert.equal("bad_response", details.code)
      end
    end
  end)

  -- A list or object is an answer as it stands; a scalar that is right is one inside a list.
  local folder = debug.getinfo(1, "S").source:match "^@(.*)json_spec%.lua$"
  for _, case in ipairs(dofile(folder .. "json/cases.lua")) do
    local scalar = not case.text:find "^%s*[%[{]"
    it(case.verdict .. "s " .. case.name, function()
      local accepted = case.verdict == "accept"
      local value, message, details = decode(accepted and scalar and "[" .. case.text .. "]" or case.text)
      if not accepted then
        assert.is_nil(value)
        assert.equal("bad_response", details.code)
      elseif not math.type and details then
        assert.equal("integer_range", details.code) -- right JSON that LuaJIT's numbers cannot hold
      else
        assert.is_table(value, message)
      end
    end)
  end
end)
