-- Evaluation ------------------------------------------------------------------------

-- As participants/result_limit.h counts: all results of a branch travel in one message.
local MOST_RESULT_BYTES = 64 * 1024 * 1024
local VALUE_BYTES = 40

local function size_of(reply)
  local size, held = VALUE_BYTES, reply[2]
  if type(held) == 'string' then size = size + #held end
  if type(held) == 'table' then
    for i = 1, #held do size = size + size_of(held[i]) end
  end
  return size
end

-- Arguments: branch, seen, digest, count, then for each statement the rows it must
-- touch (or ''), its number of words, the words. `seen` statements have been
-- evaluated before (work); `digest` is of their results.
local function evaluate(tx, args)
  local seen, count, at = tonumber(args[2]), tonumber(args[4]), 5
  local room = MOST_RESULT_BYTES
  for i = 1, count do
    local expected, words, argv = args[at], tonumber(args[at + 1]), {}
    for j = 1, words do argv[j] = args[at + 1 + j] end
    at = at + 2 + words
    local name = string.upper(argv[1])
    tx.where = 'statement ' .. i .. ' (' .. string.sub(name, 1, 32) ..
      (argv[2] and ' ' .. string.sub(argv[2], 1, 64) or '') .. ')'
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
    room = room - size_of(reply)
    if room < 0 then
      refuse('the results of this transaction take more than 64 MiB here; ask for less')
    end
    tx.results[i] = {rows, reply}
    if i == seen then tx.digest = redis.sha1hex(cmsgpack.pack(tx.results)) end
  end
  if seen > 0 and args[3] ~= '' and tx.digest ~= args[3] then
    tx.where = 'the branch'
    refuse('what it had read was changed by another transaction meanwhile; try again')
  end
  return tx
end

-- evaluate(), or nil and the answer to give: nothing has been written yet, so
-- every error on the way is a plain no.
local function try(args)
  local tx = {branch = args[1], keys = {}, order = {}, results = {}, where = 'the request'}
  local ok, problem = pcall(evaluate, tx, args)
  if ok then return tx end
  if type(problem) == 'table' and problem.locked then
    return nil, {'locked', problem.locked, problem.holder}
  end
  local reason = problem
  if type(problem) == 'table' then reason = problem.refused or problem.err or 'no reason' end
  return nil, {'no', tx.where .. ': ' .. tostring(reason)}
end

-- What stood there before, to tell at commit whether somebody changed it. Long
-- values are kept as a digest.
local function mark(value)
  if not value then return false end
  if #value <= 40 then return '=' .. value end
  return '#' .. redis.sha1hex(value)
end
