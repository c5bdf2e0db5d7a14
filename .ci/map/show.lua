--- Prints the map of a tree.

local check = require "map.check"
local graph = require "map.graph"

local show = {}

local LARGEST = 10 -- functions that are named

local function printf(...)
  print((string.format(...):gsub("%s+$", "")))
end

-- Rooms.

local function sizes_of(functions)
  table.sort(functions, function(a, b)
    if a.lines ~= b.lines then return a.lines < b.lines end
    if a.file ~= b.file then return a.file.path > b.file.path end
    return a.line > b.line
  end)
  local function at(part)
    local index = math.max(1, math.ceil(#functions * part))
    return functions[index] and functions[index].lines or 0
  end
  return { count = #functions, median = at(0.5), ninetieth = at(0.9), largest = at(1) }
end

local function new_room()
  return { files = 0, lines = 0, functions = {}, inside = {}, leaving = {} }
end

local function add_to(room, file)
  room.files = room.files + 1
  room.lines = room.lines + file.lines
  for _, each in ipairs(file.functions) do
    room.functions[#room.functions + 1] = { name = each.name, line = each.line, lines = each.lines, file = file }
  end
end

local function rooms_of(tree)
  local rooms, all = {}, new_room()
  for _, file in ipairs(tree.files) do
    rooms[file.room] = rooms[file.room] or new_room()
    add_to(rooms[file.room], file)
    add_to(all, file)
  end
  for _, arrow in ipairs(tree.arrows) do
    local kind = arrow.from.room == arrow.to.room and "inside" or "leaving"
    graph.add(rooms[arrow.from.room][kind], arrow.from.noun, arrow.to.noun)
    graph.add(all[kind], arrow.from.noun, arrow.to.noun)
  end
  return rooms, all
end

local function count(arrows)
  local sum = 0
  for _, from in pairs(arrows) do
    for _ in pairs(from) do sum = sum + 1 end
  end
  return sum
end

local function print_room(name, room)
  local sizes = sizes_of(room.functions)
  printf("%-22s %5d %6d   %5d %6d %4d %4d   %6d %7d", name, room.files, room.lines, sizes.count, sizes.median,
    sizes.ninetieth, sizes.largest, count(room.inside), count(room.leaving))
end

local function print_rooms(tree)
  local rooms, all = rooms_of(tree)
  printf("%-22s %5s %6s   %5s %6s %4s %4s   %6s %7s", "room", "files", "lines", "funcs", "median", "90th", "most",
    "inside", "leaving")
  for _, name in ipairs(graph.sorted_keys(rooms)) do print_room(name, rooms[name]) end
  print_room("all", all)
  print "\nlargest functions"
  for index = #all.functions, math.max(1, #all.functions - LARGEST + 1), -1 do
    local each = all.functions[index]
    printf("  %3d  %s/%s:%d  %s", each.lines, tree.folder, each.file.path, each.line, each.name)
  end
end

-- Arrows.

local function print_room_arrows(tree)
  local arrows = check.room_arrows(tree)
  printf("\narrows between rooms: %d", count(arrows))
  for _, from in ipairs(graph.sorted_keys(arrows)) do
    local rooms = {}
    for _, to in ipairs(graph.sorted_keys(arrows[from])) do
      rooms[#rooms + 1] = ("%s (%d)"):format(to, arrows[from][to])
    end
    printf("  %-22s -> %s", from, table.concat(rooms, ", "))
  end
end

local function print_exceptions(rules)
  for _, each in ipairs(rules.upward) do printf("  listed: %s -> %s: %s", each.from, each.to, each.reason) end
end

local function print_upward(tree, rules)
  local upward = {}
  for _, arrow in ipairs(tree.arrows) do
    if check.is_upward(rules, arrow) then upward[#upward + 1] = arrow end
  end
  printf("\narrows upwards: %d", #upward)
  for _, arrow in ipairs(upward) do
    local exception = check.exception(rules, arrow)
    printf("  %s/%s:%d -> %s  %s of %s%s", tree.folder, arrow.from.path, arrow.line, arrow.to.path, arrow.kind,
      arrow.name, exception and "" or ", on no list")
  end
  print_exceptions(rules)
end

-- Circles.

local function print_room_circles(tree)
  local circles = graph.circles(check.room_arrows(tree))
  printf("\ncircles between rooms: %d", #circles)
  for _, circle in ipairs(circles) do printf("  %s", table.concat(circle, ", ")) end
end

local function base(noun)
  return noun:match "[^/]+$"
end

local function names_between(tree, from, to)
  local names = {}
  for _, arrow in ipairs(tree.arrows) do
    local counts = arrow.kind == "call" or arrow.kind == "require"
    if counts and arrow.from.noun == from and arrow.to.noun == to then names[arrow.name] = true end
  end
  return table.concat(graph.sorted_keys(names), " ")
end

local function print_against(tree, arrows, order)
  local names = {}
  for index, noun in ipairs(order) do names[index] = base(noun) end
  printf("    %s; against this order:", table.concat(names, " > "))
  for index, from in ipairs(order) do
    for above = 1, index - 1 do
      if (arrows[from] or {})[order[above]] then
        printf("      %s -> %s: %s", base(from), base(order[above]), names_between(tree, from, order[above]))
      end
    end
  end
end

local function print_noun_circles(tree, rules)
  local circles, arrows = check.noun_circles(tree)
  printf("\ncircles inside rooms: %d", #circles)
  for _, circle in ipairs(circles) do
    local entry = check.listed_circle(rules, circle)
    printf("  %s, %d nouns, %s", circle[1]:match "^(.+)/" or rules.folder, #circle,
      entry and "listed: " .. entry.reason or "on no list")
    print_against(tree, arrows, graph.best_order(arrows, circle) or circle)
  end
end

function show.map(tree, rules)
  printf("%s\n%s", tree.folder, ("="):rep(#tree.folder))
  print_rooms(tree)
  print_room_arrows(tree)
  print_upward(tree, rules)
  print_room_circles(tree)
  print_noun_circles(tree, rules)
  print()
end

return show
