--- Circles of a directed graph: {from = {to = weight}}.

local graph = {}

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end
graph.sorted_keys = sorted_keys

--- Adds an arrow between two nodes that differ.
function graph.add(arrows, from, to, weight)
  if from == to then return end
  arrows[from] = arrows[from] or {}
  arrows[from][to] = (arrows[from][to] or 0) + (weight or 1)
end

--- The strongly connected components with two or more nodes, each a sorted list.
function graph.circles(arrows)
  local number, lowest, stack, stacked, count, circles = {}, {}, {}, {}, 0, {}
  local function pop_until(node)
    local circle = {}
    repeat
      local last = table.remove(stack)
      stacked[last] = nil
      circle[#circle + 1] = last
    until last == node
    table.sort(circle)
    if #circle > 1 then circles[#circles + 1] = circle end
  end
  local function visit(node)
    count = count + 1
    number[node], lowest[node] = count, count
    stack[#stack + 1], stacked[node] = node, true
    for _, to in ipairs(sorted_keys(arrows[node] or {})) do
      if not number[to] then
        visit(to)
        lowest[node] = math.min(lowest[node], lowest[to])
      elseif stacked[to] then
        lowest[node] = math.min(lowest[node], number[to])
      end
    end
    if lowest[node] == number[node] then pop_until(node) end
  end
  for _, node in ipairs(sorted_keys(arrows)) do
    if not number[node] then visit(node) end
  end
  table.sort(circles, function(a, b) return a[1] < b[1] end)
  return circles
end

-- The weight of a node's arrows to the nodes of a set, which is a number with a bit for each node.
local function weight_into(arrows, nodes, from, set)
  local weight = 0
  for index, to in ipairs(nodes) do
    if set >> (index - 1) & 1 == 1 then weight = weight + ((arrows[from] or {})[to] or 0) end
  end
  return weight
end

local ORDER_MOST = 14 -- nodes: each doubles the work

--- The order of the nodes, from the top, with the least weight of upward arrows; nil for too many
-- nodes.
function graph.best_order(arrows, nodes)
  if #nodes > ORDER_MOST then return nil end
  local least, last = { [0] = 0 }, {}
  for set = 1, (1 << #nodes) - 1 do
    for index, node in ipairs(nodes) do
      local others = set & ~(1 << (index - 1))
      local weight = others ~= set and least[others] + weight_into(arrows, nodes, node, others)
      if weight and (not least[set] or weight < least[set]) then least[set], last[set] = weight, index end
    end
  end
  local order, set = {}, (1 << #nodes) - 1
  while set ~= 0 do
    table.insert(order, 1, nodes[last[set]])
    set = set & ~(1 << (last[set] - 1))
  end
  return order
end

return graph
