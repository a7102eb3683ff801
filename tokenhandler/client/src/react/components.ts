import type { AnonymousSession, UnknownSession, User } from 'cognito-token-handler'
import { createElement as h, Fragment, useEffect, useState, type ReactElement, type ReactNode } from 'react'
import { useAuthClient, userOf, useSession, useTimeLeft } from './hooks'

/** What {@link RequireAuthProps.signedOut} gets. */
export interface SignedOut {
  session: AnonymousSession
  /** Starts a login in this tab. */
  login: () => void
  /** The address of the login, for a link. */
  href: string
  /** True if the page under it is kept: a login in another tab lets the user go on in it. */
  kept: boolean
}

export interface RequireAuthProps {
  children?: ReactNode
  /** Shown until the session is known, and while the page is left for the login. */
  fallback?: ReactNode
  /** Shown to a user who is not logged in when no login starts by itself: after a logout, an expiry, or a login that did not help. */
  signedOut?: (props: SignedOut) => ReactNode
  /** Shown when the service does not answer and has not said yet who is logged in. */
  unreachable?: (session: UnknownSession) => ReactNode
}

/**
 * Shows its children to a user who is logged in, and starts a login for anybody else. When the session expires, the children
 * are hidden, not removed: after a login in another tab the same user goes on where they were, and nothing typed is lost.
 * Another user gets new children, with no state of the first one's.
 */
export function RequireAuth({ children, fallback, signedOut = askToLogIn, unreachable }: RequireAuthProps): ReactNode {
  const auth = useAuthClient()
  const session = useSession()
  const [leaving, setLeaving] = useState(true)
  const [last, setLast] = useState<User>()

  const user = userOf(session)
  const anonymous = session.status === 'anonymous'
  const loggedOut = anonymous && session.ended === 'logout'
  const kept = loggedOut ? undefined : (user ?? last)
  if (kept !== last) setLast(kept)
  const starts = anonymous && !loggedOut && !kept

  useEffect(() => {
    if (starts) setLeaving(auth.login({ auto: true }))
    // The browser's back button may show the page again as it was left: then the user is offered a login.
    const offer = () => setLeaving(false)
    addEventListener('pagehide', offer)
    return () => removeEventListener('pagehide', offer)
  }, [starts, auth])

  const notice = user
    ? null
    : anonymous && !(starts && leaving)
      ? signedOut({ session, login: auth.login, href: auth.loginHref(), kept: !!kept })
      : session.status === 'unknown' && unreachable
        ? unreachable(session)
        : fallback
  const page = kept && h('div', { key: kept.sub, style: { display: user ? 'contents' : 'none' } }, children)
  return h(Fragment, null, page, notice)
}

function askToLogIn({ href, kept }: SignedOut): ReactElement {
  return h('div', { role: 'alert' }, 'You are logged out. ', h('a', { href, target: kept ? '_blank' : undefined }, 'Log in'))
}

/** What the children of {@link SessionWarning} get. */
export interface Warning {
  /** The milliseconds that are left. */
  left: number
  /** Prolongs the session. */
  stay: () => void
}

export interface SessionWarningProps {
  /**
   * How long before the end it is shown, in milliseconds. The default is two minutes. If it is longer than the client's `expiringMs`,
   * set `expiringMs` to the same; otherwise calls do not end it before.
   */
  within?: number
  /** Another look. */
  children?: (props: Warning) => ReactNode
}

/** Asks a user whose session is about to end whether to stay logged in. */
export function SessionWarning({ within = 120_000, children = askToStay }: SessionWarningProps): ReactNode {
  const auth = useAuthClient()
  const left = useTimeLeft(within)
  return left ? children({ left, stay: () => void auth.refresh().catch(auth.check) }) : null
}

function askToStay({ left, stay }: Warning): ReactElement {
  const text = `Your session ends in ${Math.ceil(left / 1000)} seconds. `
  return h('div', { role: 'alert' }, text, h('button', { type: 'button', onClick: stay }, 'Stay logged in'))
}
