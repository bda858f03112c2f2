-- Commands ------------------------------------------------------------------------
-- name -> {least arguments, most arguments (false: any), function(tx, argv)}.
-- The function returns the reply and the rows: how many things (keys, fields,
-- members, elements) it changed, or found when it only reads.

local commands = {}

local function command(name, least, most, run)
  commands[name] = {least, most, run}
end

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
