// What an app needs to call the service. Copy it into yours.

const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds))

let sub // of the user whom this page shows

// call sends a request. After a 503 the session is kept, so it tries again. A 401 of the
// service leads to the login; one of your API does not, and neither does a 403: a new login
// would change nothing. If another user has logged in in another tab, the service refuses
// the request, and the page starts again for that user. The caller handles every answer
// that it gets.
export async function call(url, options = {}, tries = 3) {
  const expected = sub ? { 'X-Expected-Sub': sub } : {}
  const answer = await fetch(url, { ...options, headers: { ...options.headers, ...expected, 'X-CSRF': '1' } })
  if (answer.status === 503 && tries > 1) {
    await wait(Number(answer.headers.get('Retry-After')) || 1)
    return call(url, options, tries - 1)
  }
  if (answer.status === 401 && !answer.headers.has('Proxy-Status')) login()
  if (answer.status === 409 && (await codeOf(answer)) === 'user_changed') location.reload()
  return answer
}

// codeOf returns the code of an error of the service.
async function codeOf(answer) {
  if (answer.headers.get('Content-Type') !== 'application/problem+json') return ''
  return (await answer.clone().json()).code
}

// login leaves the page, unless a login within the last minute did not help: no loop.
export function login() {
  if (Date.now() - Number(sessionStorage.getItem('login')) < 60_000) return
  sessionStorage.setItem('login', String(Date.now()))
  location.assign('/auth/login?return_to=' + encodeURIComponent(location.pathname + location.search))
}

// start returns the session, or goes to the login if there is none. After an error that
// says nothing about the session it throws.
export async function start() {
  const answer = await call('/auth/session')
  if (!answer.ok) throw new Error('the session is not known: ' + answer.status)
  const session = await answer.json()
  sub = session.user?.sub
  if (!session.authenticated) login()
  return session
}

export async function logout() {
  const answer = await call('/auth/logout', { method: 'POST' })
  if (answer.ok) location.assign((await answer.json()).logout_url) // ends Cognito's own session, too
}
