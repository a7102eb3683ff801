package valkey

import (
	"github.com/valkey-io/valkey-go"

	"cognito-token-handler/tokenhandler/session"
)

// The keys that all sessions share. One hash tag for all keys: a script may
// touch one slot only, and every script looks at [storeKey].
const (
	storeKey  = "{tokenhandler}:store"
	deniedKey = "{tokenhandler}:denied"
)

func leaseKey(name session.Name) string  { return "{tokenhandler}:lease:" + name.String() }
func resultKey(name session.Name) string { return "{tokenhandler}:result:" + name.String() }

// script is one operation. All of them may run twice: a call whose answer was
// lost is made again.
type script struct {
	operation string
	lua       *valkey.Lua
}

// newScript builds the script of an operation. It is always sent whole: that
// saves the round trip for a server that forgot it, and SHA-1, which a FIPS
// build of Go refuses.
func newScript(operation, body string) script {
	return script{operation: operation, lua: valkey.NewLuaScriptNoSha(life + body)}
}

// life begins every script: it finds out whether the store may have forgotten
// something. That is so if its first key or the stream is gone (flushed,
// evicted, an empty server), and if the server is another process than before
// (restarted from a snapshot, or a replica that was promoted and may lag). Then a
// new life begins, under the name that the caller brings along; the stream
// tells the followers. It must be decided inside the store: no replica can know
// whether it is the first to come back.
//
// KEYS: store, denied. ARGV[1]: a fresh name. Then: now and since in Unix
// milliseconds of the store's clock, and id, the name of this life.
const life = `
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '-'
local was = redis.call('HMGET', KEYS[1], 'id', 'run', 'since')
local id, since = was[1], tonumber(was[3] or '')
if not id or was[2] ~= run or not since or since > now or redis.call('EXISTS', KEYS[2]) == 0 then
  id, since = ARGV[1], now
  redis.call('HSET', KEYS[1], 'id', id, 'run', run, 'since', now)
  redis.call('XADD', KEYS[2], '*', 'store', id)
end
`

// Generations are compared as text of 20 digits, because numbers of a script are
// exact up to 2⁵³ only.
const (
	// ARGV: generation, name, milliseconds of the lease, milliseconds to settle.
	claimBody = `
local result = redis.call('HMGET', KEYS[4], 'generation', 'sealed')
if result[1] and result[1] > ARGV[2] then
  return {id, 'result', result[1], result[2] or ''}
end
local holder = redis.call('GET', KEYS[3])
if holder == ARGV[3] then
  redis.call('PEXPIRE', KEYS[3], ARGV[4])
  return {id, 'lease'}
end
if holder or now - since < tonumber(ARGV[5]) then
  return {id, 'busy'}
end
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
return {id, 'lease'}`

	// ARGV: generation, sealed, milliseconds to keep it, name of the lease.
	publishBody = `
local generation = redis.call('HGET', KEYS[4], 'generation')
if not generation or generation < ARGV[2] then
  redis.call('HSET', KEYS[4], 'generation', ARGV[2], 'sealed', ARGV[3])
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
end
if redis.call('GET', KEYS[3]) == ARGV[5] then
  redis.call('DEL', KEYS[3])
end
return {id}`

	// ARGV: the name of each lease.
	releaseBody = `
for i = 3, #KEYS do
  local mine = redis.call('GET', KEYS[i]) == ARGV[i - 1]
  if mine then redis.call('DEL', KEYS[i]) end -- else it is another's
end
return {id}`

	// ARGV: name of the lease, milliseconds that are left of it.
	restoreBody = `
redis.call('SET', KEYS[3], ARGV[2], 'NX', 'PX', ARGV[3])
return {id}`

	// ARGV: until, kind, name, before, of each entry.
	revokeBody = `
for i = 2, #ARGV, 4 do
  redis.call('XADD', KEYS[2], '*', 'until', ARGV[i], 'kind', ARGV[i + 1], 'name', ARGV[i + 2], 'before', ARGV[i + 3])
end
return {id}`

	// The write finds out whether the store takes any: a full one, or a replica,
	// still answers reads. Entries are dropped from the oldest on, as far as they
	// are over.
	beatBody = `
redis.call('HSET', KEYS[1], 'beat', now)
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 64)) do
  if entry[2][1] == 'until' and (tonumber(entry[2][2]) or 0) > now then
    break
  end
  redis.call('XDEL', KEYS[2], entry[1])
end
return {id}`
)

// scripts are all operations.
type scripts struct {
	claim, publish, release, restore, revoke, beat script
}

func newScripts() scripts {
	return scripts{
		claim:   newScript("claim", claimBody),
		publish: newScript("publish", publishBody),
		release: newScript("release", releaseBody),
		restore: newScript("restore", restoreBody),
		revoke:  newScript("revoke", revokeBody),
		beat:    newScript("beat", beatBody),
	}
}
