-- Lists ------------------------------------------------------------------------------

local function pushes(name, side, must_exist)
  command(name, 3, false, function(tx, a)
    local state = open_as(tx, a[2], 'list')
    if must_exist and state.type == 'none' then return integer(0), 0 end
    become(state, 'list')
    for i = 3, #a do table.insert(state[side], a[i]) end
    state.count = state.count + #a - 2
    return integer(state.count), #a - 2
  end)
end
pushes('LPUSH', 'head', false)
pushes('RPUSH', 'tail', false)
pushes('LPUSHX', 'head', true)
pushes('RPUSHX', 'tail', true)

-- All of it, for the commands that change its middle.
local function elements(state)
  if (state.count or 0) > MOST_COPIED then
    refuse('the list has more than ' .. MOST_COPIED .. ' elements')
  end
  local all = {}
  for i = #state.head, 1, -1 do all[#all + 1] = state.head[i] end
  if not state.cleared and state.base == 'list' then
    local rest = redis.call('LRANGE', state.key, state.popped.head, -1 - state.popped.tail)
    for _, value in ipairs(rest) do all[#all + 1] = value end
  end
  for _, value in ipairs(state.tail) do all[#all + 1] = value end
  return all
end

reads('LRANGE', 4, 4, 'list', FOUND)
reads('LINDEX', 3, 3, 'list', FOUND)
reads('LPOS', 3, false, 'list', FOUND)

-- Up to `count` elements of one end, which go, in the order in which they go: those that the
-- branch pushed there, those that Redis holds, those that it pushed at the other end. Takes
-- time for each of them once, whatever their number.
local function pop_many(state, side, count)
  local list = {}
  if state.type == 'none' then return list end
  count = math.min(count, state.count)
  if count < 1 then return list end
  touch(state)
  local other = side == 'head' and 'tail' or 'head'
  local held = state.count - #state.head - #state.tail
  while #list < count and #state[side] > 0 do list[#list + 1] = table.remove(state[side]) end
  local taken = math.min(count - #list, held)
  if taken > 0 then
    local at = state.popped[side]
    local values = side == 'head' and redis.call('LRANGE', state.key, at, at + taken - 1) or
      redis.call('LRANGE', state.key, -at - taken, -at - 1)
    for i = 1, taken do list[#list + 1] = values[side == 'head' and i or taken + 1 - i] end
    state.popped[side] = at + taken
  end
  local left = count - #list
  if left > 0 then
    local rest = {}
    for i, value in ipairs(state[other]) do
      if i <= left then list[#list + 1] = value else rest[#rest + 1] = value end
    end
    state[other] = rest
  end
  state.count = state.count - count
  if state.count == 0 then clear(state) end
  return list
end

-- The element at one end, which goes; nil when there is none.
local function pop(state, side)
  return pop_many(state, side, 1)[1]
end

local function push(state, side, value)
  become(state, 'list')
  table.insert(state[side], value)
  state.count = state.count + 1
end

local function pops(name, side)
  command(name, 2, 3, function(tx, a)
    local state = open_as(tx, a[2], 'list')
    if not a[3] then
      local value = pop(state, side)
      return bulk(value), value and 1 or 0
    end
    if not is_int64(a[3]) or tonumber(a[3]) < 0 then
      refuse('value is out of range, must be positive')
    end
    if state.type == 'none' then return {'n'}, 0 end
    local count = math.min(tonumber(a[3]), state.count)
    if count > MOST_COPIED then
      refuse(name .. ' takes at most ' .. MOST_COPIED .. ' elements at once, and this would be ' ..
             string.format('%d', count) .. '; take them in several transactions')
    end
    local list = pop_many(state, side, count)
    for i, value in ipairs(list) do list[i] = bulk(value) end
    return {'a', list}, #list
  end)
end
pops('LPOP', 'head')
pops('RPOP', 'tail')

local SIDES = {LEFT = 'head', RIGHT = 'tail'}
local function move(tx, from, to, from_side, to_side)
  local source = open_as(tx, from, 'list')
  open(tx, to)
  if source.type == 'none' then return {'n'}, 0 end
  local target = open_as(tx, to, 'list')
  if source == target and source.count == 1 then
    return bulk(elements(source)[1]), 1
  end
  local value = pop(source, from_side)
  push(target, to_side, value)
  return bulk(value), 1
end

command('RPOPLPUSH', 3, 3, function(tx, a) return move(tx, a[2], a[3], 'tail', 'head') end)
command('LMOVE', 5, 5, function(tx, a)
  local from, to = SIDES[string.upper(a[4])], SIDES[string.upper(a[5])]
  if not from or not to then refuse('syntax error') end
  return move(tx, a[2], a[3], from, to)
end)

-- Redis changes a copy, whose elements become all of the list.
local function changes_list(name, least)
  command(name, least, least, function(tx, a)
    local state = open_as(tx, a[2], 'list')
    local reply = on_copies(tx, a, 'list', 2, 2, 2, function(copy)
      local before, all = elements(state), redis.call('LRANGE', copy, 0, -1)
      local same = #before == #all
      for i = 1, same and #all or 0 do same = same and before[i] == all[i] end
      if same then return end
      local at = expiry(state)
      clear(state)
      for _, value in ipairs(all) do push(state, 'tail', value) end
      if #all > 0 then state.expire = at end
    end)
    local answer = tagged(reply)
    local number = answer[1] == 'i' and tonumber(answer[2]) or 1
    return answer, name == 'LREM' and number or number > 0 and 1 or 0
  end)
end
changes_list('LSET', 4)
changes_list('LREM', 4)
changes_list('LTRIM', 4)
changes_list('LINSERT', 5)
