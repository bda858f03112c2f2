-- Hashes -----------------------------------------------------------------------------

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

-- The floating sum is Redis' own, made on a copy of the one field.
command('HINCRBYFLOAT', 4, 4, function(tx, a)
  local state, copy = open_as(tx, a[2], 'hash'), SCRATCH .. 'field'
  local old = member(state, a[3])
  if old then redis.call('HSET', copy, 'f', old) end
  local sum = redis.pcall('HINCRBYFLOAT', copy, 'f', a[4])
  redis.call('DEL', copy)
  checked(sum)
  become(state, 'hash')
  put(state, a[3], sum)
  return bulk(sum), 1
end)

-- Names, or their values, sorted by name.
local function lists_hash(name, of)
  command(name, 2, 2, function(tx, a)
    local names, values = members(open_as(tx, a[2], 'hash'))
    local list = {}
    for i, field in ipairs(names) do list[i] = bulk(of(field, values)) end
    return {'a', list}, #names
  end)
end
lists_hash('HKEYS', function(field) return field end)
lists_hash('HVALS', function(field, values) return values[field] end)

command('HSTRLEN', 3, 3, function(tx, a)
  local value = member(open_as(tx, a[2], 'hash'), a[3])
  return integer(value and #value or 0), value and 1 or 0
end)
