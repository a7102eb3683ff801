import { ApiError } from './error'
import { keepState, mayStartByItself, pageUrl, returnAddress, takeState, withQuery } from './pages'
import { send, type Caller } from './requests'
import type { Auth, AuthOptions, AuthRequestInit, LoginOptions, LogoutOptions } from './types'
import { createWatch } from './watch'
import type { LogoutAnswer } from './wire'

/**
 * Creates the client. In a browser it asks for the session at once. On a server it does nothing, and `session` stays `loading`.
 * It holds no token: the session is in a cookie that no script can read.
 */
export function createAuth({ baseUrl, authPath = '/auth', expiringMs = 120_000, fetch: sender }: AuthOptions = {}): Auth {
  const here = typeof document === 'undefined' ? 'http://localhost' : location.origin
  const { origin } = new URL(baseUrl ?? here)
  const crossOrigin = origin !== here
  const base = origin + authPath
  let leaving = false

  const caller: Caller = {
    origin,
    crossOrigin,
    send: (request) => (sender ?? fetch)(request),
    sub: () => watch.lastUser()?.sub,
    doubt: () => watch.askAgain(),
  }
  /** Calls the service for whoever is logged in. */
  async function call<T>(url: string, method: string): Promise<T> {
    const response = await send(caller, url, { method, cache: 'no-store', expectedSub: null })
    if (!response.ok) throw await ApiError.from(response)
    return response.json() as Promise<T>
  }
  const watch = createWatch(base, call, expiringMs)

  function go(url: string): void {
    leaving = true
    location.assign(url)
    // A page that comes back from the back/forward cache may leave again.
    addEventListener('pageshow', () => (leaving = false), { once: true })
  }

  const addressOf = (page: string, options: LoginOptions = {}) => pageUrl(base + page, crossOrigin, options)

  const leaveFor = (page: string) => ({ auto, state, ...options }: LoginOptions = {}) => {
    if (auto && (leaving || !mayStartByItself())) return leaving
    if (state !== undefined) keepState(state, caller.sub())
    go(addressOf(page, options))
    return true
  }

  return Object.assign(watch.auth, {
    login: leaveFor('/login'),
    loginHref: (options?: LoginOptions) => addressOf('/login', options),
    signUp: leaveFor('/signup'),
    forgotPassword: leaveFor('/forgot-password'),
    addPasskey: leaveFor('/passkeys/add'),
    async logout({ everywhere, returnTo }: LogoutOptions = {}) {
      const url = withQuery(base + '/logout', { everywhere: everywhere && 'true', return_to: returnTo && returnAddress(crossOrigin, returnTo) })
      const { logout_url: next } = await call<LogoutAnswer>(url, 'POST')
      leaving = true // before the app hears of the end and starts a login
      watch.end()
      go(next)
    },
    takeState<T>() {
      const { session } = watch.auth
      return session.status === 'authenticated' ? (takeState(session.user.sub) as T | undefined) : undefined
    },
    fetch: (input: RequestInfo | URL, init?: AuthRequestInit) => send(caller, input, init, watch.called),
  })
}
