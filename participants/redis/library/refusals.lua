-- Why a command cannot take part --------------------------------------------------------

local REFUSED = {
  ['it would erase prepared branches'] = 'FLUSHALL FLUSHDB SWAPDB',
  ['it blocks, and all of Redis would wait'] = 'BLPOP BRPOP BLMOVE BLMPOP BRPOPLPUSH ' ..
    'BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF',
  ['its result is random'] = 'SPOP SRANDMEMBER HRANDFIELD ZRANDMEMBER RANDOMKEY',
  ['its result depends on the clock'] = 'TIME TTL PTTL',
  ['its reply changes from call to call; use EXPIRETIME or plain reads'] = 'TOUCH OBJECT ' ..
    'MEMORY LASTSAVE DUMP',
  ['it has keys that the line does not name'] = 'KEYS SCAN DBSIZE SORT SORT_RO MOVE MIGRATE',
  ['a page of a scan is no final result; read the members by name or all at once'] =
    'HSCAN SSCAN ZSCAN',
  ['the branch is atomic already'] = 'MULTI EXEC DISCARD WATCH UNWATCH',
  ['a message cannot be taken back'] = 'PUBLISH SPUBLISH',
  ['a subscription has no end'] = 'SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE ' ..
    'SSUBSCRIBE SUNSUBSCRIBE PUBSUB MONITOR',
  ['what a script does cannot be foreseen at prepare'] =
    'EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO SCRIPT FUNCTION',
  ['it changes the connection, which transactions share'] = 'AUTH HELLO SELECT RESET QUIT ' ..
    'CLIENT ASKING READONLY READWRITE ECHO PING',
  ['it is for the administrator of the server'] = 'ACL BGREWRITEAOF BGSAVE SAVE CLUSTER ' ..
    'COMMAND CONFIG DEBUG FAILOVER INFO LATENCY LOLWUT MODULE PSYNC SYNC REPLCONF REPLICAOF ' ..
    'SLAVEOF ROLE SHUTDOWN SLOWLOG RESTORE RESTORE-ASKING PFDEBUG PFSELFTEST',
  ['write the new key, and DEL the old one'] = 'RENAME RENAMENX COPY',
  ['use LPOP, RPOP, ZPOPMIN or ZPOPMAX with the one key'] = 'LMPOP ZMPOP',
  ['store it with the command that ends in STORE, or read it outside of the transaction'] =
    'ZINTER ZUNION ZDIFF ZINTERCARD SINTERCARD LCS',
  ['use GEOSEARCH, and ZADD with scores'] = 'GEOSEARCHSTORE GEORADIUS GEORADIUS_RO ' ..
    'GEORADIUSBYMEMBER GEORADIUSBYMEMBER_RO',
  ['streams cannot take part, for the clock gives an entry its id and a group changes as it ' ..
    'is read; keep the entries in a list or a sorted set'] = 'XADD XDEL XTRIM XLEN XRANGE XREVRANGE XREAD XREADGROUP ' ..
    'XGROUP XACK XCLAIM XAUTOCLAIM XPENDING XINFO XSETID',
}

local function why_unsupported(name)
  for reason, names in pairs(REFUSED) do
    if string.find(' ' .. names .. ' ', ' ' .. name .. ' ', 1, true) then return reason end
  end
  return 'it is not known; docs/redis.md lists what is'
end
