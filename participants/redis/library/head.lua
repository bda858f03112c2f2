#!lua name=indoubt
-- The transactions of indoubt inside Redis: the head of one library, which the build
-- joins from the files of this folder in the order that CMakeLists.txt gives.
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
--   work      evaluates and leaves nothing behind
--
-- Keys (participants/redis/redis_keys.h names them for other programs):
--   indoubt:prepared           hash, branch -> intent (MessagePack)
--   indoubt:locks              hash, key -> branch that holds it
--   indoubt:outcomes           hash, branch -> how it committed; until forgotten
--   indoubt:aborted:<branch>   a rollback met no intent; expires
--   indoubt:scratch:<n>        a copy on which Redis computes; gone before a call ends

local VERSION = '@VERSION@'  -- a digest of this text, from the build
local RESERVED = 'indoubt:'
local PREPARED = 'indoubt:prepared'
local LOCKS = 'indoubt:locks'
local OUTCOMES = 'indoubt:outcomes'
local ABORTED = 'indoubt:aborted:'
-- Longer than any request can hang in a socket; a later prepare is an orphan.
local ABORTED_SECONDS = '600'
local LONGEST_STRING = 512 * 1024 * 1024
-- Looked through for a branch that is not where it should be.
local MOST_DATABASES = 64
-- Lua's unpack() allows about 8000 values.
local CHUNK = 2000

local function refuse(reason)
  error({refused = reason})
end
