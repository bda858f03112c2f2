-- Conditions ------------------------------------------------------------------------
--   REQUIRE key [FIELD name] EXISTS | MISSING | EQUALS value | AT LEAST n | AT MOST n
-- A branch whose condition does not hold at prepare votes no. While it holds, its key
-- is locked until the decision, though the branch writes nothing else.

-- `text` as a number, or a refusal that says whose it was.
local function number_of(text, whose)
  return score_or_nil(text) or refuse("'" .. string.sub(text, 1, 64) .. "', " .. whose ..
                                      ', is not a number')
end

-- -1, 0 or 1; exact for 64-bit integers.
local function compare(a, b)
  if is_int64(a) and is_int64(b) then
    local high_a, low_a = split64(a)
    local high_b, low_b = split64(b)
    if high_a ~= high_b then return high_a < high_b and -1 or 1 end
    return low_a == low_b and 0 or low_a < low_b and -1 or 1
  end
  local x = number_of(a, 'which is there')
  local y = number_of(b, 'which AT LEAST or AT MOST was given')
  return x == y and 0 or x < y and -1 or 1
end

local HOLDS = {
  EXISTS = function(there) return there end,
  MISSING = function(there) return not there end,
  EQUALS = function(there, value, wanted) return there and value == wanted end,
  LEAST = function(_, value, wanted) return compare(value or '0', wanted) >= 0 end,
  MOST = function(_, value, wanted) return compare(value or '0', wanted) <= 0 end,
}

-- Whether it is there, and its value as text, or nil where it has none.
local function subject(tx, key, field)
  local state = open(tx, key)
  if not field then
    return state.type ~= 'none', state.type == 'string' and state.value or nil
  end
  if state.type ~= 'none' and not REMOVE_COMMAND[state.type] then
    refuse('WRONGTYPE the key holds a ' .. state.type .. ', which has no fields')
  end
  local value = member(state, field)
  return value ~= false, state.type ~= 'set' and value or nil
end

command('REQUIRE', 3, 7, function(tx, a)
  local at, field = 3, nil
  if string.upper(a[3]) == 'FIELD' then at, field = 5, a[4] end
  local word = string.upper(a[at] or '')
  if word == 'AT' then
    at = at + 1
    word = string.upper(a[at] or '')
  end
  local wants = (word == 'EXISTS' or word == 'MISSING') and 0 or 1
  local holds = HOLDS[word]
  if not holds or #a ~= at + wants or
      (word == 'LEAST' or word == 'MOST') ~= (string.upper(a[at - 1]) == 'AT') then
    refuse('syntax error: REQUIRE key [FIELD name] ' ..
           'EXISTS | MISSING | EQUALS value | AT LEAST n | AT MOST n')
  end
  local there, value = subject(tx, a[2], field)
  if there and not value and wants == 1 then
    refuse('WRONGTYPE there is no one value to compare')
  end
  if not holds(there, value, a[at + 1]) then
    local found = value and string.sub(value, 1, 64) or there and 'there' or 'missing'
    refuse('the condition does not hold: it is ' .. found)
  end
  tx.must_hold = true
  return OK, 1
end)
