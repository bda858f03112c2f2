-- Expiry --------------------------------------------------------------------------
-- A prepare fixes the moment, in ms since 1970; so a branch that stays in doubt past
-- it commits a key that has expired, as if it had committed at once.

-- The clock, the same for all of one evaluation.
local function tx_now(tx)
  if not tx.now then
    local time = redis.call('TIME')
    tx.now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  end
  return tx.now
end

-- When a key expires, by its unit (of SET: EX, PX, EXAT, PXAT).
local function moment(tx, unit, text)
  if not is_int64(text) then refuse('value is not an integer or out of range') end
  local number = tonumber(text)
  if unit == 'EX' or unit == 'EXAT' then number = number * 1000 end
  -- Farther away than that Redis refuses, or a Lua number is not exact.
  if number > 2 ^ 52 or number < -2 ^ 52 then refuse('invalid expire time') end
  if number <= 0 and (unit == 'EX' or unit == 'PX') then return math.min(number, 0) end
  if unit == 'EX' or unit == 'PX' then number = number + tx_now(tx) end
  return number
end

-- When the key will expire, or false.
local function expiry(state)
  if state.dirty or state.base == 'none' then return state.expire end
  local at = redis.call('PEXPIRETIME', state.key)
  return at >= 0 and at
end

local function expire_at(tx, state, at)
  touch(state)
  if at and at <= tx_now(tx) then return clear(state) end
  -- A string's intent holds all of it. Of other types it holds what changes, and the
  -- rest would be gone if the old moment passed before the commit.
  if state.type ~= 'string' and state.base_expire and not state.cleared and
      (not at or at > state.base_expire) then
    refuse('the key could expire before the commit: only a string may be given more time')
  end
  state.expire = at
end
