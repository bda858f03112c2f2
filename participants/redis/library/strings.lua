-- Strings ------------------------------------------------------------------------

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

local EXPIRY_OPTIONS = {EX = true, PX = true, EXAT = true, PXAT = true}

-- {expire_at | false, NX = .., XX = .., GET = .., KEEPTTL = ..} of SET's options.
local function set_options(tx, a)
  local options, i = {expire = false}, 4
  while i <= #a do
    local option = string.upper(a[i])
    if EXPIRY_OPTIONS[option] and not options.expire and not options.KEEPTTL and a[i + 1] then
      options.expire = moment(tx, option, a[i + 1])
      if options.expire <= 0 then refuse('invalid expire time in SET') end
      i = i + 1
    elseif option == 'KEEPTTL' and not options.expire or option == 'GET' or
        option == 'NX' and not options.XX or option == 'XX' and not options.NX then
      options[option] = true
    else
      refuse('syntax error')
    end
    i = i + 1
  end
  return options
end

command('SET', 3, false, function(tx, a)
  local state, options = open(tx, a[2]), set_options(tx, a)
  local old
  if options.GET then old = open_as(tx, a[2], 'string').value end
  local exists = state.type ~= 'none'
  local skip = (options.NX and exists) or (options.XX and not exists)
  if not skip then
    -- Over another type too: what replaces the value takes its moment away.
    local kept = options.KEEPTTL and expiry(state)
    set_string(state, a[3])
    state.expire = options.KEEPTTL and kept or options.expire
    if options.expire and options.expire <= tx_now(tx) then clear(state) end
  end
  if options.GET then return bulk(old), skip and 0 or 1 end
  if skip then return {'n'}, 0 end
  return OK, 1
end)

local function set_until(name, unit)
  command(name, 4, 4, function(tx, a)
    local state, at = open(tx, a[2]), moment(tx, unit, a[3])
    if at <= tx_now(tx) then refuse('invalid expire time in ' .. name) end
    replace_string(state, a[4])
    state.expire = at
    return OK, 1
  end)
end
set_until('SETEX', 'EX')
set_until('PSETEX', 'PX')

command('GETEX', 2, 4, function(tx, a)
  local state, option = open_as(tx, a[2], 'string'), a[3] and string.upper(a[3])
  local value = state.value
  if option == 'PERSIST' and #a == 3 then
    if value then expire_at(tx, state, false) end
  elseif EXPIRY_OPTIONS[option] and #a == 4 then
    local at = moment(tx, option, a[4])
    if at <= 0 then refuse('invalid expire time in GETEX') end
    if value then expire_at(tx, state, at) end
  elseif option then
    refuse('syntax error')
  end
  return bulk(value), value and 1 or 0
end)

command('SETNX', 3, 3, function(tx, a)
  local state = open(tx, a[2])
  if state.type ~= 'none' then return integer(0), 0 end
  replace_string(state, a[3])
  return integer(1), 1
end)

local function set_all(tx, a)
  for i = 2, #a, 2 do replace_string(open(tx, a[i]), a[i + 1]) end
end

command('MSET', 3, false, function(tx, a)
  if #a % 2 == 0 then refuse('wrong number of arguments') end
  set_all(tx, a)
  return OK, (#a - 1) / 2
end)

command('MSETNX', 3, false, function(tx, a)
  if #a % 2 == 0 then refuse('wrong number of arguments') end
  for i = 2, #a, 2 do
    if open(tx, a[i]).type ~= 'none' then return integer(0), 0 end
  end
  set_all(tx, a)
  return integer(1), (#a - 1) / 2
end)

command('GETSET', 3, 3, function(tx, a)
  local state = open_as(tx, a[2], 'string')
  local old = state.value
  replace_string(state, a[3])
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

-- Redis itself does these on a copy of the value (scratch.lua).
changes_string('SETRANGE', 4, 4)
changes_string('INCRBYFLOAT', 3, 3)
reads('GETRANGE', 4, 4, 'string', FOUND)
reads('SUBSTR', 4, 4, 'string', FOUND)

-- Bitmaps and HyperLogLogs are strings too.
changes_string('SETBIT', 4, 4)
changes_string('BITFIELD', 2, false)
changes_string('PFADD', 2, false)
reads('GETBIT', 3, 3, 'string', FOUND)
reads('BITCOUNT', 2, 5, 'string', COUNTED)
reads('BITPOS', 3, 6, 'string', FOUND)
reads('BITFIELD_RO', 2, false, 'string', FOUND)
stores('BITOP', 4, false, 'string', function(a) return 3, 4, #a end)
stores('PFMERGE', 2, false, 'string', function(a) return 2, 2, #a end)
reads_many('PFCOUNT', 2, false, 'string', function(a) return 2, #a end)
