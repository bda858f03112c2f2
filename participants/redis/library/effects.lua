-- Effects ------------------------------------------------------------------------------
-- What a branch does to one key, in final values:
--   {key, base, before, op = 'set', value}
--   {key, base, before, op = 'del'}
--   {key, base, before, op = 'put', kind, cleared, puts = {m, v, ...}, dels, was}
--   {key, base, before, op = 'push', cleared, head, tail, popped, was}
-- base is the type before, before the string's mark or the number of members. All have
-- `expire` and `base_expire` (staging.lua) too.

-- Marks of the elements that go from both ends of a list.
local function ends(key, popped)
  local marks = {}
  local function take(from, to)
    for _, value in ipairs(redis.call('LRANGE', key, from, to)) do
      marks[#marks + 1] = mark(value)
    end
  end
  if popped.head > 0 then take(0, popped.head - 1) end
  if popped.tail > 0 then take(-popped.tail, -1) end
  return marks
end

local function effect_of(state)
  local effect = {key = state.key, base = state.base, before = state.before,
                  expire = state.expire, base_expire = state.base_expire}
  if state.base == 'string' then effect.before = mark(state.before) end
  if state.type == 'none' then
    if state.base == 'none' then return nil end
    effect.op = 'del'
  elseif state.type == 'string' then
    effect.op, effect.value = 'set', state.value
  elseif state.type == 'list' then
    effect.op, effect.cleared = 'push', state.cleared
    effect.head, effect.tail, effect.popped = state.head, state.tail, state.popped
    effect.was = effect.cleared and {} or ends(state.key, state.popped)
  else
    effect.op, effect.kind, effect.cleared = 'put', state.type, state.cleared
    effect.puts, effect.dels, effect.was = {}, {}, {}
    for name, value in pairs(state.overlay) do
      local was = not state.cleared and base_member(state, name) or false
      if value then
        effect.puts[#effect.puts + 1] = name
        effect.puts[#effect.puts + 1] = value
        effect.was[#effect.was + 1] = mark(was)
      elseif was then
        effect.dels[#effect.dels + 1] = name
      end
    end
    if not effect.cleared and #effect.puts == 0 and #effect.dels == 0 and
        state.expire == state.base_expire then return nil end
  end
  return effect
end

-- The writes that an effect may come to, with arguments that stand for the real ones.
local function writes_of(effect)
  local key, writes = effect.key, {}
  -- Not a write, but commit reads the clock of a key that expires.
  if effect.base_expire then writes[1] = {'TIME'} end
  if effect.expire ~= effect.base_expire and effect.op ~= 'del' then
    writes[#writes + 1] = {'PEXPIREAT', key, '1'}
    writes[#writes + 1] = {'PERSIST', key}
  end
  if effect.op == 'set' then
    writes[#writes + 1] = {'SET', key, ''}
    return writes
  end
  if effect.op ~= 'push' or effect.cleared then writes[#writes + 1] = {'DEL', key} end
  if effect.op == 'push' then
    if #effect.was > 0 then writes[#writes + 1] = {'LTRIM', key, '0', '1'} end
    writes[#writes + 1] = {'LPUSH', key, ''}
    writes[#writes + 1] = {'RPUSH', key, ''}
  elseif effect.op == 'put' then
    local add = effect.kind == 'set' and {'SADD', key, ''} or
      {ADD_COMMAND[effect.kind], key, '1', '1'}
    writes[#writes + 1] = add
    writes[#writes + 1] = {REMOVE_COMMAND[effect.kind], key, ''}
  end
  return writes
end

-- Why the caller, with whose rights commit runs, may not write these; nil: it may.
local function missing_right(effects)
  for _, effect in ipairs(effects) do
    for _, write in ipairs(writes_of(effect)) do
      if not redis.acl_check_cmd(unpack(write)) then
        return 'NOPERM the user may not ' .. write[1] .. ' ' .. (write[2] or '')
      end
    end
  end
  return nil
end

-- All effects of an evaluated branch, or nil and the reason why not.
local function effects_of(tx)
  local effects = {}
  for _, key in ipairs(tx.order) do
    local state = tx.keys[key]
    local effect = state.dirty and effect_of(state)
    if effect then effects[#effects + 1] = effect end
  end
  local problem = missing_right(effects)
  if problem then return nil, problem end
  return effects
end

-- Reads at commit only look for interference: one that fails must not stop it.
local function peek(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then return false end
  return reply
end

-- Whether a key still holds what effect.before says, of the type effect.base.
local function untouched(effect, kind)
  if kind == 'none' and effect.expired then return true end
  if kind ~= effect.base then return false end
  if kind == 'string' then return mark(peek('GET', effect.key)) == effect.before end
  if COUNT_COMMAND[kind] then return peek(COUNT_COMMAND[kind], effect.key) == effect.before end
  return true
end

-- One for each op: makes the key what the branch had promised, whatever stands there
-- now, and returns whether it overwrote something that only a client which does not
-- respect the locks can have written.
local APPLY = {}

function APPLY.set(effect, kind)
  local overwrote = not untouched(effect, kind)
  redis.call('SET', effect.key, effect.value)
  return overwrote
end

function APPLY.del(effect, kind)
  local overwrote = not untouched(effect, kind)
  redis.call('DEL', effect.key)
  return overwrote
end

-- Members that the branch did not name may change: they are not overwritten.
local function put_overwrites(effect, kind)
  if effect.cleared then return not untouched(effect, kind) end
  if kind ~= effect.kind and kind ~= 'none' then return true end
  local state = {key = effect.key, base = kind}
  for i = 1, #effect.puts, 2 do
    if mark(base_member(state, effect.puts[i])) ~= effect.was[(i + 1) / 2] then return true end
  end
  return false
end

function APPLY.put(effect, kind)
  local overwrote = put_overwrites(effect, kind)
  local fits = kind == effect.kind and not effect.cleared
  if kind ~= 'none' and not fits then redis.call('DEL', effect.key) end
  add_members(effect.kind, effect.key, effect.puts)
  if fits then call_in_chunks(REMOVE_COMMAND[effect.kind], effect.key, effect.dels) end
  return overwrote
end

-- Elements that others pushed stay, unless they stand where the branch had popped.
local function push_overwrites(effect, kind)
  if effect.cleared then return not untouched(effect, kind) end
  if #effect.was == 0 then return false end
  if kind ~= 'list' or peek('LLEN', effect.key) ~= effect.before then return true end
  local now = ends(effect.key, effect.popped)
  for i, was in ipairs(effect.was) do
    if now[i] ~= was then return true end
  end
  return false
end

function APPLY.push(effect, kind)
  local overwrote = push_overwrites(effect, kind)
  if kind ~= 'none' and (effect.cleared or kind ~= 'list') then
    overwrote = overwrote or kind ~= effect.base
    redis.call('DEL', effect.key)
  elseif kind == 'list' and #effect.was > 0 then
    redis.call('LTRIM', effect.key, effect.popped.head, -1 - effect.popped.tail)
  end
  call_in_chunks('LPUSH', effect.key, effect.head)
  call_in_chunks('RPUSH', effect.key, effect.tail)
  return overwrote
end

-- Makes the key expire when the branch had promised. Returns whether somebody had
-- changed that meanwhile (`found`: what it was before the effect was applied).
local function settle_expiry(effect, found)
  if effect.op == 'del' then return false end
  -- A TTL that somebody gave to a key whose own the branch leaves alone is his.
  if effect.expire == effect.base_expire and not effect.expire then return false end
  local now = redis.call('PEXPIRETIME', effect.key)
  local overwrote = effect.base ~= 'none' and found and found ~= effect.base_expire
  if effect.expire then
    if now ~= effect.expire then redis.call('PEXPIREAT', effect.key, effect.expire) end
  elseif now >= 0 then
    redis.call('PERSIST', effect.key)
  end
  return overwrote
end

-- The usual effect, a string that does not expire over another or over nothing, in one
-- call. Returns as APPLY does, or nil when it is no such effect, or Redis refused (what
-- stands there is no string, or may not be read): then nothing was written.
local function swap(effect)
  if effect.op ~= 'set' or effect.expire or effect.base_expire then return nil end
  if effect.base ~= 'string' and effect.base ~= 'none' then return nil end
  local old = redis.pcall('SET', effect.key, effect.value, 'GET')
  if type(old) == 'table' then return nil end
  return mark(old) ~= (effect.base == 'string' and effect.before)
end

local function apply_one(effect, clock)
  local kind, found = redis.call('TYPE', effect.key).ok, nil
  if effect.base_expire then
    effect.expired = effect.base_expire <= tx_now(clock)
    if kind ~= 'none' then
      found = redis.call('PEXPIRETIME', effect.key)
      if found < 0 then found = 'never' end
    end
  end
  -- What it held has expired, and what the branch adds would have with it.
  if effect.expired and kind == 'none' and not effect.cleared and effect.op ~= 'set' then
    return false
  end
  local overwrote = APPLY[effect.op](effect, kind)
  return settle_expiry(effect, found) or overwrote
end

-- Applies all; returns the keys where something was overwritten.
local function apply(effects)
  local overwritten, clock = {}, {}
  for _, effect in ipairs(effects) do
    local overwrote = swap(effect)
    if overwrote == nil then overwrote = apply_one(effect, clock) end
    if overwrote then overwritten[#overwritten + 1] = effect.key end
  end
  return overwritten
end
