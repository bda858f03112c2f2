-- Keys of any type ------------------------------------------------------------------

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

-- A moment at which a key expires, and one that has passed already, which deletes.
local function expires(name, unit)
  command(name, 3, 5, function(tx, a)
    local state, at, only = open(tx, a[2]), moment(tx, unit, a[3]), {}
    for i = 4, #a do
      local option = string.upper(a[i])
      if option ~= 'NX' and option ~= 'XX' and option ~= 'GT' and option ~= 'LT' then
        refuse('Unsupported option ' .. a[i])
      end
      only[option] = true
    end
    if (only.NX and (only.XX or only.GT or only.LT)) or (only.GT and only.LT) then
      refuse('NX and XX, GT or LT options at the same time are not compatible')
    end
    if state.type == 'none' then return integer(0), 0 end
    local now = expiry(state)
    if (only.NX and now) or (only.XX and not now) or (only.GT and (not now or at <= now)) or
        (only.LT and now and at >= now) then
      return integer(0), 0
    end
    expire_at(tx, state, at)
    return integer(1), 1
  end)
end
expires('EXPIRE', 'EX')
expires('PEXPIRE', 'PX')
expires('EXPIREAT', 'EXAT')
expires('PEXPIREAT', 'PXAT')

command('PERSIST', 2, 2, function(tx, a)
  local state = open(tx, a[2])
  if state.type == 'none' or not expiry(state) then return integer(0), 0 end
  expire_at(tx, state, false)
  return integer(1), 1
end)

local function tells_expiry(name, unit)
  command(name, 2, 2, function(tx, a)
    local state = open(tx, a[2])
    if state.type == 'none' then return integer(-2), 0 end
    local at = expiry(state)
    if not at then return integer(-1), 1 end
    return integer(math.floor((at + unit / 2) / unit)), 1
  end)
end
tells_expiry('EXPIRETIME', 1000)
tells_expiry('PEXPIRETIME', 1)
