-- Sets -----------------------------------------------------------------------------

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

command('SMISMEMBER', 3, false, function(tx, a)
  local state, list, found = open_as(tx, a[2], 'set'), {}, 0
  for i = 3, #a do
    local there = member(state, a[i]) and 1 or 0
    list[i - 2], found = integer(there), found + there
  end
  return {'a', list}, found
end)

command('SMOVE', 4, 4, function(tx, a)
  local from, to = open(tx, a[2]), open(tx, a[3])
  if from.type == 'none' then return integer(0), 0 end
  open_as(tx, a[2], 'set')
  open_as(tx, a[3], 'set')
  if not member(from, a[4]) then return integer(0), 0 end
  if from ~= to then
    drop(from, a[4])
    become(to, 'set')
    put(to, a[4], '')
  end
  return integer(1), 1
end)

-- From the second word, or the third, to the last.
local function all_keys(a) return 2, #a end
local function target_then_keys(a) return 2, 3, #a end
reads_many('SINTER', 2, false, 'set', all_keys, true)
reads_many('SUNION', 2, false, 'set', all_keys, true)
reads_many('SDIFF', 2, false, 'set', all_keys, true)
stores('SINTERSTORE', 3, false, 'set', target_then_keys)
stores('SUNIONSTORE', 3, false, 'set', target_then_keys)
stores('SDIFFSTORE', 3, false, 'set', target_then_keys)
