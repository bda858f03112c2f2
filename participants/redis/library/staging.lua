-- Replies: {'i', text} integer, {'s', bytes}, {'o', status}, {'n'} nil,
-- {'a', list}. Integers travel as text, because a Lua number would lose digits.

local function integer(number)
  return {'i', type(number) == 'string' and number or string.format('%d', number)}
end

local function bulk(value)
  if value then return {'s', value} end
  return {'n'}
end

local OK = {'o', 'OK'}

-- Staged keys -------------------------------------------------------------------
-- A state is what a key will be: its type, and on top of what Redis holds (unless
-- `cleared`) a string value, an overlay of members (value, or false for removed;
-- hash fields, set members, sorted set scores alike), or pushes to a list after
-- `popped` elements went from its ends. `expire` is when it will expire, in ms since
-- 1970, or false; `base_expire` when it does so far (both known from touch() on).

local COUNT_COMMAND = {hash = 'HLEN', set = 'SCARD', zset = 'ZCARD', list = 'LLEN'}

local function open(tx, key)
  local state = tx.keys[key]
  if state then return state end
  if string.sub(key, 1, #RESERVED) == RESERVED then
    refuse("keys that start with '" .. RESERVED .. "' are indoubt's own")
  end
  local holder = redis.call('HGET', LOCKS, key)
  if holder and holder ~= tx.branch then error({locked = key, holder = holder}) end
  local kind = redis.call('TYPE', key).ok
  if kind == 'stream' then refuse('the key holds a stream, which cannot take part') end
  state = {key = key, base = kind, type = kind, cleared = false, dirty = false,
           expire = false, base_expire = false,
           overlay = {}, head = {}, tail = {}, popped = {head = 0, tail = 0}}
  if kind == 'string' then
    state.before = redis.call('GET', key)
    state.value = state.before
  elseif COUNT_COMMAND[kind] then
    state.before = redis.call(COUNT_COMMAND[kind], key)
    state.count = state.before
  end
  tx.keys[key] = state
  tx.order[#tx.order + 1] = key
  return state
end

-- The state, of the wanted type or absent.
local function open_as(tx, key, kind)
  local state = open(tx, key)
  if state.type ~= kind and state.type ~= 'none' then
    refuse('WRONGTYPE the key holds a ' .. state.type .. ', not a ' .. kind)
  end
  return state
end

-- Every write passes here first.
local function touch(state)
  if state.dirty then return end
  state.dirty = true
  if state.base == 'none' then return end
  local at = redis.call('PEXPIRETIME', state.key)
  if at >= 0 then state.base_expire, state.expire = at, at end
end

local function clear(state)
  touch(state)
  state.type, state.cleared, state.value, state.count = 'none', true, nil, 0
  state.overlay, state.head, state.tail, state.expire = {}, {}, {}, false
  state.popped = {head = 0, tail = 0}
end

local function become(state, kind)
  touch(state)
  if state.type == 'none' then
    state.type = kind
    state.count = 0
  end
end

local function set_string(state, value)
  if #value > LONGEST_STRING then refuse('string exceeds the maximum of 512 MiB') end
  if state.type ~= 'string' then clear(state) end
  touch(state)
  state.type, state.value = 'string', value
end

-- As SET does: the new value does not expire.
local function replace_string(state, value)
  set_string(state, value)
  state.expire = false
end

-- What Redis holds for a member, without the overlay.
local function base_member(state, member)
  if state.base == 'hash' then return redis.call('HGET', state.key, member) end
  if state.base == 'zset' then return redis.call('ZSCORE', state.key, member) end
  if state.base == 'set' then
    return redis.call('SISMEMBER', state.key, member) == 1 and '' or false
  end
  return false
end

local function member(state, name)
  local staged = state.overlay[name]
  if staged ~= nil then return staged end
  if state.cleared or state.type == 'none' then return false end
  return base_member(state, name)
end

-- Returns whether the member is new.
local function put(state, name, value)
  local is_new = not member(state, name)
  if is_new then state.count = state.count + 1 end
  state.overlay[name] = value
  return is_new
end

-- Returns whether the member was there. The last one takes the key along.
local function drop(state, name)
  if not member(state, name) then return false end
  touch(state)
  state.overlay[name] = false
  state.count = state.count - 1
  if state.count == 0 then clear(state) end
  return true
end

-- All members as a sorted list of names, and a table of their values.
local function members(state)
  local values = {}
  if not state.cleared and state.base == 'hash' then
    local flat = redis.call('HGETALL', state.key)
    for i = 1, #flat, 2 do values[flat[i]] = flat[i + 1] end
  elseif not state.cleared and state.base == 'set' then
    for _, name in ipairs(redis.call('SMEMBERS', state.key)) do values[name] = '' end
  elseif not state.cleared and state.base == 'zset' then
    local flat = redis.call('ZRANGE', state.key, 0, -1, 'WITHSCORES')
    for i = 1, #flat, 2 do values[flat[i]] = flat[i + 1] end
  end
  for name, value in pairs(state.overlay) do values[name] = value or nil end
  local names = {}
  for name in pairs(values) do names[#names + 1] = name end
  table.sort(names)
  return names, values
end
