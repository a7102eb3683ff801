//go:build e2e

package app_test

import (
	"os/exec"
	"testing"
)

// snippetTest runs config/examples/app.js with answers that a test makes up.
const snippetTest = `
import { call, login, start } from '../../config/examples/app.js'
let answers = [], asked = [], went = [], store = {}, clock = 1e12
globalThis.fetch = async (url, options) => { asked.push(options); return answers.shift() }
globalThis.sessionStorage = { getItem: (k) => store[k] ?? null, setItem: (k, v) => { store[k] = v } }
globalThis.location = { pathname: '/a b', search: '?c=d', assign: (url) => went.push(url), reload: () => went.push('reload') }
globalThis.setTimeout = (done, ms) => { clock += ms; done() }
Date.now = () => clock
const problem = { 'Content-Type': 'application/problem+json' }
const json = (status, body, headers = {}) => new Response(JSON.stringify(body), { status, headers })
function want(what, ok) { if (!ok) { console.log(what, { asked, went, clock }); process.exit(1) } }

answers = [json(503, {}, { 'Retry-After': '7' }), json(200, { authenticated: true })]
want('503, then the session', (await start()).authenticated && went.length === 0 && clock === 1e12 + 7000)
want('X-CSRF', asked.every((o) => o.headers['X-CSRF'] === '1'))
answers = [json(503, {}), json(503, {}), json(503, {})]
want('503 for good throws', await start().then(() => false, () => true) && went.length === 0 && answers.length === 0)
answers = [json(403, {})]
want('403 stays', (await call('/api/x')).status === 403 && went.length === 0)
answers = [json(403, {})]
want('403 of the session throws', await start().then(() => false, () => true) && went.length === 0)
answers = [json(401, {}, { 'Proxy-Status': 'token-handler; received-status=401' })]
want('401 of the API stays', (await call('/api/x')).status === 401 && went.length === 0)
answers = [json(401, {})]
await call('/api/x', { method: 'POST', headers: { A: 'b' } })
want('401 leads to the login', went[0] === '/auth/login?return_to=%2Fa%20b%3Fc%3Dd' && asked.at(-1).headers.A === 'b')
answers = [json(200, { authenticated: false }), json(401, {})]
await start(); await call('/api/x')
want('no loop', went.length === 1)
clock += 60_000
login()
want('a later login', went.length === 2)
want('nobody is expected', asked.every((o) => !('X-Expected-Sub' in o.headers)))
answers = [json(200, { authenticated: true, user: { sub: 'ada' } }), json(200, {}), json(409, { code: 'user_changed' }, problem), json(409, { code: 'already_exists' }, problem), json(409, { code: 'user_changed' })]
await start(); await call('/api/x')
want('the user is expected', asked.at(-1).headers['X-Expected-Sub'] === 'ada' && went.length === 2)
want('another tab has another user', (await call('/api/x')).status === 409 && went[2] === 'reload')
want('the body is left to the caller', (await (await call('/api/x')).json()).code === 'already_exists' && went.length === 3)
await call('/api/x')
want('409 of the API stays', went.length === 3)
`

// TestSnippetOfTheReadme: the code that apps copy takes neither 403 nor 503 for "logged
// out", does not loop, and never acts for a user who has logged in elsewhere.
func TestSnippetOfTheReadme(t *testing.T) {
	node := exec.CommandContext(t.Context(), "node", "--input-type=module", "--eval", snippetTest)
	if out, err := node.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
