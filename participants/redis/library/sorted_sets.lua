-- Sorted sets ------------------------------------------------------------------------

-- Whether ZADD with these options moves a member from `old` (nil: new) to `new`.
local function score_moves(options, old, new)
  if not old then return not options.XX end
  if options.NX or old == new then return false end
  if options.GT and new <= old then return false end
  if options.LT and new >= old then return false end
  return true
end

-- The options at the third word and after, and the place of the first word behind.
local function zadd_options(a)
  local options, first = {}, 3
  while true do
    local option = string.upper(a[first] or '')
    if option == 'INCR' then refuse('ZADD INCR cannot take part; use ZINCRBY') end
    if option ~= 'NX' and option ~= 'XX' and option ~= 'GT' and option ~= 'LT' and
        option ~= 'CH' then break end
    options[option] = true
    first = first + 1
  end
  if (options.NX and (options.XX or options.GT or options.LT)) or
      (options.GT and options.LT) or first > #a then
    refuse('syntax error')
  end
  return options, first
end

-- {score, member, ...}, with scores as numbers.
local function add_scores(state, options, scores)
  local added, changed = 0, 0
  for i = 1, #scores, 2 do
    local new, old = scores[i], member(state, scores[i + 1])
    old = old and tonumber(old) or nil
    if score_moves(options, old, new) then
      become(state, 'zset')
      put(state, scores[i + 1], score_text(new))
      changed = changed + 1
      if not old then added = added + 1 end
    end
  end
  return integer(options.CH and changed or added), changed
end

command('ZADD', 4, false, function(tx, a)
  local options, first = zadd_options(a)
  if (#a - first) % 2 == 0 then refuse('syntax error') end
  local state, scores = open_as(tx, a[2], 'zset'), {}
  for i = first, #a, 2 do
    scores[#scores + 1] = score_of(a[i])
    scores[#scores + 1] = a[i + 1]
  end
  return add_scores(state, options, scores)
end)

-- A place is a score, which Redis computes.
command('GEOADD', 5, false, function(tx, a)
  local options, first = zadd_options(a)
  if options.GT or options.LT or (#a - first) % 3 ~= 2 then refuse('syntax error') end
  local state, scores, copy = open_as(tx, a[2], 'zset'), {}, SCRATCH .. 'place'
  for i = first, #a, 3 do
    checked(redis.pcall('GEOADD', copy, a[i], a[i + 1], 'm'))
    scores[#scores + 1] = tonumber(redis.call('ZSCORE', copy, 'm'))
    scores[#scores + 1] = a[i + 2]
    redis.call('DEL', copy)
  end
  return add_scores(state, options, scores)
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

reads('ZMSCORE', 3, false, 'zset', FOUND)
reads('ZRANK', 3, 3, 'zset', FOUND)
reads('ZREVRANK', 3, 3, 'zset', FOUND)
reads('ZCOUNT', 4, 4, 'zset', COUNTED)
reads('ZLEXCOUNT', 4, 4, 'zset', COUNTED)
reads('ZRANGE', 4, false, 'zset', FOUND)
reads('ZREVRANGE', 4, 5, 'zset', FOUND)
reads('ZRANGEBYSCORE', 4, false, 'zset', FOUND)
reads('ZREVRANGEBYSCORE', 4, false, 'zset', FOUND)
reads('ZRANGEBYLEX', 4, 7, 'zset', FOUND)
reads('ZREVRANGEBYLEX', 4, 7, 'zset', FOUND)
reads('GEOPOS', 3, false, 'zset', FOUND)
reads('GEODIST', 4, 5, 'zset', FOUND)
reads('GEOHASH', 3, false, 'zset', FOUND)
reads('GEOSEARCH', 7, false, 'zset', FOUND)

-- Members that a read names go: `read` is its command, `last` a word behind it.
local function removes_range(name, read, last)
  command(name, 4, 4, function(tx, a)
    local names = read_by_redis(tx, {read, a[2], a[3], a[4], last}, 'zset')
    local state = open_as(tx, a[2], 'zset')
    for _, one in ipairs(names) do drop(state, one) end
    return integer(#names), #names
  end)
end
removes_range('ZREMRANGEBYRANK', 'ZRANGE')
removes_range('ZREMRANGEBYSCORE', 'ZRANGEBYSCORE')
removes_range('ZREMRANGEBYLEX', 'ZRANGEBYLEX')

local function pops_scores(name, read)
  command(name, 2, 3, function(tx, a)
    local count = a[3] or '1'
    if not is_int64(count) or tonumber(count) < 0 then
      refuse('value is out of range, must be positive')
    end
    local state = open_as(tx, a[2], 'zset')
    if count == '0' then return {'a', {}}, 0 end
    local flat = read_by_redis(tx, {read, a[2], '0', add64(count, '-1'), 'WITHSCORES'}, 'zset')
    for i = 1, #flat, 2 do drop(state, flat[i]) end
    return tagged(flat), #flat / 2
  end)
end
pops_scores('ZPOPMIN', 'ZRANGE')
pops_scores('ZPOPMAX', 'ZREVRANGE')

-- target numkeys key ... options
local function target_and_counted(a)
  local count = is_int64(a[3]) and tonumber(a[3]) or 0
  if count < 1 or count > #a - 3 then
    refuse('the number of keys is not positive, or more than there are')
  end
  return 2, 4, 3 + count
end
stores('ZUNIONSTORE', 4, false, 'zset or set', target_and_counted)
stores('ZINTERSTORE', 4, false, 'zset or set', target_and_counted)
stores('ZDIFFSTORE', 4, false, 'zset or set', target_and_counted)
stores('ZRANGESTORE', 5, false, 'zset', function() return 2, 3, 3 end)
