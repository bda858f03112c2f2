#!lua name=indoubt
-- The transactions of indoubt inside Redis.
--
-- Redis runs a function alone and writes its effects to the AOF as one MULTI, but
-- a function that fails keeps what it wrote before. So each function here first
-- computes and checks everything, and only then writes.
--
--   prepare   evaluates the statements on staged values, takes the locks of all
--             keys they name, keeps the final writes as the branch's intent
--   commit    applies the intent, records the outcome, releases the locks; may be
--             entered again at any point; runs although memory is used up
--   rollback  drops intent and locks
--   run       evaluates and applies at once (a transaction of this store alone)
--   work      evaluates and writes nothing
--
-- Keys (participants/redis/redis_keys.h names them for other programs):
--   indoubt:prepared           hash, branch -> intent (MessagePack)
--   indoubt:locks              hash, key -> branch that holds it
--   indoubt:outcomes           hash, branch -> how it committed; until forgotten
--   indoubt:aborted:<branch>   a rollback met no intent; expires

local VERSION = '@VERSION@'  -- a digest of this text, from the build
local RESERVED = 'indoubt:'
local PREPARED = 'indoubt:prepared'
local LOCKS = 'indoubt:locks'
local OUTCOMES = 'indoubt:outcomes'
local ABORTED = 'indoubt:aborted:'
-- Longer than any request can hang in a socket; a later prepare is an orphan.
local ABORTED_SECONDS = '600'
local LONGEST_STRING = 512 * 1024 * 1024

local function refuse(reason)
  error({refused = reason})
end

-- Exact 64-bit integers, as decimal text --------------------------------------
-- Lua's numbers are doubles, exact to 2^53 only. A number is high * 10^9 + low,
-- both with the number's sign.

local BILLION = 1000000000
local HIGHEST = 9223372036  -- of INT64_MAX and INT64_MIN

local function split64(text)
  local negative = string.sub(text, 1, 1) == '-'
  local digits = negative and string.sub(text, 2) or text
  local high, low = 0, tonumber(string.sub(digits, -9))
  if #digits > 9 then high = tonumber(string.sub(digits, 1, -10)) end
  if negative then return -high, -low end
  return high, low
end

local function fits64(high, low)
  if high > HIGHEST or high < -HIGHEST then return false end
  if high == HIGHEST then return low <= 854775807 end
  if high == -HIGHEST then return low >= -854775808 end
  return true
end

-- Whether Redis itself would read `text` as an integer.
local function is_int64(text)
  if text ~= '0' and not string.find(text, '^%-?[1-9]%d*$') then return false end
  if #text > 20 then return false end
  return fits64(split64(text))
end

-- The sum as text, or nil when it overflows.
local function add64(a, b)
  local high_a, low_a = split64(a)
  local high_b, low_b = split64(b)
  local high, low = high_a + high_b, low_a + low_b
  if low >= BILLION then high, low = high + 1, low - BILLION end
  if low <= -BILLION then high, low = high - 1, low + BILLION end
  if high > 0 and low < 0 then high, low = high - 1, low + BILLION end
  if high < 0 and low > 0 then high, low = high + 1, low - BILLION end
  if not fits64(high, low) then return nil end
  if high == 0 then return string.format('%d', low) end
  return string.format('%d%09d', high, math.abs(low))
end

local function sum_or_refuse(current, increment)
  if not is_int64(current) then refuse('value is not an integer or out of range') end
  if not is_int64(increment) then refuse('increment is not an integer or out of range') end
  return add64(current, increment) or refuse('increment or decrement would overflow')
end

local function negated(text)
  if not is_int64(text) then refuse('decrement is not an integer or out of range') end
  if text == '-9223372036854775808' then refuse('decrement would overflow') end
  if text == '0' then return text end
  if string.sub(text, 1, 1) == '-' then return string.sub(text, 2) end
  return '-' .. text
end

-- Scores of sorted sets --------------------------------------------------------

-- The table `math` is not there while Redis loads a library.
local HUGE = 1 / 0
local INFINITE = {['inf'] = HUGE, ['infinity'] = HUGE}

local function score_of(text)
  local sign, rest = string.match(string.lower(text), '^([+-]?)(.*)$')
  local infinite = INFINITE[rest]
  if infinite then return sign == '-' and -infinite or infinite end
  local number = string.find(text, '^[+-]?[%d.]') and string.find(text, '^[%d.eE+-]+$')
    and tonumber(text)
  if not number or number == HUGE or number == -HUGE then
    refuse('score is not a valid float')
  end
  return number
end

local function score_text(score)
  if score == HUGE then return 'inf' end
  if score == -HUGE then return '-inf' end
  return string.format('%.17g', score)
end

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
-- hash fields, set members, sorted set scores alike), or pushes to a list.

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
  if kind == 'stream' then refuse('streams are not supported') end
  state = {key = key, base = kind, type = kind, cleared = false, dirty = false,
           overlay = {}, head = {}, tail = {}}
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

-- Every write passes here first. A key that can expire while it is locked would
-- break the promise of the vote.
local function touch(state)
  if not state.dirty and state.base ~= 'none' and redis.call('PTTL', state.key) >= 0 then
    refuse('the key expires; keys with a TTL cannot take part (PERSIST it first)')
  end
  state.dirty = true
end

local function clear(state)
  touch(state)
  state.type, state.cleared, state.value, state.count = 'none', true, nil, 0
  state.overlay, state.head, state.tail = {}, {}, {}
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
  end
  for name, value in pairs(state.overlay) do values[name] = value or nil end
  local names = {}
  for name in pairs(values) do names[#names + 1] = name end
  table.sort(names)
  return names, values
end

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

-- Evaluation ------------------------------------------------------------------------

-- Arguments: branch, seen, digest, count, then for each statement the rows it must
-- touch (or ''), its number of words, the words. `seen` statements have been
-- evaluated before (work); `digest` is of their results.
local function evaluate(args)
  local tx = {branch = args[1], keys = {}, order = {}, results = {}}
  local seen, count, at = tonumber(args[2]), tonumber(args[4]), 5
  for i = 1, count do
    local expected, words, argv = args[at], tonumber(args[at + 1]), {}
    for j = 1, words do argv[j] = args[at + 1 + j] end
    at = at + 2 + words
    local name = string.upper(argv[1])
    tx.where = 'statement ' .. i .. ' (' .. string.sub(name, 1, 32) .. ')'
    tx.key = argv[2]
    local known = commands[name]
    if not known then
      refuse('the command is not supported in a transaction: ' .. why_unsupported(name))
    end
    if words < known[1] or (known[2] and words > known[2]) then
      refuse('wrong number of arguments')
    end
    local reply, rows = known[3](tx, argv)
    if expected ~= '' and expected ~= string.format('%d', rows) then
      refuse('it touched ' .. rows .. ' rows, expected ' .. expected)
    end
    tx.results[i] = {rows, reply}
    if i == seen then tx.digest = redis.sha1hex(cmsgpack.pack(tx.results)) end
  end
  if seen > 0 and args[3] ~= '' and tx.digest ~= args[3] then
    tx.where, tx.key = 'the branch', nil
    refuse('what it had read was changed by another transaction meanwhile; try again')
  end
  return tx
end

-- evaluate() that returns nil and the answer to give when it did not go well.
local function try(args)
  local ok, tx = pcall(evaluate, args)
  if ok then return tx end
  if type(tx) == 'table' and tx.locked then return nil, {'locked', tx.locked, tx.holder} end
  if type(tx) == 'table' and tx.refused then return nil, {'no', tx.refused} end
  if type(tx) == 'table' then return nil, {'no', tx.err or 'unexpected error'} end
  return nil, {'no', tostring(tx)}
end

-- What stood there before, to tell at commit whether somebody changed it. Long
-- values are kept as a digest.
local function mark(value)
  if not value then return false end
  value = tostring(value)
  if #value <= 40 then return '=' .. value end
  return '#' .. redis.sha1hex(value)
end

-- Intents ---------------------------------------------------------------------------

-- The commands that take one key from what Redis holds to what it will be.
local function writes_of(state)
  local key, writes = state.key, {}
  if state.type == 'none' then return {{'DEL', key}} end
  if state.type == 'string' then return {{'SET', key, state.value}} end
  if state.cleared and state.base ~= 'none' then writes[1] = {'DEL', key} end
  if state.type == 'list' then
    for _, value in ipairs(state.head) do writes[#writes + 1] = {'LPUSH', key, value} end
    for _, value in ipairs(state.tail) do writes[#writes + 1] = {'RPUSH', key, value} end
    return writes
  end
  for name, value in pairs(state.overlay) do
    if state.type == 'hash' then
      writes[#writes + 1] = value and {'HSET', key, name, value} or {'HDEL', key, name}
    elseif state.type == 'set' then
      writes[#writes + 1] = value and {'SADD', key, name} or {'SREM', key, name}
    else
      writes[#writes + 1] = value and {'ZADD', key, value, name} or {'ZREM', key, name}
    end
  end
  return writes
end

local function is_dirty(tx)
  for _, key in ipairs(tx.order) do
    if tx.keys[key].dirty then return true end
  end
  return false
end

-- The writes, the keys locked, and for each changed key its type and mark of before.
local function intent_of(tx)
  local intent = {writes = {}, locks = tx.order, before = {}}
  for _, key in ipairs(tx.order) do
    local state = tx.keys[key]
    if state.dirty then
      intent.before[#intent.before + 1] = {key, state.base, mark(state.before)}
      for _, write in ipairs(writes_of(state)) do
        intent.writes[#intent.writes + 1] = write
      end
    end
  end
  return intent
end

-- Keys that are not as they were when the branch was prepared. Only a client that
-- does not respect the locks does that.
local function interfered(intent)
  local changed = {}
  for _, before in ipairs(intent.before) do
    local key, kind, was = before[1], before[2], before[3]
    local now = redis.call('TYPE', key).ok
    local value = false
    if now == 'string' then value = redis.call('GET', key)
    elseif COUNT_COMMAND[now] then value = redis.call(COUNT_COMMAND[now], key) end
    if now ~= kind or mark(value) ~= was then changed[#changed + 1] = key end
  end
  return changed
end

-- Applies all writes; one that no longer fits (its key was given another type by
-- somebody) is left out. Returns how many were.
local function apply(writes)
  local failed = 0
  for _, write in ipairs(writes) do
    local reply = redis.pcall(unpack(write))
    if type(reply) == 'table' and reply.err then failed = failed + 1 end
  end
  return failed
end

local function unlock(intent, branch)
  for _, key in ipairs(intent.locks) do
    if redis.call('HGET', LOCKS, key) == branch then redis.call('HDEL', LOCKS, key) end
  end
end

-- Functions --------------------------------------------------------------------------

-- {'yes' | 'read_only', results} | {'no', reason} | {'locked', key, holder}
local function prepare(_, args)
  local branch = args[1]
  if redis.call('HEXISTS', PREPARED, branch) == 1 then
    return {'no', 'the branch is prepared already'}
  end
  if redis.call('EXISTS', ABORTED .. branch) == 1 then
    return {'no', 'the branch was rolled back before its prepare arrived'}
  end
  local tx, answer = try(args)
  if not tx then return answer end
  if not is_dirty(tx) then return {'read_only', tx.results} end
  local intent = intent_of(tx)
  local packed = cmsgpack.pack(intent)
  -- From here on only writes that cannot fail.
  for _, key in ipairs(tx.order) do redis.call('HSET', LOCKS, key, branch) end
  redis.call('HSET', PREPARED, branch, packed)
  return {'yes', tx.results}
end

-- {'done'} | {'heuristic', reason}
local function commit(_, args)
  local branch = args[1]
  local packed = redis.call('HGET', PREPARED, branch)
  if not packed then
    local outcome = redis.call('HGET', OUTCOMES, branch)
    if outcome == 'committed' then return {'done'} end
    if outcome then return {'heuristic', outcome} end
    return {'heuristic', 'the prepared branch is gone: the data was lost (FLUSHALL, failover) ' ..
                         'or somebody rolled it back'}
  end
  local intent = cmsgpack.unpack(packed)
  local changed = interfered(intent)
  local failed = apply(intent.writes)
  local outcome = 'committed'
  if #changed > 0 or failed > 0 then
    outcome = 'a client that does not respect the locks changed ' ..
              table.concat(changed, ', ', 1, math.min(#changed, 5)) ..
              ' while the branch was in doubt; the commit was applied over it, ' .. failed ..
              ' writes no longer fitted'
  end
  redis.call('HSET', OUTCOMES, branch, outcome)
  redis.call('HDEL', PREPARED, branch)
  unlock(intent, branch)
  if outcome == 'committed' then return {'done'} end
  return {'heuristic', outcome}
end

-- {'done'} | {'heuristic', reason}
local function rollback(_, args)
  local branch = args[1]
  local packed = redis.call('HGET', PREPARED, branch)
  if packed then
    unlock(cmsgpack.unpack(packed), branch)
    redis.call('HDEL', PREPARED, branch)
    return {'done'}
  end
  if redis.call('HEXISTS', OUTCOMES, branch) == 1 then
    return {'heuristic', 'the branch was committed already'}
  end
  redis.call('SET', ABORTED .. branch, '', 'EX', ABORTED_SECONDS)
  return {'done'}
end

-- As prepare, but applied at once.
local function run(_, args)
  local tx, answer = try(args)
  if not tx then return answer end
  if is_dirty(tx) then apply(intent_of(tx).writes) end
  return {'yes', tx.results}
end

-- {'worked', results, digest} | {'no', reason} | {'locked', key, holder}
local function work(_, args)
  local tx, answer = try(args)
  if not tx then return answer end
  return {'worked', tx.results, redis.sha1hex(cmsgpack.pack(tx.results))}
end

local function forget(_, args)
  for _, branch in ipairs(args) do redis.call('HDEL', OUTCOMES, branch) end
  return 'OK'
end

redis.register_function('indoubt_prepare', prepare)
redis.register_function{function_name = 'indoubt_commit', callback = commit,
                        flags = {'allow-oom'}}
redis.register_function{function_name = 'indoubt_rollback', callback = rollback,
                        flags = {'allow-oom'}}
redis.register_function('indoubt_run', run)
redis.register_function{function_name = 'indoubt_work', callback = work, flags = {'no-writes'}}
redis.register_function{function_name = 'indoubt_forget', callback = forget,
                        flags = {'allow-oom'}}
redis.register_function{function_name = 'indoubt_list',
                        callback = function() return redis.call('HKEYS', PREPARED) end,
                        flags = {'no-writes'}}
redis.register_function{function_name = 'indoubt_version', callback = function() return VERSION end,
                        flags = {'no-writes'}}
