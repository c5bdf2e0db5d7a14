-- table_values.lua ROUNDS: the cost of table values, as ratios of CPU time to lua-cjson's in the
-- same process: below 1 is faster. The sides alternate, round by round. Prints a line for each
-- shape of value: name, median ratio of encoding, median ratio of decoding.
local core = require "upstash.kafka.core"
local cjson = require "cjson"

local rounds = tonumber((...)) or 9
local ROUND_SECONDS = 0.02

local function list(count, make)
  local values = {}
  for index = 1, count do values[index] = make(index) end
  return values
end

local function nested(levels)
  local value = {}
  for _ = 1, levels do value = { x = value } end
  return value
end

local function enclosed(levels)
  local value = {}
  for _ = 1, levels do value = { value } end
  return value
end

local function named(count, value)
  local values = {}
  for index = 1, count do values["name" .. index] = value end
  return values
end

math.randomseed(20250311)

local shapes = {
  { "one id", { id = 12345 } },
  { "an event", {
    id = 123456789, user = "müller", action = "click", lat = 52.520006599999, lon = 13.404953999999,
    tags = { "a", "b", "c" }, ok = true, meta = { ip = "10.0.0.1", agent = "Mozilla/5.0 (X11; Linux x86_64)" },
  } },
  { "100 integers", list(100, function(index) return index * 1000 end) },
  { "100 prices", list(100, function() return math.floor(math.random() * 1e5) / 100 end) },
  { "100 floats of 17 digits", list(100, function() return math.random() end) },
  { "100 tiny floats", list(100, function() return math.random() * 1e-30 end) },
  { "50 texts", named(50, ("some text "):rep(5)) },
  { "text full of escapes", { text = ('"quoted"\n'):rep(50) } },
  { "100 levels", nested(100) },
  { "100 lists in each other", enclosed(100) },
}

-- The conversion through lua-cjson, and the client's own.
local function guarded(method)
  return function(value)
    local fine, result = pcall(method, value)
    if not fine then error(result) end
    return result
  end
end

local function called(method)
  return function(value)
    if not method then error "no method" end
    return method(value)
  end
end

local function seconds(method, value, count)
  local start = os.clock()
  for _ = 1, count do method(value) end
  return os.clock() - start
end

local function median_ratio(ours, theirs, value)
  local count = 50
  while seconds(theirs, value, count) < ROUND_SECONDS do count = count * 2 end
  local ratios = {}
  for round = 1, rounds do
    local compared = seconds(theirs, value, count)
    ratios[round] = seconds(ours, value, count) / compared
  end
  table.sort(ratios)
  return ratios[math.floor((rounds + 1) / 2)]
end

local encode, decode = core.json(cjson)
for _, shape in ipairs(shapes) do
  local name, value = shape[1], shape[2]
  local text = assert(encode(value))
  local encoding = median_ratio(called(encode), guarded(cjson.encode), value)
  local decoding = median_ratio(called(decode), guarded(cjson.decode), text)
  print(("  %-24s encode %.2f  decode %.2f"):format(name, encoding, decoding))
end
