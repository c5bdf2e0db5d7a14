--- The JSON cases of cases.txt, which says what they are.
-- dofile "spec/json/cases.lua" returns a list of
--   { name = string, verdict = "accept" | "reject", text = string, flag = string | nil }
-- where `verdict` is that of a reader without flags, and `flag`, "comma" or "surrogate", names the
-- flag that turns it around.

local VERDICTS = { accept = "accept", reject = "reject", comma = "reject", surrogate = "accept" }

local function decode(text)
  if text == "%-" then
    return ""
  end
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

local folder = debug.getinfo(1, "S").source:match("^@(.*)cases%.lua$")
local cases = {}

for line in io.lines(assert(folder, "loaded from no file") .. "cases.txt") do
  local word, name, text = line:match("^(%l+)\t([^\t]+)\t(.+)$")
  if word then
    local verdict = assert(VERDICTS[word], line)
    local flag = word ~= verdict and word or nil
    cases[#cases + 1] = { name = name, verdict = verdict, text = decode(text), flag = flag }
  else
    assert(line == "" or line:find("^#"), line)
  end
end

return cases
