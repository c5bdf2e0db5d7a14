-- The code of the library runs on 5.1, LuaJIT, 5.3 and 5.4: it may use what all of them have, and ask for the rest.
std = "min"
max_line_length = 120
max_string_line_length = 180 -- a sentence may stay in one piece
cache = false

read_globals = {
  table = { fields = { "unpack", "pack" } },
  "unpack",
  math = { fields = { "type", "tointeger" } },
}

-- Annotations cannot be wrapped.
files["lua/upstash/kafka/types"] = { max_line_length = false }

files["spec"] = { std = "min+busted" }

-- These run on Lua 5.4 alone.
files["bench/run.lua"] = { std = "lua54" }
files["bench/measure.lua"] = { std = "lua54" }
files["bench/kafka.lua"] = { std = "lua54" }
files[".ci"] = { std = "lua54" }
