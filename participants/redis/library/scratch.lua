-- Commands that Redis itself does, on a copy ----------------------------------------
-- A key that the branch has not changed is read where it stands. For all else the
-- staged value goes to a key of indoubt's own, which is gone again before the function
-- ends: so bits, HyperLogLogs, floats and places are what Redis makes of them.

local SCRATCH = 'indoubt:scratch:'
-- A function holds all of Redis up while it runs.
local MOST_COPIED = 100000
-- What rows says of a reply: 1 when there is one, or the number that it is.
local FOUND, COUNTED = 'found', 'counted'

-- As the adapter's replies, with their rows.
local function tagged(reply, rows)
  if reply == false then return {'n'}, 0 end
  if type(reply) == 'number' then
    if reply >= 2 ^ 53 or reply <= -2 ^ 53 then
      refuse('the result has more than 53 bits, which a function cannot pass on')
    end
    return integer(reply), rows == COUNTED and reply or 1
  end
  if type(reply) == 'string' then return bulk(reply), 1 end
  if reply.ok then return {'o', reply.ok}, 1 end
  local list = {}
  for i = 1, #reply do list[i] = tagged(reply[i]) end
  return {'a', list}, #list
end

local function checked(reply)
  if type(reply) == 'table' and reply.err then
    refuse((string.gsub(reply.err, '^ERR ', '')))
  end
  return reply
end

local function call_in_chunks(name, key, values)
  for first = 1, #values, CHUNK do
    redis.call(name, key, unpack(values, first, math.min(first + CHUNK - 1, #values)))
  end
end

local ADD_COMMAND = {hash = 'HSET', set = 'SADD', zset = 'ZADD'}
local REMOVE_COMMAND = {hash = 'HDEL', set = 'SREM', zset = 'ZREM'}

-- Members and their values as the command that adds them wants them.
local function add_members(kind, key, pairs_)
  local values = pairs_
  if kind ~= 'hash' then
    values = {}
    for i = 1, #pairs_, 2 do
      if kind == 'zset' then values[#values + 1] = pairs_[i + 1] end
      values[#values + 1] = pairs_[i]
    end
  end
  call_in_chunks(ADD_COMMAND[kind], key, values)
end

-- Makes `to` hold what the branch has staged.
local function copy_staged(state, to)
  if state.type == 'none' then return end
  if state.type == 'string' then return redis.call('SET', to, state.value) end
  if (state.count or 0) > MOST_COPIED then
    refuse('the key has more than ' .. MOST_COPIED .. ' elements; ' ..
           'run the command before the branch changes the key')
  end
  if not state.cleared and state.base == state.type then
    redis.call('COPY', state.key, to, 'REPLACE')
  end
  if state.type == 'list' then
    redis.call('LTRIM', to, state.popped.head, -1 - state.popped.tail)
    call_in_chunks('LPUSH', to, state.head)
    return call_in_chunks('RPUSH', to, state.tail)
  end
  local puts, dels = {}, {}
  for name, value in pairs(state.overlay) do
    if value then
      puts[#puts + 1] = name
      puts[#puts + 1] = value
    else
      dels[#dels + 1] = name
    end
  end
  add_members(state.type, to, puts)
  call_in_chunks(REMOVE_COMMAND[state.type], to, dels)
end

-- Runs argv with the keys at first..last (and `target`, when given) replaced by
-- copies; `harvest` reads the copy of the target before all go.
local function on_copies(tx, argv, kind, first, last, target, harvest)
  local call, copies = {}, {}
  for i = 1, #argv do call[i] = argv[i] end
  local ok, reply = pcall(function()
    for i = first, last do
      call[i] = SCRATCH .. i
      copies[#copies + 1] = call[i]
      local state = open(tx, argv[i])
      -- Redis takes a set for a sorted set whose scores are 1.
      if kind ~= 'zset or set' or state.type ~= 'set' then
        state = open_as(tx, argv[i], kind == 'zset or set' and 'zset' or kind)
      end
      copy_staged(state, call[i])
    end
    if target and (target < first or target > last) then
      call[target] = SCRATCH .. target
      copies[#copies + 1] = call[target]
    end
    local answer = checked(redis.pcall(unpack(call)))
    if harvest then harvest(call[target]) end
    return answer
  end)
  if #copies > 0 then redis.call('DEL', unpack(copies)) end
  if not ok then error(reply) end
  return reply
end

-- One key, read.
local function read_by_redis(tx, a, kind)
  local state = open_as(tx, a[2], kind)
  if not state.dirty then return checked(redis.pcall(unpack(a))) end
  return on_copies(tx, a, kind, 2, 2)
end

local function reads(name, least, most, kind, rows)
  command(name, least, most, function(tx, a)
    return tagged(read_by_redis(tx, a, kind), rows)
  end)
end

-- Several keys, read: where(a) gives the first's and the last's place.
local function reads_many(name, least, most, kind, where, sorted)
  command(name, least, most, function(tx, a)
    local first, last = where(a)
    local reply = on_copies(tx, a, kind, first, last)
    if sorted and type(reply) == 'table' then table.sort(reply) end
    return tagged(reply, COUNTED)
  end)
end

-- One string, changed in place: its expiry stays.
local function changes_string(name, least, most)
  command(name, least, most, function(tx, a)
    local state = open_as(tx, a[2], 'string')
    local reply = on_copies(tx, a, 'string', 2, 2, 2, function(copy)
      local value = redis.call('GET', copy)
      if value and value ~= state.value then set_string(state, value) end
    end)
    return tagged(reply)
  end)
end

-- Makes the staged key what stands at `copy`.
local function load_from(state, copy)
  local kind = redis.call('TYPE', copy).ok
  clear(state)
  if kind == 'none' then return end
  if kind == 'string' then return set_string(state, redis.call('GET', copy)) end
  become(state, kind)
  for _, name in ipairs(kind == 'set' and redis.call('SMEMBERS', copy) or {}) do
    put(state, name, '')
  end
  local scores = kind == 'zset' and redis.call('ZRANGE', copy, 0, -1, 'WITHSCORES') or {}
  for i = 1, #scores, 2 do put(state, scores[i], scores[i + 1]) end
end

-- A target made from several keys: where(a) gives the target's place, the first
-- source's and the last's.
local function stores(name, least, most, kind, where)
  command(name, least, most, function(tx, a)
    local target, first, last = where(a)
    local state = open(tx, a[target])
    if target >= first then open_as(tx, a[target], kind) end
    local reply = on_copies(tx, a, kind, first, last, target, function(copy)
      local at = target >= first and expiry(state)
      load_from(state, copy)
      if at and state.type ~= 'none' then state.expire = at end
    end)
    local answer = tagged(reply)
    return answer, 1
  end)
end
