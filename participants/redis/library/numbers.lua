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

-- Nil when `text` is none.
local function score_or_nil(text)
  local sign, rest = string.match(string.lower(text), '^([+-]?)(.*)$')
  local infinite = INFINITE[rest]
  if infinite then return sign == '-' and -infinite or infinite end
  local number = string.find(text, '^[+-]?[%d.]') and string.find(text, '^[%d.eE+-]+$')
    and tonumber(text)
  if number == HUGE or number == -HUGE then return nil end
  return number or nil
end

local function score_of(text)
  return score_or_nil(text) or refuse('score is not a valid float')
end

local function score_text(score)
  if score == HUGE then return 'inf' end
  if score == -HUGE then return '-inf' end
  return string.format('%.17g', score)
end
