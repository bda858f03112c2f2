-- Functions --------------------------------------------------------------------------

-- Drops the locks that the branch holds, then its intent; returns how many it held.
local function release(branch, keys)
  local held = {}
  for first = 1, #keys, CHUNK do
    local last = math.min(first + CHUNK - 1, #keys)
    for i, holder in ipairs(redis.call('HMGET', LOCKS, unpack(keys, first, last))) do
      if holder == branch then held[#held + 1] = keys[first + i - 1] end
    end
  end
  call_in_chunks('HDEL', LOCKS, held)
  redis.call('HDEL', PREPARED, branch)
  return #held
end

-- {'yes' | 'read_only', results} | {'no', reason} | {'locked', key, holder}
local function prepare(_, args)
  local branch = args[1]
  if redis.call('HEXISTS', PREPARED, branch) == 1 then
    return {'no', 'the branch is prepared already'}
  end
  if redis.call('EXISTS', ABORTED .. branch) == 1 or
      redis.call('HEXISTS', OUTCOMES, branch) == 1 then
    return {'no', 'the branch was ended before its prepare arrived'}
  end
  local tx, answer = try(args)
  if not tx then return answer end
  local effects, problem = effects_of(tx)
  if not effects then return {'no', problem} end
  if #effects == 0 and not tx.must_hold then return {'read_only', tx.results} end
  local packed = cmsgpack.pack({effects = effects, locks = tx.order})
  -- From here on only writes that cannot fail.
  redis.call('HSET', PREPARED, branch, packed)
  local locks = {}
  for _, key in ipairs(tx.order) do
    locks[#locks + 1] = key
    locks[#locks + 1] = branch
  end
  call_in_chunks('HSET', LOCKS, locks)
  return {'yes', tx.results}
end

-- An error when another database of this server holds the branch: the uri names the wrong
-- one. Calls that follow in the same function go to whatever database was looked at last.
local function prepared_elsewhere(branch)
  for database = 0, MOST_DATABASES - 1 do
    local selected = redis.pcall('SELECT', tostring(database))
    if selected.err then return nil end
    if redis.pcall('HEXISTS', PREPARED, branch) == 1 then
      return redis.error_reply('ERR the branch is prepared in database ' .. database ..
                               ' of this server; correct the database in the uri')
    end
  end
  return nil
end

-- {'done'} | {'heuristic', reason}; an error, and nothing written, when the user lost
-- the right to write, or the branch is in another database.
local function commit(_, args)
  local branch = args[1]
  local packed = redis.call('HGET', PREPARED, branch)
  if not packed then
    local outcome = redis.call('HGET', OUTCOMES, branch)
    if outcome == 'committed' then return {'done'} end
    if outcome then return {'heuristic', outcome} end
    if redis.call('EXISTS', ABORTED .. branch) == 1 then
      return {'heuristic', 'the branch was rolled back'}
    end
    return prepared_elsewhere(branch) or
           {'heuristic', 'the prepared branch is gone: the data was lost (FLUSHALL, failover) ' ..
                         'or somebody rolled it back'}
  end
  local intent = cmsgpack.unpack(packed)
  local problem = missing_right(intent.effects)
  if problem then return redis.error_reply(problem) end
  local overwritten = apply(intent.effects)
  local outcome = 'committed'
  if #overwritten > 0 then
    outcome = 'committed over what a client that does not respect the locks had written to ' ..
              string.sub(table.concat(overwritten, ', '), 1, 200)
  end
  if release(branch, intent.locks) < #intent.locks and outcome == 'committed' then
    outcome = 'committed, but somebody had removed its locks'
  end
  redis.call('HSET', OUTCOMES, branch, outcome)
  if outcome == 'committed' then return {'done'} end
  return {'heuristic', outcome}
end

-- {'done'} | {'heuristic', reason}; an error when the branch is in another database
local function rollback(_, args)
  local branch = args[1]
  local packed = redis.call('HGET', PREPARED, branch)
  if packed then
    release(branch, cmsgpack.unpack(packed).locks)
    return {'done'}
  end
  if redis.call('HEXISTS', OUTCOMES, branch) == 1 then
    return {'heuristic', 'the branch was committed already'}
  end
  redis.call('SET', ABORTED .. branch, '', 'EX', ABORTED_SECONDS)
  return prepared_elsewhere(branch) or {'done'}
end

-- As prepare, but applied at once: {'yes', results} | {'no', ...} | {'locked', ...}
local function run(_, args)
  local tx, answer = try(args)
  if not tx then return answer end
  local effects, problem = effects_of(tx)
  if not effects then return {'no', problem} end
  apply(effects)
  return {'yes', tx.results}
end

-- {'worked', results, digest} | {'no', reason} | {'locked', key, holder}
local function work(_, args)
  local tx, answer = try(args)
  if not tx then return answer end
  return {'worked', tx.results, redis.sha1hex(cmsgpack.pack(tx.results))}
end

local function forget(_, args)
  call_in_chunks('HDEL', OUTCOMES, args)
  return 'OK'
end

-- A page of the outcome records: {cursor of the next page, '0' after the last; branches}
local function outcomes(_, args)
  local page = redis.call('HSCAN', OUTCOMES, args[1], 'COUNT', '1000')
  local branches = {}
  for i = 1, #page[2], 2 do branches[#branches + 1] = page[2][i] end
  return {page[1], branches}
end

-- A page of the locks whose branch is not prepared: prepare writes both and release drops
-- both, in one call, so somebody has removed the intent by hand, and nobody would ever come
-- for them. {cursor of the next page, '0' after the last; keys}
local function stray_locks(_, args)
  local page = redis.call('HSCAN', LOCKS, args[1], 'COUNT', '1000')
  local stray = {}
  for i = 1, #page[2], 2 do
    if redis.call('HEXISTS', PREPARED, page[2][i + 1]) == 0 then
      stray[#stray + 1] = page[2][i]
    end
  end
  return {page[1], stray}
end

local function drop_stray_locks(keys, args)
  local page = stray_locks(keys, args)
  call_in_chunks('HDEL', LOCKS, page[2])
  return page
end

local function register(name, callback, flags)
  redis.register_function{function_name = 'indoubt_' .. name, callback = callback,
                          flags = flags}
end

-- Unless a flag allows it, Redis refuses a function, before it starts, when memory is
-- used up, on a replica, with too few replicas, or after a failed save.
register('prepare', prepare, {'no-cluster'})
register('commit', commit, {'no-cluster', 'allow-oom'})
register('rollback', rollback, {'no-cluster', 'allow-oom'})
register('run', run, {'no-cluster'})
register('work', work, {'no-cluster'})  -- writes copies (scratch.lua), which go again
register('forget', forget, {'no-cluster', 'allow-oom'})
register('list', function() return redis.call('HKEYS', PREPARED) end, {'no-writes'})
register('outcomes', outcomes, {'no-writes'})
register('stray_locks', stray_locks, {'no-writes'})
register('drop_stray_locks', drop_stray_locks, {'no-cluster', 'allow-oom'})
register('version', function() return VERSION end, {'no-writes'})
