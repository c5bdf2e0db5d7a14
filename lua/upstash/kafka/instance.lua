--- Names of instances of which each process or worker is to have its own: %p stands for the number of the process, %w
-- for that of the worker of nginx, from 0, and %% for %.

local core = require "upstash.kafka.core"
local host = require "upstash.kafka.host"

local instance = {}

local STANDS_FOR = { p = core.process_id, w = host.worker, ["%"] = function() return "%" end }

--- The name with its signs replaced, or nil and a text where there is nothing that one stands for.
---@param name string
---@return string? expanded
---@return string? message
function instance.expand(name)
  local missing
  local expanded = name:gsub("%%(.?)", function(sign)
    local value = STANDS_FOR[sign] and STANDS_FOR[sign]()
    if not value then missing = missing or "%" .. sign end
    return value
  end)
  if missing == "%w" then return nil, "instance: %w is the number of a worker of nginx, and this is none" end
  if missing then return nil, ("instance: '%s' is none of %%p, %%w and %%%%"):format(missing) end
  return expanded
end

return instance
