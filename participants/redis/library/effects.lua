-- Effects ------------------------------------------------------------------------------
-- What a branch does to one key, in final values:
--   {key, base, before, op = 'set', value}
--   {key, base, before, op = 'del'}
--   {key, base, before, op = 'put', kind, cleared, puts = {m, v, ...}, dels, was}
--   {key, base, before, op = 'push', cleared, head, tail}
-- base is the type before, before the string's mark or the number of members.

local ADD_COMMAND = {hash = 'HSET', set = 'SADD', zset = 'ZADD'}
local REMOVE_COMMAND = {hash = 'HDEL', set = 'SREM', zset = 'ZREM'}

local function effect_of(state)
  local effect = {key = state.key, base = state.base, before = state.before}
  if state.base == 'string' then effect.before = mark(state.before) end
  if state.type == 'none' then
    if state.base == 'none' then return nil end
    effect.op = 'del'
  elseif state.type == 'string' then
    effect.op, effect.value = 'set', state.value
  elseif state.type == 'list' then
    effect.op, effect.cleared = 'push', state.cleared
    effect.head, effect.tail = state.head, state.tail
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
    if not effect.cleared and #effect.puts == 0 and #effect.dels == 0 then return nil end
  end
  return effect
end

-- The writes that an effect may come to, with arguments that stand for the real ones.
local function writes_of(effect)
  local key, writes = effect.key, {}
  if effect.op == 'set' then return {{'SET', key, ''}} end
  if effect.op ~= 'push' or effect.cleared then writes[1] = {'DEL', key} end
  if effect.op == 'push' then
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
        return 'NOPERM the user may not ' .. write[1] .. ' ' .. effect.key
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

local function call_in_chunks(name, key, values)
  for first = 1, #values, CHUNK do
    redis.call(name, key, unpack(values, first, math.min(first + CHUNK - 1, #values)))
  end
end

-- Whether a key still holds what effect.before says, of the type effect.base.
local function untouched(effect, kind)
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
  local values = effect.puts
  if effect.kind ~= 'hash' then
    values = {}
    for i = 1, #effect.puts, 2 do
      if effect.kind == 'zset' then values[#values + 1] = effect.puts[i + 1] end
      values[#values + 1] = effect.puts[i]
    end
  end
  call_in_chunks(ADD_COMMAND[effect.kind], effect.key, values)
  if fits then call_in_chunks(REMOVE_COMMAND[effect.kind], effect.key, effect.dels) end
  return overwrote
end

function APPLY.push(effect, kind)
  local overwrote = effect.cleared and not untouched(effect, kind)
  if kind ~= 'none' and (effect.cleared or kind ~= 'list') then
    overwrote = overwrote or kind ~= effect.base
    redis.call('DEL', effect.key)
  end
  call_in_chunks('LPUSH', effect.key, effect.head)
  call_in_chunks('RPUSH', effect.key, effect.tail)
  return overwrote
end

-- Applies all; returns the keys where something was overwritten.
local function apply(effects)
  local overwritten = {}
  for _, effect in ipairs(effects) do
    if APPLY[effect.op](effect, redis.call('TYPE', effect.key).ok) then
      overwritten[#overwritten + 1] = effect.key
    end
  end
  return overwritten
end
