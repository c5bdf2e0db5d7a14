-- for: json_encode.c, json_lua.c, number_lua.c
--
-- JSON as a Lua program sees it. Responses without a fixed shape, through `finish`: compared with
-- lua-cjson on generated text, and the cases of spec/json. Table values, in both directions.

local cjson = require "cjson"
local core = require "upstash.kafka.core"
local kafka = require "upstash.kafka"

local client = core.new { url = "http://127.0.0.1:1" }
local upvalueid = rawget(debug, "upvalueid") -- returns a light userdata; not in Lua 5.1
local list_request, object_request = client:prepare "consumers", client:prepare "health"

local function decode(text)
  return client:finish(text:find "^%s*{" and object_request or list_request, 200, nil, text)
end

-- Where lua-cjson has null we have nothing. Its floats and our integers are equal under ==.
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
  it("reads generated text as lua-cjson does", function()
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

  -- A list or an object is a response; a valid scalar is one inside a list.
  local folder = debug.getinfo(1, "S").source:match "^@(.*)json_spec%.lua$"
  for _, case in ipairs(dofile(folder .. "json/cases.lua")) do
    local scalar = not case.text:find "^%s*[%[{]"
    it(case.verdict .. "s " .. case.name, function()
      local accepted = case.verdict == "accept"
      local value, message, details = decode(accepted and scalar and "[" .. case.text .. "]" or case.text)
      if not accepted then
        assert.is_nil(value)
        assert.equal("bad_response", details.code)
      elseif details then -- valid JSON with a number that this Lua cannot hold
        assert.equal("integer_range", details.code)
        local number = case.text:match "^%[*(.-)%]*$"
        assert.is_true(not number:find "[^%-%d]" or math.abs(tonumber(number) or math.huge) == math.huge)
      else
        assert.is_table(value, message)
      end
    end)
  end
end)

-- Values ---------------------------------------------------------------------------------------

local integers = math.type ~= nil -- luacheck: compat
local writer = kafka.new { url = "http://127.0.0.1:1" }

-- The JSON that a produce sends for the value.
local function text_of(value)
  return decode(assert(writer:prepare("produce", "t", value)).body).value
end

-- The value of a consumed message with that text.
local function value_of(json)
  local message = setmetatable({ value = json }, { __index = core.message_methods })
  return message:json()
end

local function refused(value, reason)
  local fine, err = pcall(text_of, value)
  assert.is_false(fine)
  assert.truthy(err:find(reason .. ")", 1, true), err)
end

-- Whether the numbers and their signs are equal. An integral float may come back as an integer.
local function same_number(a, b)
  local type_of = integers and math.type or type -- luacheck: compat
  if a == 0 then return b == 0 and (type_of(a) == "integer" or 1 / a == 1 / b) end
  return a == b and (not integers or type_of(a) == "float" or type_of(b) == "integer")
end

local function sign() return random(2) == 0 and 1 or -1 end

-- 53 random bits and a random exponent, from the smallest subnormal to the largest double.
local function any_float()
  local mantissa = random(2 ^ 27) * 2 ^ 26 + random(2 ^ 26)
  local exponent = random(2046) - 1074
  local number = mantissa * 2.0 ^ math.min(exponent, 970)
  return sign() * (number < math.huge and number or 1e308)
end

local kinds = {
  any_float,
  function() return sign() * random(2 ^ 30) / 2 ^ 30 / (1 + random(1000)) end,
  function() return sign() * random(2 ^ 30) / 10 ^ random(12) end,
  function() return 2.0 ^ (random(2098) - 1074) + (random(3) - 1) end,
  function() return sign() * (2.0 ^ 53 - random(3)) end,
  function() return sign() * (2.0 ^ 53 + 2 * random(1000)) end,
  function() return sign() * random(2 ^ 30) * 2.0 ^ -1074 end,
  function() return sign() * random(2 ^ 30) end,
}
if integers then
  local function wide() return random(2147483647) * 4294967296 + random(2147483647) * 2 + random(2) end
  kinds[#kinds + 1] = function() return sign() * wide() end
  kinds[#kinds + 1] = function() return math.maxinteger - random(3) end -- luacheck: compat
  kinds[#kinds + 1] = function() return math.mininteger + random(3) end -- luacheck: compat
end

describe("A2: a value that is a table", function()
  it("returns 100,000 generated numbers unchanged", function()
    for round = 1, 100 do
      local given = {}
      for index = 1, 1000 do given[index] = kinds[random(#kinds) + 1]() end
      local back, message = value_of(text_of(given))
      assert(back, message)
      for index, number in ipairs(given) do
        if not same_number(number, back[index]) then
          error(("round %d: %.17g came back as %.17g"):format(round, number, back[index]))
        end
      end
    end
  end)

  it("returns 1,000 generated numbers that are keys", function()
    for _ = 1, 1000 do
      local number = kinds[random(#kinds) + 1]()
      local key = next(value_of(text_of { [number] = 1, other = 2 }))
      if key == "other" then key = next(value_of(text_of { [number] = 1, other = 2 }), key) end
      assert.is_string(key)
      assert.equal(number, integers and math.type(number) == "integer" and math.tointeger(key) or tonumber(key))
    end
  end)

  it("has integers without fraction or exponent, and other numbers with their digits", function()
    assert.equal("[0,-17,123456789012345,9007199254740992]", text_of { 0, -17, 123456789012345, 2 ^ 53 })
    assert.equal("[5,-2,1000000]", text_of { 10 / 2, -4 / 2, 1e6 })
    assert.equal("[0.1,-0.25,52.520006599999,0.3333333333333333]", text_of { 0.1, -0.25, 52.520006599999, 1 / 3 })
    assert.equal("[9.007199254740994e+15,1e+300,1e-300]", text_of { 2 ^ 53 + 2, 1e300, 1e-300 })
    if integers then
      assert.equal("[9223372036854775807,-9223372036854775808]",
        text_of { math.maxinteger, math.mininteger }) -- luacheck: compat
    end
  end)

  it("is decoded with integers if Lua has them", function()
    local value = value_of '{"a":7,"b":7.0,"c":7e0,"d":-0,"e":123456789012345678}'
    if integers then
      local types = {}
      for name, number in pairs(value) do types[name] = math.type(number) end -- luacheck: compat
      assert.same({ a = "integer", b = "float", c = "float", d = "float", e = "integer" }, types)
      assert.equal(123456789012345678, value.e)
    else
      assert.is_nil(value) -- 123456789012345678 is not exact
    end
    assert.equal(-math.huge, 1 / value_of "-0")
  end)

  it("names an integer that does not fit, at the limit and past it", function()
    local least, most, below, above = "-9007199254740992", "9007199254740992", "-9007199254740993", "9007199254740993"
    if integers then
      least, most = "-9223372036854775808", "9223372036854775807"
      below, above = "-9223372036854775809", "9223372036854775808"
    end
    for _, limit in ipairs { least, most } do
      assert.equal("[" .. limit .. "]", text_of(value_of("[" .. limit .. "]")))
    end
    for _, past in ipairs { below, above, "18446744073709551615", ("9"):rep(40), "1e309", "-1e400" } do
      local value, message, details = value_of('{"id":[' .. past .. "]}")
      assert.is_nil(value)
      assert.truthy(message:find("the value: " .. past .. " does not fit this Lua's numbers", 1, true), message)
      assert.equal("integer_range", details.code)
    end
  end)

  it("names what JSON cannot hold, and its path", function()
    refused({ position = { lat = 0 / 0 } }, "value.position.lat: NaN is not JSON")
    refused({ list = { 1, 2, math.huge } }, "value.list[3]: inf is not JSON")
    refused({ { ["two words"] = { x_1 = -math.huge } } }, 'value[1]["two words"].x_1: -inf is not JSON')
    refused({ [1.5] = print }, "value[1.5]: a function is not JSON")
    refused({ file = io.stdout }, "value.file: a userdata is not JSON")
    refused({ co = coroutine.create(function() end) }, "value.co: a thread is not JSON")
    refused({ a = { [true] = 1 } }, "value.a: a boolean cannot be a key in JSON")
    refused({ a = { [math.huge] = 1 } }, "value.a: inf cannot be a key in JSON")
    local name = ("n"):rep(64)
    refused({ [name] = print }, "value." .. name .. ": a function is not JSON")
    refused({ [name .. "m"] = print }, 'value["' .. name .. '"]: a function is not JSON')
    refused({ [cjson.null] = 1 }, "value: a userdata cannot be a key in JSON")
    refused({ ["1a"] = print }, 'value["1a"]: a function is not JSON')
    refused({ a1 = { [""] = print } }, 'value.a1[""]: a function is not JSON')
    refused({ ["a-b"] = print }, 'value["a-b"]: a function is not JSON')
    refused({ [-5] = print }, "value[-5]: a function is not JSON")
    local pointer = upvalueid and upvalueid(refused, 1)
    if pointer then refused({ pointer }, "value[1]: a userdata is not JSON") end
  end)

  it("refuses LuaJIT's 64-bit integers by name", function()
    local int64 = rawget(_G, "jit") and assert(loadstring "return 123LL")() -- luacheck: compat
    if not int64 then return end
    refused({ id = int64 }, "value.id: a cdata is not JSON")
    local fine, err = pcall(writer.prepare, writer, "produce", "t", int64)
    assert.is_false(fine)
    assert.truthy(err:find("string, number, table or null expected, got cdata", 1, true), err)
  end)

  it("may be nested up to 1,000 levels; one that contains itself is named", function()
    local deep = 7
    for _ = 1, 500 do deep = { { a = deep } } end
    local deepest = text_of(deep)
    local inner = value_of(deepest)
    for _ = 1, 500 do inner = inner[1].a end
    assert.equal(7, inner)
    refused({ deep }, "...: nested deeper than 1000 levels")
    local value, message = value_of("[" .. deepest .. "]")
    assert.is_nil(value)
    assert.truthy(message:find("nested too deep", 1, true), message)
    local circle = { a = {} }
    circle.a.b = circle
    refused(circle, "...: the table contains itself")
  end)

  it("becomes an array by lua-cjson's rules and settings", function()
    local sparse, very_sparse = { [1] = 1, [3] = 3 }, { [1] = 1, [1000] = 2 }
    local edge, over = { [1] = 0, [2] = 0, [3] = 0, [4] = 0, [5] = 0, [10] = 0 }, { [5] = 0, [11] = 0 }
    for _, value in ipairs { {}, { 1 }, { 1, 2, x = 3 }, sparse, { [0] = 1 }, edge } do
      assert.same(cjson.decode(cjson.encode(value)), value_of(text_of(value)))
    end
    assert.equal("{}", text_of {})
    assert.equal("[1,null,3]", text_of(sparse))
    refused(very_sparse, "value: excessively sparse array")
    refused({ over }, "value[1]: excessively sparse array")
    local six, five = { [12] = 0 }, { [12] = 0 }
    for index = 1, 5 do six[index] = 0 end
    for index = 1, 4 do five[index] = 0 end
    assert.equal(cjson.encode(six), text_of(six))
    refused(five, "value: excessively sparse array")
    assert.equal(cjson.encode { [10] = 0 }, text_of { [10] = 0 }) -- 10 is always safe
    refused({ [11] = 0 }, "value: excessively sparse array")
    local convert, ratio, safe = cjson.encode_sparse_array()
    finally(function() cjson.encode_sparse_array(convert, ratio, safe) end)
    cjson.encode_sparse_array(true)
    assert.same({ ["1"] = 1, ["1000"] = 2 }, value_of(text_of(very_sparse)))
    cjson.encode_sparse_array(false, 0)
    assert.equal(1000, select(2, text_of(very_sparse):gsub("%w+", "")))
    refused({ [2 ^ 31] = 1 }, "value: excessively sparse array") -- no array has so many elements
    cjson.encode_sparse_array(false, 2, 2)
    refused({ [1] = 1, [5] = 1 }, "value: excessively sparse array")
    assert.equal("[1,null,null,1]", text_of { [1] = 1, [4] = 1 })
  end)

  it("has null in both directions", function()
    assert.equal("[null,true,false]", text_of { cjson.null, true, false })
    assert.equal(kafka.null, value_of("[null]")[1])
    assert.equal(kafka.null, value_of "null")
    assert.equal('{"a":null}', text_of(value_of '{"a":null}'))
  end)

  it("keeps text and escapes what JSON requires", function()
    assert.equal('["/\\"\\\\\\n\\u0000\\u001f' .. "\127é漢😀" .. '"]', text_of { '/"\\\n\0\31' .. "\127é漢😀" })
    local encode, read = core.json(cjson)
    for length = 1, 200 do
      local value = { (("é\"x\\"):rep(length)):sub(1, length) .. "." .. ("y"):rep(length) }
      assert.same(value, read((encode(value))))
    end
    local message, details = select(2, writer:prepare("produce", "t", { "\255" }))
    assert.equal("message 1: value is not valid UTF-8 (binary = true sends any bytes)", message)
    assert.equal("bad_request", details.code)
  end)

  it("may hold any bytes for a binary client", function()
    local encode, read = core.json(cjson)
    local bytes = {}
    for byte = 0, 255 do bytes[byte + 1] = string.char(byte) end
    local value = { [table.concat(bytes)] = table.concat(bytes):reverse() }
    assert.same(value, read(encode(value)))
  end)

  it("runs no metamethods", function()
    local function fail() error "was called" end
    local strict = setmetatable({ 1, 2 }, { __index = fail, __len = fail, __pairs = fail, __ipairs = fail })
    assert.equal("[1,2]", text_of(strict))
  end)
end)

describe("core.json", function()
  it("uses lua-cjson's defaults if none is installed", function()
    local encode, read = core.json()
    assert.equal("[1,null,3]", encode { [1] = 1, [3] = 3 })
    assert.same({ nil, "excessively sparse array", "" }, { encode { [1000] = 1 } })
    assert.same({ nil, "NaN is not JSON", ".a[2]" }, { encode { a = { 1, 0 / 0 } } })
    assert.equal('"text"', encode "text")
    assert.same({ a = { 1, core.null } }, (read '{"a":[1,null]}'))
    assert.same({ nil, "at byte 1: the text ends too early", "bad_response" }, { read "[" })
    assert.has_error(function() read(5) end, "bad argument #1 to 'decode' (string expected, got number)")
  end)

  it("uses the defaults for invalid settings", function()
    for _, wrong in ipairs { { false, -1, "x" }, { nil, 2.5, 2 ^ 31 }, {} } do
      local encode = core.json {
        encode_sparse_array = function() return wrong[1], wrong[2], wrong[3] end, array_mt = 5,
      }
      assert.equal("[null,1]", encode { [2] = 1 })
      assert.same({ nil, "excessively sparse array", "" }, { encode { [11] = 1 } })
    end
    local encode = core.json { encode_sparse_array = function() return false, 0, 0 end }
    assert.equal(11, select(2, encode({ [11] = 1 }):gsub("%w+", "")))
  end)

  it("produces up to 256 MiB of JSON", function()
    if rawget(_G, "jit") then return end -- may not have that much memory
    local encode = core.json()
    local letters, texts = ("x"):rep(2 ^ 20 - 4), {}
    for index = 1, 256 do texts[index] = letters end
    texts[1] = letters .. ("x"):rep(255)
    assert.equal(2 ^ 28, #encode(texts))
    texts[1] = texts[1] .. "x"
    assert.same({ nil, "more than 256 MiB of JSON", "" }, { encode(texts) })
    assert.equal("[1]", encode { 1 })
    collectgarbage()
  end)

  it("reads up to 256 MiB of JSON", function()
    if rawget(_G, "jit") then return end -- may not have that much memory
    local _, read = core.json()
    local most = "7" .. (" "):rep(2 ^ 28 - 1)
    assert.equal(7, read(most))
    assert.same({ nil, "more than 256 MiB of JSON", "bad_response" }, { read(most .. " ") })
    assert.equal(7, read "7")
    collectgarbage()
  end)

  -- OpenResty's lua-cjson has these, Debian's does not.
  it("knows empty arrays, and metatables of arrays", function()
    local settings = { object = true, marked = false }
    local like = {
      empty_array_mt = {}, array_mt = {},
      encode_empty_table_as_object = function() return settings.object end,
      decode_array_with_array_mt = function() return settings.marked end,
    }
    local encode, read = core.json(like)
    assert.equal("[]", encode(setmetatable({}, like.empty_array_mt)))
    assert.equal('{"a":1}', encode(setmetatable({ a = 1 }, like.empty_array_mt)))
    assert.equal("[]", encode(setmetatable({}, like.array_mt)))
    assert.equal("[1]", encode(setmetatable({ 1, a = 2 }, like.array_mt)))
    assert.equal("{}", encode {})
    assert.equal("{}", encode(setmetatable({}, {})))
    assert.is_nil(getmetatable((read "[]")))
    settings.object, settings.marked = false, true
    assert.equal("[]", encode {})
    assert.equal(like.array_mt, getmetatable((read "[]")))
    assert.equal('{"a":[]}', encode((read '{"a":[]}')))
    local inner = read '{"a":[[5],{"b":[]}]}'
    assert.equal(like.array_mt, getmetatable(inner.a))
    assert.equal(like.array_mt, getmetatable(inner.a[1]))
    assert.is_nil(getmetatable(inner.a[2]))
    assert.equal(like.array_mt, getmetatable(inner.a[2].b))
    assert.is_nil(getmetatable((read "{}")))
    for _, name in ipairs { "array_mt", "empty_array_mt" } do -- a lua-cjson may have one of them
      local mark = {}
      local write = core.json { [name] = mark }
      assert.equal("[]", write(setmetatable({}, mark)))
      assert.equal("{}", write(setmetatable({}, {})))
    end
  end)

  it("knows the value for an empty array", function()
    local pointer = upvalueid and upvalueid(random, 1)
    if not pointer then return end -- Lua 5.1 has no other light userdata
    local encode = core.json { empty_array = pointer }
    assert.equal('{"a":[]}', encode { a = pointer })
    assert.same({ nil, "a userdata is not JSON", ".a" }, { core.json()({ a = pointer }) })
  end)

  it("may be called again from a finaliser", function()
    local encode, read = core.json(cjson)
    local letters = ("x"):rep(300)
    local again = 0
    local function collected()
      again = again + 1
      assert(encode { ("y"):rep(400) })
      assert(read '["z"]')
    end
    for _ = 1, 300 do
      if rawget(_G, "newproxy") then
        getmetatable(newproxy(true)).__gc = collected -- luacheck: globals newproxy
      else
        setmetatable({}, { __gc = collected })
      end
      assert.equal('["' .. letters .. '"]', encode { letters })
      assert.equal(letters, read('["' .. letters .. '"]')[1])
      if again < 3 then collectgarbage "step" end
    end
    collectgarbage()
    assert.is_true(again > 0)
  end)
end)

describe("upstash.kafka.json", function()
  it("is ready when it is loaded, in both directions", function()
    local name = "upstash.kafka.json"
    local loaded = package.loaded[name]
    package.loaded[name] = nil
    assert.equal("[1]", require(name).encode { 1 })
    package.loaded[name] = nil
    assert.same({ 1 }, require(name).decode "[1]")
    package.loaded[name] = loaded
  end)
end)

describe("JSON that is nested as deep as it may be", function()
  it("is decoded in either kind of container", function()
    local decode_value = select(2, core.json())
    for open, close in pairs { ["["] = "]", ['{"a":'] = "}" } do
      local levels = 0
      local value = assert(decode_value(open:rep(1000) .. "7" .. close:rep(1000)))
      while type(value) == "table" do
        value = value[1] or value.a
        levels = levels + 1
      end
      assert.same({ 1000, 7 }, { levels, value })
    end
  end)
end)
