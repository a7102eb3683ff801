// @vitest-environment happy-dom
import { ApiError } from 'cognito-token-handler'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ada, bob, hide, origin, patience, problem, record, Service } from './service'

let service: Service

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: new Date('2026-05-01T12:00:00Z') })
  service = new Service()
  sessionStorage.clear()
  vi.spyOn(location, 'assign').mockReturnValue()
})

afterEach(() => {
  service.close()
  vi.useRealTimers()
})

const minutes = (n: number) => vi.advanceTimersByTimeAsync(n * 60_000)

/** Lets messages of a BroadcastChannel, which are real, arrive. The clock stands still meanwhile. */
async function heard(check: () => void): Promise<void> {
  for (const begun = performance.now(); ; await new Promise((resolve) => setImmediate(resolve))) {
    try {
      return check()
    } catch (error) {
      if (performance.now() - begun > patience) throw error
    }
  }
}

describe('the session', () => {
  test('is loading, then anonymous', async () => {
    const auth = service.client()
    expect(auth.session).toEqual({ status: 'loading' })
    expect(await auth.ready()).toEqual({ status: 'anonymous', loginUrl: '/auth/login' })
    expect(await auth.ready()).toBe(auth.session)
  })

  test('has the user and the times', async () => {
    service.login(ada)
    const auth = service.client()
    const events = record(auth)
    expect(await auth.ready()).toEqual({
      status: 'authenticated',
      user: ada,
      sessionId: '0123456789abcdef',
      authTime: new Date('2026-05-01T12:00:00Z'),
      expiresAt: new Date('2026-05-02T00:00:00Z'),
      idleExpiresAt: new Date('2026-05-01T12:30:00Z'),
      accessTokenExpiresAt: new Date('2026-05-01T12:05:00Z'),
    })
    expect(events).toEqual(['signedIn'])
  })

  test('is asked for once, however many wait', async () => {
    const auth = service.client()
    await Promise.all([auth.ready(), auth.check(), auth.ready(), auth.check()])
    expect(service.asked('/auth/session')).toBe(1)
  })

  test('is the same object until something changes', async () => {
    service.login(ada)
    const auth = service.client()
    const changed = vi.fn()
    const stop = auth.subscribe(changed)
    const first = await auth.ready()
    expect(await auth.check()).toBe(first)
    expect(changed).toHaveBeenCalledTimes(1)
    stop()
    service.logout()
    await auth.check()
    expect(changed).toHaveBeenCalledTimes(1)
  })

  test('is unknown, not anonymous, while the service does not answer', async () => {
    service.next = [problem(503, 'store_unavailable', { 'Retry-After': '20' })]
    const auth = service.client()
    const events = record(auth)
    const session = await auth.ready()
    expect(session).toMatchObject({ status: 'unknown', error: { code: 'store_unavailable', requestId: 'r1', retryAfterMs: 20_000 } })
    service.login(ada)
    await vi.advanceTimersByTimeAsync(19_000)
    expect(service.requests).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1000)
    expect(auth.session.status).toBe('authenticated')
    expect(events).toEqual(['unreachable', 'signedIn'])
  })

  test('stays as it is during an outage until it has ended, and keeps the user then', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    const events = record(auth)
    service.fetch.mockRejectedValue(new TypeError('offline'))
    await auth.check()
    expect(auth.session.status).toBe('authenticated')
    await minutes(32)
    expect(auth.session).toMatchObject({ status: 'unknown', user: ada, error: { code: 'unreachable', status: 0 } })
    expect(events).toEqual(['unreachable'])
    expect(service.fetch.mock.calls.length).toBeLessThan(70) // it waits longer and longer
  })

  test('tells why it ended during an outage', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    service.fetch.mockRejectedValue(new TypeError('offline'))
    await minutes(35)
    expect(auth.session).toMatchObject({ status: 'unknown', ended: 'idle' })
    service.fetch.mockImplementation(async () => Response.json({ authenticated: false, now: new Date().toISOString() }))
    expect(await auth.check()).toMatchObject({ status: 'anonymous', ended: 'idle' })
  })

  test('is asked for again when the browser is online again', async () => {
    service.next = [new TypeError('offline')]
    const auth = service.client()
    expect((await auth.ready()).status).toBe('unknown')
    service.login(ada)
    window.dispatchEvent(new Event('online'))
    await heard(() => expect(auth.session.status).toBe('authenticated'))
  })

  test('is asked for again when the page comes out of the back/forward cache', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    service.logout()
    window.dispatchEvent(new Event('pagehide'))
    window.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }))
    await heard(() => expect(auth.session.status).toBe('anonymous'))
  })

  test('tells why it ended', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    service.logout('revoked')
    expect(await auth.check()).toMatchObject({ status: 'anonymous', ended: 'revoked' })
    service.ended = undefined // the cookie is gone
    expect(await auth.check()).toMatchObject({ ended: 'revoked' })
  })

  test('a listener that fails stops nobody else', async () => {
    const report = vi.fn()
    vi.stubGlobal('reportError', report)
    service.login(ada)
    const auth = service.client()
    auth.on('signedIn', () => {
      throw new Error('of the app')
    })
    const events = record(auth)
    await auth.ready()
    expect(events).toEqual(['signedIn'])
    expect(report).toHaveBeenCalledOnce()
    vi.unstubAllGlobals()
  })
})

describe('time', () => {
  test('nothing is asked before a deadline', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    await minutes(27.9)
    expect(service.requests).toHaveLength(1)
  })

  test('warns before the end, once, and notices the end', async () => {
    service.login(ada)
    const auth = service.client()
    const expiring = vi.fn()
    auth.on('expiring', expiring)
    await auth.ready()
    await minutes(28.1)
    expect(expiring).toHaveBeenCalledOnce()
    expect(expiring.mock.calls[0]![0].ms).toBeGreaterThan(118_000)
    await minutes(1.5)
    expect(expiring).toHaveBeenCalledOnce()
    await minutes(0.6)
    expect(auth.session).toMatchObject({ status: 'anonymous', ended: 'idle' })
    expect(service.asked('/auth/session')).toBeLessThan(7)
  })

  test('does not warn a user who was active meanwhile', async () => {
    service.login(ada)
    const auth = service.client()
    const events = record(auth)
    await auth.ready()
    await minutes(20)
    await auth.fetch('/api/orders')
    await minutes(9)
    expect(events).toEqual(['signedIn'])
    await minutes(20)
    expect(events).toEqual(['signedIn', 'expiring'])
  })

  test('moves on in all tabs when a call of the app comes after the warning', async () => {
    service.login(ada)
    const [one, two] = [service.client(), service.client()]
    await Promise.all([one.ready(), two.ready()])
    await minutes(28.1)
    const asked = service.asked('/auth/session')
    await one.fetch('/api/orders')
    const end = new Date(Date.now() + service.idleMs)
    await heard(() => expect([one, two].map(({ session }) => session)).toMatchObject([{ idleExpiresAt: end }, { idleExpiresAt: end }]))
    await one.fetch('/api/orders')
    await two.fetch('/api/orders')
    expect(service.asked('/auth/session')).toBe(asked + 2)
  })

  test('is not asked for by calls after its end', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    await minutes(31)
    expect(auth.session).toMatchObject({ status: 'anonymous', ended: 'idle' })
    const asked = service.asked('/auth/session')
    service.next = [Response.json([])] // a route that needs no session
    await auth.fetch('/api/prices')
    await minutes(0.1)
    expect(service.asked('/auth/session')).toBe(asked)
  })

  test('is not asked for by calls of another origin', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    await minutes(28.1)
    const asked = service.asked('/auth/session')
    await auth.fetch('https://tiles.example.org/1.png')
    await minutes(0.1)
    expect(service.asked('/auth/session')).toBe(asked)
  })

  test.each(['idleMs', 'lifeMs'] as const)('is asked for every 10 seconds at most if %s is always near', async (limit) => {
    service[limit] = 110_000
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    const asked = service.asked('/auth/session')
    for (let second = 0; second < 60; second++) {
      await auth.fetch('/api/orders')
      await minutes(1 / 60)
    }
    expect(service.asked('/auth/session') - asked).toBeLessThanOrEqual(7)
  })

  test('is asked for again after a call that is answered before an older question', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    hide(true)
    await minutes(28.5)
    const older = Response.json(service.session())
    let answer: (response: Response) => void
    service.fetch.mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)))
    hide(false)
    await auth.fetch('/api/orders')
    answer!(older)
    await auth.check()
    expect(auth.session).toMatchObject({ idleExpiresAt: new Date(Date.now() + service.idleMs) })
  })

  test('is the server’s', async () => {
    service.ahead = -3_600_000
    service.login(ada)
    const auth = service.client()
    const events = record(auth)
    await auth.ready()
    expect(Math.abs(auth.now() - (Date.now() - 3_600_000))).toBeLessThan(1000)
    await minutes(27)
    expect(events).toEqual(['signedIn'])
    await minutes(4)
    expect(events).toEqual(['signedIn', 'expiring', 'signedOut'])
  })

  test('stands still for a hidden page, until its session ends or it is seen', async () => {
    service.login(ada)
    const auth = service.client()
    const events = record(auth)
    await auth.ready()
    hide(true)
    await minutes(29)
    expect(service.requests).toHaveLength(1)
    hide(false)
    await auth.check()
    expect(events).toEqual(['signedIn', 'expiring'])
    hide(true)
    await minutes(2)
    expect(events).toEqual(['signedIn', 'expiring', 'signedOut'])
  })

  test('refresh prolongs the session', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    const events = record(auth)
    await minutes(28.1)
    await auth.refresh()
    expect(service.requests.at(-1)!.method).toBe('POST')
    expect(events).toEqual(['expiring', 'refreshed'])
    await minutes(20)
    expect(auth.session.status).toBe('authenticated')
  })

  test('a refresh that is refused is an error, and the session is kept', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    service.next = [problem(429, 'rate_limited', { 'Retry-After': '10' })]
    await expect(auth.refresh()).rejects.toMatchObject({ name: 'ApiError', status: 429, code: 'rate_limited', retryAfterMs: 10_000 })
    expect(auth.session.status).toBe('authenticated')
  })
})

describe('other tabs', () => {
  test('see a login, a change of user and a logout', async () => {
    const one = service.client()
    await one.ready()
    const events = record(one)
    service.login(ada)
    const two = service.client() // the page to which the login comes back
    await two.ready()
    await heard(() => expect(one.session).toMatchObject({ user: ada }))

    service.login(bob)
    service.sessionId = 'fedcba9876543210'
    const changed = vi.fn()
    one.on('userChanged', changed)
    await two.check()
    await heard(() => expect(one.session).toMatchObject({ user: bob }))
    expect(changed).toHaveBeenCalledWith({ from: ada, to: bob })

    await two.logout()
    await heard(() => expect(one.session).toMatchObject({ status: 'anonymous', ended: 'logout' }))
    expect(events).toEqual(['signedIn', 'userChanged', 'signedOut'])
  })

  test('a page of a user whose session has ended does nothing for another', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    const events = record(auth)
    const changed = vi.fn()
    auth.on('userChanged', changed)
    service.logout()
    await auth.check()
    service.login(bob) // in another tab, whose page has not begun yet
    service.sessionId = 'fedcba9876543210'
    service.next = [problem(409, 'user_changed')]
    await auth.fetch('/api/drafts', { method: 'POST', body: 'of Ada' })
    expect(service.requests.find(({ method }) => method === 'POST')!.headers.get('X-Expected-Sub')).toBe('ada')
    await heard(() => expect(events).toEqual(['signedOut', 'userChanged']))
    expect(changed).toHaveBeenCalledWith({ from: ada, to: bob })
    await auth.fetch('/api/drafts')
    expect(service.requests.at(-1)!.headers.get('X-Expected-Sub')).toBe('bob')
  })

  test('the same user comes back after the end', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    const events = record(auth)
    service.logout()
    await auth.check()
    service.login(ada)
    await auth.check()
    expect(events).toEqual(['signedOut', 'signedIn'])
  })

  test('do not ask each other for ever', async () => {
    service.login(ada)
    const tabs = Array.from({ length: 8 }, () => service.client())
    await Promise.all(tabs.map((tab) => tab.ready()))
    const before = service.requests.length
    await tabs[0]!.logout()
    await heard(() => tabs.forEach((tab) => expect(tab.session.status).toBe('anonymous')))
    await new Promise((resolve) => setImmediate(resolve))
    expect(service.requests.length - before).toBeLessThanOrEqual(1 + 2 * 7)
  })

  test('hear that the user stays logged in', async () => {
    service.login(ada)
    const [one, two] = [service.client(), service.client()]
    await Promise.all([one.ready(), two.ready()])
    await minutes(28.1)
    await two.refresh()
    await heard(() => expect(one.session).toEqual(two.session))
  })
})

describe('fetch', () => {
  test('sends what the service asks for, to the service only', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    await auth.fetch('/api/orders', { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } })
    const [own] = service.requests.slice(-1)
    expect(own!.url).toBe(`${origin}/api/orders`)
    expect(own!.headers.get('X-CSRF')).toBe('1')
    expect(own!.headers.get('X-Expected-Sub')).toBe('ada')
    expect(own!.headers.get('Content-Type')).toBe('application/json')
    await auth.fetch('https://elsewhere.example.com/')
    const [foreign] = service.requests.slice(-1)
    expect(foreign!.headers.has('X-CSRF') || foreign!.headers.has('X-Expected-Sub')).toBe(false)
    await auth.fetch(new Request(`${origin}/api/orders`), { expectedSub: 'bob' })
    expect(service.requests.at(-1)!.headers.get('X-Expected-Sub')).toBe('bob')
  })

  test('a 401 of the service ends the session once, and is returned', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    const events = record(auth)
    service.logout('revoked')
    const answers = await Promise.all(Array.from({ length: 20 }, () => auth.fetch('/api/orders')))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(401))
    await auth.check()
    expect(events).toEqual(['signedOut'])
    expect(service.asked('/auth/session')).toBeLessThanOrEqual(3)
    expect(await ApiError.from(answers[0]!)).toMatchObject({ code: 'not_authenticated', message: 'about not_authenticated', requestId: 'r1' })
  })

  test('the API’s own 401 is the app’s', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    service.next = [new Response('no', { status: 401, headers: { 'Proxy-Status': 'token-handler; received-status=401' } })]
    expect((await auth.fetch('/api/orders')).status).toBe(401)
    expect(service.asked('/auth/session')).toBe(1)
  })

  test.each(['provider_unavailable', 'store_unavailable', 'audit_unavailable'])('waits as long as a %s says, and sends the request again', async (code) => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    service.next = [problem(503, code, { 'Retry-After': '3' }), problem(429, 'rate_limited', { 'Retry-After': '1' })]
    const answer = auth.fetch('/api/orders', { method: 'POST', body: 'x' })
    await vi.advanceTimersByTimeAsync(2900)
    expect(service.asked('/api/orders')).toBe(1)
    await vi.advanceTimersByTimeAsync(1200)
    expect((await answer).status).toBe(200)
    expect(await service.requests.at(-1)!.text()).toBe('x')
  })

  test.each([
    ['a 503 of the API', new Response('later', { status: 503, headers: { 'Retry-After': '1' } })],
    ['a long wait', problem(503, 'provider_unavailable', { 'Retry-After': '60' })],
    ['another error of the service', problem(502, 'upstream_error')],
  ])('returns %s', async (_, answer) => {
    const auth = service.client()
    await auth.ready()
    service.next = [answer]
    expect(await auth.fetch('/api/orders')).toBe(answer)
    expect(service.asked('/api/orders')).toBe(1)
  })

  test('gives up waiting when the app does', async () => {
    const auth = service.client()
    await auth.ready()
    const stop = new AbortController()
    service.next = [problem(503, 'provider_unavailable', { 'Retry-After': '5' })]
    service.fetch.mockImplementationOnce(service.fetch.getMockImplementation()!).mockImplementation(async (request) => {
      ;(request as Request).signal.throwIfAborted()
      return new Response()
    })
    const answer = auth.fetch('/api/orders', { signal: stop.signal })
    await vi.advanceTimersByTimeAsync(100)
    stop.abort()
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('without an answer there is an ApiError', async () => {
    const auth = service.client()
    await auth.ready()
    service.next = [new TypeError('Failed to fetch')]
    await expect(auth.fetch('/api/orders')).rejects.toMatchObject({ name: 'ApiError', code: 'unreachable', message: 'no answer from /api/orders' })
  })

  test('another user than expected is noticed', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    const events = record(auth)
    service.login(bob)
    service.next = [problem(409, 'user_changed')]
    expect((await auth.fetch('/storage/uploads', { method: 'POST' })).status).toBe(409)
    await heard(() => expect(events).toEqual(['userChanged']))
  })

  test('an answer that was under way when the session ended is not the last word', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    let answer: (response: Response) => void = () => {}
    service.fetch.mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)))
    const old = auth.check()
    const body = service.session()
    service.logout('revoked')
    await auth.fetch('/api/orders')
    answer(Response.json(body))
    expect(await old).toMatchObject({ status: 'anonymous', ended: 'revoked' })
  })

  test('a service on another origin gets cookies', async () => {
    service.login(ada)
    const auth = service.client({ baseUrl: 'https://service.example.com', authPath: '/login' })
    await auth.ready()
    await auth.fetch('/api/orders')
    expect(service.requests.map(({ url }) => url)).toEqual(['https://service.example.com/login/session', 'https://service.example.com/api/orders'])
    expect(service.requests[1]!.credentials).toBe('include')
  })
})

describe('leaving the page', () => {
  const target = () => new URL(vi.mocked(location.assign).mock.calls.at(-1)![0] as string)

  test('for a login, and coming back', async () => {
    const auth = service.client()
    await auth.ready()
    expect(auth.login({ provider: 'Google', loginHint: 'ada', lang: 'de', prompt: 'login', state: { draft: 1 } })).toBe(true)
    expect(target().pathname).toBe('/auth/login')
    expect(Object.fromEntries(target().searchParams)).toEqual({
      return_to: '/orders?id=7#top',
      identity_provider: 'Google',
      login_hint: 'ada',
      lang: 'de',
      prompt: 'login',
    })
    expect(auth.takeState()).toBeUndefined()
    service.login(ada)
    const back = service.client()
    await back.ready()
    expect(back.takeState()).toEqual({ draft: 1 })
    expect(back.takeState()).toBeUndefined()
    expect(sessionStorage.getItem('tokenhandler:state')).toBeNull()
  })

  test('a link to the login goes where the login goes', async () => {
    const auth = service.client()
    await auth.ready()
    const href = auth.loginHref({ returnTo: '/notes', lang: 'de' })
    expect(location.assign).not.toHaveBeenCalled()
    auth.login({ returnTo: '/notes', lang: 'de' })
    expect(target().href).toBe(href)
  })

  test('what one user left is not given to another', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    auth.login({ state: 'a secret of Ada' })
    service.login(bob)
    const back = service.client()
    await back.ready()
    expect(back.takeState()).toBeUndefined()
  })

  test('what was left after the session’s end belongs to its user, too', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    service.logout()
    await auth.check()
    auth.login({ state: 'a secret of Ada' })
    service.login(bob)
    const back = service.client()
    await back.ready()
    expect(back.takeState()).toBeUndefined()
  })

  test('for the other pages', async () => {
    const auth = service.client()
    await auth.ready()
    auth.signUp({ returnTo: '/welcome' })
    expect(target().pathname + target().search).toBe('/auth/signup?return_to=%2Fwelcome')
    auth.forgotPassword()
    expect(target().pathname).toBe('/auth/forgot-password')
    auth.addPasskey({ returnTo: '/settings' })
    expect(target().pathname + target().search).toBe('/auth/passkeys/add?return_to=%2Fsettings')
  })

  test('a service on another origin comes back to this one', async () => {
    service.login(ada)
    const auth = service.client({ baseUrl: 'https://service.example.com' })
    await auth.ready()
    const returnTo = () => target().searchParams.get('return_to')
    auth.login({ returnTo: '/x?y=1#z' })
    expect(returnTo()).toBe('https://app.example.com/x?y=1#z')
    auth.login({ returnTo: 'https://sibling.example.com/x' })
    expect(returnTo()).toBe('https://sibling.example.com/x')
    auth.addPasskey()
    expect(returnTo()).toBe('https://app.example.com/orders?id=7#top')
    await auth.logout({ returnTo: '/bye' })
    expect(new URL(service.requests.at(-1)!.url).searchParams.get('return_to')).toBe('https://app.example.com/bye')
    await auth.logout()
    expect(new URL(service.requests.at(-1)!.url).search).toBe('')
  })

  test('a login that starts by itself does so once a minute, and not while the page is left', async () => {
    const auth = service.client()
    await auth.ready()
    expect(auth.login({ auto: true })).toBe(true)
    const again = service.client()
    await again.ready()
    expect(again.login({ auto: true })).toBe(false)
    await minutes(1.1)
    expect(again.login({ auto: true })).toBe(true)
    expect(location.assign).toHaveBeenCalledTimes(2)
    await minutes(1.1)
    expect(again.login({ auto: true })).toBe(true) // the page is being left
    expect(location.assign).toHaveBeenCalledTimes(2)
  })

  test('for a logout', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    const events = record(auth)
    auth.subscribe(() => auth.login({ auto: true }))
    await auth.logout({ everywhere: true, returnTo: '/bye' })
    expect(new URL(service.requests.at(-1)!.url).search).toBe('?everywhere=true&return_to=%2Fbye')
    expect(vi.mocked(location.assign).mock.calls).toEqual([['https://login.example.com/logout']])
    expect(auth.session).toMatchObject({ status: 'anonymous', ended: 'logout' })
    expect(events).toEqual(['signedOut'])
  })

  test('not when the logout fails', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    service.next = [problem(403, 'cross_site_request')]
    await expect(auth.logout()).rejects.toMatchObject({ code: 'cross_site_request' })
    expect(location.assign).not.toHaveBeenCalled()
    expect(auth.session.status).toBe('authenticated')
  })

  test('an answer from before the logout does not log in again', async () => {
    service.login(ada)
    const auth = service.client()
    await auth.ready()
    let answer: (response: Response) => void = () => {}
    service.fetch.mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)))
    const old = auth.check()
    const body = service.session()
    await auth.logout()
    answer(Response.json(body))
    await old
    expect(auth.session.status).toBe('anonymous')
  })
})
