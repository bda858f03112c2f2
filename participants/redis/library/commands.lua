-- Commands ------------------------------------------------------------------------
-- name -> {least arguments, most arguments (false: any), function(tx, argv)}.
-- The function returns the reply and the rows: how many things (keys, fields,
-- members, elements) it changed, or found when it only reads.

local commands = {}

local function command(name, least, most, run)
  commands[name] = {least, most, run}
end

command('GET', 2, 2, function(tx, a)
  local value = open_as(tx, a[2], 'string').value
  return bulk(value), value and 1 or 0
end)

command('STRLEN', 2, 2, function(tx, a)
  local value = open_as(tx, a[2], 'string').value
  return integer(value and #value or 0), value and 1 or 0
end)

command('MGET', 2, false, function(tx, a)
  local list, found = {}, 0
  for i = 2, #a do
    local state = open(tx, a[i])
    local value = state.type == 'string' and state.value or nil
    if value then found = found + 1 end
    list[i - 1] = bulk(value)
  end
  return {'a', list}, found
end)

command('SET', 3, false, function(tx, a)
  local state = open(tx, a[2])
  local want_old, only_if = false, nil
  for i = 4, #a do
    local option = string.upper(a[i])
    if option == 'GET' then want_old = true
    elseif (option == 'NX' or option == 'XX') and not only_if then only_if = option
    elseif option == 'EX' or option == 'PX' or option == 'EXAT' or option == 'PXAT' or
        option == 'KEEPTTL' then
      refuse('SET ' .. option .. ': keys with a TTL cannot take part')
    else refuse('syntax error') end
  end
  local old
  if want_old then old = open_as(tx, a[2], 'string').value end
  local exists = state.type ~= 'none'
  local skip = (only_if == 'NX' and exists) or (only_if == 'XX' and not exists)
  if not skip then set_string(state, a[3]) end
  if want_old then return bulk(old), skip and 0 or 1 end
  if skip then return {'n'}, 0 end
  return OK, 1
end)

command('SETNX', 3, 3, function(tx, a)
  local state = open(tx, a[2])
  if state.type ~= 'none' then return integer(0), 0 end
  set_string(state, a[3])
  return integer(1), 1
end)

command('MSET', 3, false, function(tx, a)
  if #a % 2 == 0 then refuse('wrong number of arguments') end
  for i = 2, #a, 2 do set_string(open(tx, a[i]), a[i + 1]) end
  return OK, (#a - 1) / 2
end)

command('GETSET', 3, 3, function(tx, a)
  local state = open_as(tx, a[2], 'string')
  local old = state.value
  set_string(state, a[3])
  return bulk(old), 1
end)

command('GETDEL', 2, 2, function(tx, a)
  local state = open_as(tx, a[2], 'string')
  local old = state.value
  if old then clear(state) end
  return bulk(old), old and 1 or 0
end)

command('APPEND', 3, 3, function(tx, a)
  local state = open_as(tx, a[2], 'string')
  set_string(state, (state.value or '') .. a[3])
  return integer(#state.value), 1
end)

local function increment(tx, key, by)
  local state = open_as(tx, key, 'string')
  set_string(state, sum_or_refuse(state.value or '0', by))
  return integer(state.value), 1
end

command('INCR', 2, 2, function(tx, a) return increment(tx, a[2], '1') end)
command('DECR', 2, 2, function(tx, a) return increment(tx, a[2], '-1') end)
command('INCRBY', 3, 3, function(tx, a) return increment(tx, a[2], a[3]) end)
command('DECRBY', 3, 3, function(tx, a) return increment(tx, a[2], negated(a[3])) end)

command('TYPE', 2, 2, function(tx, a)
  local kind = open(tx, a[2]).type
  return {'o', kind}, kind == 'none' and 0 or 1
end)

command('EXISTS', 2, false, function(tx, a)
  local found = 0
  for i = 2, #a do
    if open(tx, a[i]).type ~= 'none' then found = found + 1 end
  end
  return integer(found), found
end)

local function delete(tx, a)
  local dropped = 0
  for i = 2, #a do
    local state = open(tx, a[i])
    if state.type ~= 'none' then
      clear(state)
      dropped = dropped + 1
    end
  end
  return integer(dropped), dropped
end
command('DEL', 2, false, delete)
command('UNLINK', 2, false, delete)

command('HGET', 3, 3, function(tx, a)
  local value = member(open_as(tx, a[2], 'hash'), a[3])
  return bulk(value), value and 1 or 0
end)

command('HMGET', 3, false, function(tx, a)
  local state, list, found = open_as(tx, a[2], 'hash'), {}, 0
  for i = 3, #a do
    local value = member(state, a[i])
    if value then found = found + 1 end
    list[i - 2] = bulk(value)
  end
  return {'a', list}, found
end)

command('HGETALL', 2, 2, function(tx, a)
  local names, values = members(open_as(tx, a[2], 'hash'))
  local list = {}
  for _, name in ipairs(names) do
    list[#list + 1] = bulk(name)
    list[#list + 1] = bulk(values[name])
  end
  return {'a', list}, #names
end)

command('HEXISTS', 3, 3, function(tx, a)
  local found = member(open_as(tx, a[2], 'hash'), a[3]) and 1 or 0
  return integer(found), found
end)

local function hash_set(tx, a)
  if #a % 2 == 1 then refuse('wrong number of arguments') end
  local state, added = open_as(tx, a[2], 'hash'), 0
  become(state, 'hash')
  for i = 3, #a, 2 do
    if put(state, a[i], a[i + 1]) then added = added + 1 end
  end
  return added, (#a - 2) / 2
end

command('HSET', 4, false, function(tx, a)
  local added, written = hash_set(tx, a)
  return integer(added), written
end)

command('HMSET', 4, false, function(tx, a)
  local _, written = hash_set(tx, a)
  return OK, written
end)

command('HSETNX', 4, 4, function(tx, a)
  local state = open_as(tx, a[2], 'hash')
  if member(state, a[3]) then return integer(0), 0 end
  become(state, 'hash')
  put(state, a[3], a[4])
  return integer(1), 1
end)

command('HINCRBY', 4, 4, function(tx, a)
  local state = open_as(tx, a[2], 'hash')
  local sum = sum_or_refuse(member(state, a[3]) or '0', a[4])
  become(state, 'hash')
  put(state, a[3], sum)
  return integer(sum), 1
end)

-- Commands that remove members, count them, or add to a set: one shape each.
local function removes(name, kind)
  command(name, 3, false, function(tx, a)
    local state, dropped = open_as(tx, a[2], kind), 0
    for i = 3, #a do
      if drop(state, a[i]) then dropped = dropped + 1 end
    end
    return integer(dropped), dropped
  end)
end
removes('HDEL', 'hash')
removes('SREM', 'set')
removes('ZREM', 'zset')

local function counts(name, kind)
  command(name, 2, 2, function(tx, a)
    local state = open_as(tx, a[2], kind)
    local count = state.type == 'none' and 0 or state.count
    return integer(count), count
  end)
end
counts('HLEN', 'hash')
counts('SCARD', 'set')
counts('ZCARD', 'zset')
counts('LLEN', 'list')

command('SADD', 3, false, function(tx, a)
  local state, added = open_as(tx, a[2], 'set'), 0
  become(state, 'set')
  for i = 3, #a do
    if put(state, a[i], '') then added = added + 1 end
  end
  return integer(added), added
end)

command('SISMEMBER', 3, 3, function(tx, a)
  local found = member(open_as(tx, a[2], 'set'), a[3]) and 1 or 0
  return integer(found), found
end)

command('SMEMBERS', 2, 2, function(tx, a)
  local names = members(open_as(tx, a[2], 'set'))
  local list = {}
  for i, name in ipairs(names) do list[i] = bulk(name) end
  return {'a', list}, #names
end)

-- Whether ZADD with these options moves a member from `old` (nil: new) to `new`.
local function score_moves(options, old, new)
  if not old then return not options.XX end
  if options.NX or old == new then return false end
  if options.GT and new <= old then return false end
  if options.LT and new >= old then return false end
  return true
end

command('ZADD', 4, false, function(tx, a)
  local options, first = {}, 3
  while true do
    local option = string.upper(a[first] or '')
    if option == 'INCR' then refuse('ZADD INCR is not supported; use ZINCRBY') end
    if option ~= 'NX' and option ~= 'XX' and option ~= 'GT' and option ~= 'LT' and
        option ~= 'CH' then break end
    options[option] = true
    first = first + 1
  end
  if (options.NX and (options.XX or options.GT or options.LT)) or
      (options.GT and options.LT) or first > #a or (#a - first) % 2 == 0 then
    refuse('syntax error')
  end
  local state, added, changed = open_as(tx, a[2], 'zset'), 0, 0
  for i = first, #a, 2 do
    local new, old = score_of(a[i]), member(state, a[i + 1])
    old = old and tonumber(old) or nil
    if score_moves(options, old, new) then
      become(state, 'zset')
      put(state, a[i + 1], score_text(new))
      changed = changed + 1
      if not old then added = added + 1 end
    end
  end
  return integer(options.CH and changed or added), changed
end)

command('ZINCRBY', 4, 4, function(tx, a)
  local state = open_as(tx, a[2], 'zset')
  local sum = tonumber(member(state, a[4]) or '0') + score_of(a[3])
  if sum ~= sum then refuse('resulting score is not a number (NaN)') end
  become(state, 'zset')
  put(state, a[4], score_text(sum))
  return bulk(score_text(sum)), 1
end)

command('ZSCORE', 3, 3, function(tx, a)
  local score = member(open_as(tx, a[2], 'zset'), a[3])
  return bulk(score), score and 1 or 0
end)

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

command('LRANGE', 4, 4, function(tx, a)
  local state = open_as(tx, a[2], 'list')
  local from, to = tonumber(a[3]), tonumber(a[4])
  if not from or not to or not is_int64(a[3]) or not is_int64(a[4]) then
    refuse('value is not an integer or out of range')
  end
  local all = {}
  for i = #state.head, 1, -1 do all[#all + 1] = state.head[i] end
  if not state.cleared and state.base == 'list' then
    for _, value in ipairs(redis.call('LRANGE', state.key, 0, -1)) do all[#all + 1] = value end
  end
  for _, value in ipairs(state.tail) do all[#all + 1] = value end
  if from < 0 then from = math.max(#all + from, 0) end
  if to < 0 then to = #all + to end
  local list = {}
  for i = from + 1, math.min(to + 1, #all) do list[#list + 1] = bulk(all[i]) end
  return {'a', list}, #list
end)

local function why_unsupported(name)
  local whys = {
    FLUSHALL = 'it would erase prepared branches', FLUSHDB = 'it would erase prepared branches',
    INCRBYFLOAT = 'its result depends on the build of the server',
    HINCRBYFLOAT = 'its result depends on the build of the server',
    SPOP = 'its result is random', SRANDMEMBER = 'its result is random',
    RANDOMKEY = 'its result is random', TIME = 'its result depends on the clock',
    MULTI = 'the branch is atomic already', EXEC = 'the branch is atomic already',
    PUBLISH = 'a message cannot be taken back', SUBSCRIBE = 'a subscription has no end',
  }
  if whys[name] then return whys[name] end
  if string.find(name, 'EXPIRE') or string.find(name, 'SETEX') or name == 'GETEX' or
      name == 'PERSIST' then
    return 'keys with a TTL cannot take part'
  end
  if string.find(name, '^B[LRZ]') then return 'it blocks' end
  return "docs/redis.md lists what is"
end
