--- Rounds of a producer and a consumer behind a proxy that cuts their connections.

local chaos = require "spec.support.chaos"
local cutting_proxy = require "spec.support.cutting_proxy"

local cuts = {}

-- Responses of each kind that are cut in a round, beside some requests.
local COUNT = chaos.full and 50 or 8

local function rules()
  local list = {}
  for _, prefix in ipairs { "/consume/", "/produce" } do
    list[#list + 1] = ("response %s 400 %d"):format(prefix, COUNT)
    list[#list + 1] = ("abandon %s 60 %d"):format(prefix, math.floor(COUNT / 5))
    list[#list + 1] = ("request %s 60 %d"):format(prefix, math.floor(COUNT / 5))
  end
  return list
end

-- Waits until the proxy has cut everything, and some messages have come after that.
local function await_cuts(run, proxy)
  local function measure() return proxy:cuts "response" end
  run:await(measure, function() return measure() >= 2 * COUNT end)
  run:progress("produce", "acknowledged", 5)
end

local function one_round(engine, seed, start_workers, options, totals)
  local run = chaos.start(engine)
  local proxy = cutting_proxy.start(run.url, rules(), { seed = seed })
  local stop_workers
  local fine, report = pcall(function()
    stop_workers = start_workers(run, proxy.url)
    await_cuts(run, proxy)
    return run:finish(options)
  end)
  totals.consumes = totals.consumes + proxy:cuts "response /consume/"
  totals.produces = totals.produces + proxy:cuts "response /produce"
  totals.others = totals.others + proxy:cuts "abandon" + proxy:cuts "request"
  if stop_workers then stop_workers() end
  proxy:stop()
  run:remove()
  return fine, report
end

--- Runs rounds, until so many responses were cut or the time is over. `start_workers(run, url)`
-- starts a producer and a consumer behind the proxy at `url`, and may return a function that ends
-- what they need. `check(report)` checks each round's report; `options` are those of
-- delivery.check.
function cuts.run(engine, name, start_workers, check, options)
  local totals = { consumes = 0, produces = 0, others = 0 }
  for round in chaos.rounds { short = 1, full = 20 } do
    local fine, report = one_round(engine, round, start_workers, options, totals)
    if not fine then error(report, 0) end
    chaos.say("cuts, %s on %s, round %d: %s", name, engine, round, chaos.describe(report))
    check(report)
  end
  chaos.say("cuts, %s on %s: %d consume and %d produce responses cut, and %d requests", name, engine, totals.consumes,
    totals.produces, totals.others)
end

return cuts
