package valkey

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/valkey-io/valkey-go"

	"cognito-token-handler/tokenhandler/session"
)

// The keys that all sessions share. All keys have the same hash tag, because a script
// may use the keys of one slot only, and every script reads [storeKey].
const (
	storeKey  = "{tokenhandler}:store"
	deniedKey = "{tokenhandler}:denied"
	// membersKey is a hash of the replicas that share the store: name → when it last
	// reported, and the incarnation in which it has restored what it had.
	membersKey = "{tokenhandler}:replicas"
)

func leaseKey(name session.Name) string  { return "{tokenhandler}:lease:" + name.String() }
func resultKey(name session.Name) string { return "{tokenhandler}:result:" + name.String() }

// mapKey hashes the name of a map, which may be that of a user.
func mapKey(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "{tokenhandler}:map:" + hex.EncodeToString(sum[:])
}

// versionEntry is the entry that holds the version of a map.
const versionEntry = ""

// script is one operation. It must be safe to run twice, because the client repeats a
// script if the connection breaks before the answer.
type script struct {
	operation string
	body      string
}

// eval runs the script and returns the name of the store's incarnation, followed by
// what the script returns. The script is always sent as a whole: that saves the round
// trip to a server that does not have it, and SHA-1, which a FIPS build of Go refuses.
func (sc script) eval(ctx context.Context, client valkey.CoreClient, keys, args []string) ([]string, error) {
	keys = append([]string{storeKey, deniedKey}, keys...)
	args = append([]string{newName()}, args...)
	command := client.B().Eval().Script(incarnation + sc.body).Numkeys(int64(len(keys))).Key(keys...).Arg(args...)
	answer, err := client.Do(ctx, command.Build().ToRetryable()).AsStrSlice()
	if err == nil && (len(answer) == 0 || answer[0] == "") {
		err = errAnswer
	}
	return answer, err
}

// incarnation is the beginning of every script. It finds out whether the store may
// have forgotten something. That is so if its first key or the stream is gone (it was
// flushed or evicted, or the server is new and empty), and if the server is another
// process than before (it restarted from a snapshot, or it is a replica that was
// promoted and may lack the last writes). A store that no replica has reached for 12
// seconds has its data, but a lease may have run out meanwhile whose holder could not
// publish what it made. In all these cases a new incarnation begins with the name that
// the caller suggests, and the stream tells the followers. Only the store can decide
// this: no replica knows whether it is the first to come back.
//
// A lease lasts 17 seconds, and a refresh takes less than 5 of them unless the provider is
// slow, so a shorter gap leaves its lease in force. A single replica that has crashed is
// started again within such a gap, and need not wait for itself.
//
// KEYS: store, denied. ARGV[1]: a new name. Defines now and since in Unix milliseconds
// of the server's clock, and id, the name of this incarnation.
const incarnation = `
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '-'
local was = redis.call('HMGET', KEYS[1], 'id', 'run', 'since', 'beat')
local id, since, beat = was[1], tonumber(was[3] or ''), tonumber(was[4] or '')
if not id or was[2] ~= run or not since or since > now or redis.call('EXISTS', KEYS[2]) == 0 or beat and now - beat > 12000 then
  id, since = ARGV[1], now
  redis.call('HSET', KEYS[1], 'id', id, 'run', run, 'since', now, 'beat', now)
  redis.call('XADD', KEYS[2], '*', 'store', id)
end
`

// Generations are compared as text of 20 digits, because the numbers of a script are
// exact only up to 2⁵³.
const (
	// ARGV: generation, name, milliseconds of the lease, milliseconds for which a new store
	// gives none in any case. It gives none either while a replica that reported shortly
	// before has not restored what it had, up to the time that a lease lasts.
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
if now - since < tonumber(ARGV[4]) then
  local replicas = redis.call('HGETALL', KEYS[5])
  for i = 2, #replicas, 2 do
    local heard, restored = string.match(replicas[i], '^(%d+) (.*)$')
    if restored ~= id and (tonumber(heard or '') or 0) > since - tonumber(ARGV[4]) then
      return {id, 'busy'}
    end
  end
end
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
return {id, 'lease'}`

	// ARGV: generation, sealed, milliseconds to keep it, name of the lease. Tokens replace
	// a refusal of the same generation: then another replica got them, and was slow.
	publishBody = `
local was = redis.call('HMGET', KEYS[4], 'generation', 'sealed')
local generation, refused = was[1], was[2] == ''
if not generation or generation < ARGV[2] or generation == ARGV[2] and refused and ARGV[3] ~= '' then
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
  if mine then
    redis.call('DEL', KEYS[i])
  end -- else another replica has it
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

	// The write finds out whether the store takes writes: a full server and a replica
	// still answer reads. The oldest revocations are removed as far as they have ended.
	// The caller reports itself. It is told which replicas have reported, and tells the
	// store what another incarnation has told it.
	//
	// ARGV: name, incarnation in which it has restored what it had ("*" for this one), milliseconds for which
	// a replica is remembered, incarnation that told of the following replicas, and the
	// name and the milliseconds since the last report of each.
	beatBody = `
redis.call('HSET', KEYS[1], 'beat', now)
if ARGV[5] ~= id then
  for i = 6, #ARGV, 2 do
    if not redis.call('HGET', KEYS[3], ARGV[i]) then
      redis.call('HSET', KEYS[3], ARGV[i], string.format('%.0f ', now - ARGV[i + 1]))
    end
  end
end
local restored = ARGV[3] == '*' and id or ARGV[3]
redis.call('HSET', KEYS[3], ARGV[2], string.format('%.0f ', now) .. restored)
local answer, replicas = {id, id}, redis.call('HGETALL', KEYS[3])
for i = 1, #replicas, 2 do
  local ago = now - (tonumber(string.match(replicas[i + 1], '^%d+') or '') or 0)
  if ago > tonumber(ARGV[4]) then
    redis.call('HDEL', KEYS[3], replicas[i])
  else
    table.insert(answer, replicas[i])
    table.insert(answer, string.format('%.0f', math.max(ago, 0)))
  end
end
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 64)) do
  if entry[2][1] == 'until' and (tonumber(entry[2][2]) or 0) > now then
    break
  end
  redis.call('XDEL', KEYS[2], entry[1])
end
return answer`

	// Without any replica, nobody is expected to report.
	//
	// ARGV: name.
	leaveBody = `
redis.call('HDEL', KEYS[3], ARGV[2])
if redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('HDEL', KEYS[1], 'beat')
end
return {id}`
)

const (
	readMapBody = `
local answer = redis.call('HGETALL', KEYS[3])
table.insert(answer, 1, id)
return answer`

	// ARGV: version that the map must have, its new one, milliseconds to keep it, number
	// of entries to set, their names and values, names of entries to remove.
	changeMapBody = `
local version = redis.call('HGET', KEYS[3], '') or ''
if version == ARGV[3] then
  return {id, 'changed'} -- by the first run of this script
end
if version ~= ARGV[2] then
  return {id, 'stale'}
end
local remove = 6 + 2 * ARGV[5]
redis.call('HSET', KEYS[3], '', ARGV[3])
for i = 6, remove - 1, 2 do
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
end
for i = remove, #ARGV do
  redis.call('HDEL', KEYS[3], ARGV[i])
end
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return {id, 'changed'}`
)

// scripts are all operations.
type scripts struct {
	claim, publish, release, restore, revoke, follow, beat, leave, readMap, changeMap script
}

func newScripts() scripts {
	return scripts{
		claim:   script{"claim", claimBody},
		publish: script{"publish", publishBody},
		release: script{"release", releaseBody},
		restore: script{"restore", restoreBody},
		revoke:  script{"revoke", revokeBody},
		follow:  script{"follow", "return {id}"},
		beat:    script{"beat", beatBody},
		leave:   script{"leave", leaveBody},
		readMap: script{"read_map", readMapBody}, changeMap: script{"change_map", changeMapBody},
	}
}
