import type { ApiError } from './error'
import { createListeners } from './events'
import { endedBecause, endOf, identity, toSession, userOf } from './session'
import { createTabs, type News } from './tabs'
import type { Auth, AuthenticatedSession, AuthEvents, Ended, Session, User } from './types'
import type { SessionAnswer } from './wire'

/** The session as the page knows it, kept true. */
export interface Watch {
  /** What the app sees of it. */
  auth: Pick<Auth, 'session' | 'ready' | 'subscribe' | 'on' | 'now' | 'check' | 'refresh' | 'close'>
  /** Asks after something has happened: an answer that is under way may be older than that. */
  askAgain(): Promise<Session>
  /** Hears of a call of the app. If the session's end is near, the call may have moved it, so the client asks, every 10 seconds at most. */
  called(): void
  /** Shows that the user has logged out here. */
  end(): void
  /** Who is logged in, or was last: after the session's end the page may still show what is theirs. */
  lastUser(): User | undefined
}

/** Watches the session at `base`, with requests that `call` sends. */
export function createWatch(base: string, call: <T>(url: string, method: string) => Promise<T>, expiringMs: number): Watch {
  const listeners = createListeners<AuthEvents & { change: undefined }>()
  const browser = typeof document !== 'undefined'
  const tabs = browser ? createTabs('tokenhandler ' + base, hear) : undefined
  const closing = new AbortController()

  let session: Session = { status: 'loading' }
  let shown = '' // the session as text
  let last: User | undefined // who was logged in before the session changed
  let pending: Promise<Session> | undefined // the request that is under way
  let again = false // another one must follow it
  let heard: Ended | undefined // why it has ended, as another tab knows: the service gets no cookie any more
  let epoch = 0 // counts the logouts, which make answers to older requests untrue
  let ahead = 0 // the server's clock minus this machine's
  let askedAt = 0
  let calledAt = 0 // when a call of the app last made the client ask
  let failures = 0
  let warnedOf = 0 // the end of which `expiring` has told
  let timer: ReturnType<typeof setTimeout> | undefined

  const now = () => Date.now() + ahead
  const lastUser = () => userOf(session) ?? last

  /** Sends a request for the session and shows the answer. */
  async function ask(page: string, method: string): Promise<Session> {
    const sentIn = epoch
    const sentAt = Date.now()
    const answer = await call<SessionAnswer>(base + page, method)
    if (sentIn !== epoch) return session
    failures = 0
    askedAt = Date.now()
    // Right within half of the time that the answer took. After a timer that is early by that, the client asks once more.
    ahead = Date.parse(answer.now) - (sentAt + askedAt) / 2
    return show(toSession(answer, base + '/login', heard ?? endedBecause(session, now())))
  }

  function check(): Promise<Session> {
    pending ??= ask('/session', 'GET')
      .catch(fail)
      .then(() => {
        pending = undefined
        return again ? askAgain() : session
      })
    return pending
  }

  function askAgain(): Promise<Session> {
    again = !!pending
    return check()
  }

  /** Keeps what is known as long as it can be true: a service that does not answer has logged nobody out. */
  function fail(error: Error): Session {
    if (session.status !== 'anonymous' && !(now() < endOf(session))) show({ status: 'unknown', error, user: userOf(session), ended: endedBecause(session, now()) })
    if (!failures++) listeners.emit('unreachable', error)
    const backoff = Math.min(60_000, 500 * 2 ** failures) * (0.5 + Math.random())
    if (!document.hidden) wake(Math.max((error as Partial<ApiError>).retryAfterMs ?? 0, backoff))
    return session
  }

  /** Replaces the session, unless nothing has changed, and tells everybody. */
  function show(next: Session): Session {
    const before = session
    const text = JSON.stringify(next)
    if (text !== shown) {
      shown = text
      session = next
      if (identity(next)) tabs?.tell({ identity: identity(next), ended: (next as { ended?: Ended }).ended })
      listeners.emit('change', undefined)
      announce(before, next)
      last = lastUser()
    }
    schedule()
    return session
  }

  function announce(before: Session, next: Session): void {
    if (next.status === 'anonymous' && userOf(before)) listeners.emit('signedOut', next)
    if (next.status !== 'authenticated') return
    if (last && last.sub !== next.user.sub) listeners.emit('userChanged', { from: last, to: next.user })
    else if (!userOf(before)) listeners.emit('signedIn', next)
    else if (next.accessTokenExpiresAt > (before as AuthenticatedSession).accessTokenExpiresAt) listeners.emit('refreshed', next)
  }

  /** Sets the one timer, and warns of an end that is near. While nobody sees the page, only the end counts. */
  function schedule(): void {
    const end = endOf(session)
    const ms = end - now()
    const early = document.hidden ? ms : ms - expiringMs
    if (early <= 0 && warnedOf < end) listeners.emit('expiring', { at: new Date((warnedOf = end)), ms })
    wake(early > 0 ? early : ms)
  }

  /** Asks after a while: a second at least, because clocks that disagree must not make a loop. setTimeout can wait for 24 days at most. NaN only stops the timer. */
  function wake(ms: number): void {
    clearTimeout(timer)
    if (ms === ms) timer = setTimeout(check, Math.min(Math.max(ms, 1000), 2e9))
  }

  function hear({ identity: theirs, ended }: News): void {
    if (theirs === identity(session)) return
    heard = ended
    void askAgain()
  }

  /** Asks when the user comes back to the tab, unless the answer is of the last minute. */
  function look(): void {
    if (document.hidden || (!failures && Date.now() - askedAt < 60_000)) schedule()
    else void check()
  }

  if (browser) {
    const options = { signal: closing.signal }
    addEventListener('online', askAgain, options)
    addEventListener('pagehide', () => tabs?.close(), options)
    addEventListener('pageshow', ({ persisted }) => {
      if (!persisted) return // else the page comes out of the back/forward cache
      tabs?.open()
      void askAgain()
    }, options)
    document.addEventListener('visibilitychange', look, options)
    void check()
  }

  return {
    auth: {
      get session() {
        return session
      },
      ready: () => (session.status === 'loading' && pending) || Promise.resolve(session),
      subscribe: (listener) => listeners.add('change', listener),
      on: listeners.add,
      now,
      check,
      async refresh() {
        await pending
        await ask('/refresh', 'POST')
        tabs?.tell({})
        return session
      },
      close() {
        closing.abort()
        tabs?.close()
        clearTimeout(timer)
      },
    },
    askAgain,
    lastUser,
    called() {
      // False without a session. With an idle timeout that is shorter than expiringMs, the end is always near.
      if (now() > Math.max(endOf(session) - expiringMs, calledAt + 10_000)) {
        calledAt = now()
        void askAgain().then(() => tabs?.tell({}))
      }
    },
    end() {
      epoch++
      show({ status: 'anonymous', loginUrl: base + '/login', ended: 'logout' })
    },
  }
}
