import { useCallback, useEffect, useRef, useState } from 'react'
import { ApiError, request } from './api'

export interface User {
  sub: string
  username?: string
  email?: string
  name?: string
  groups?: string[]
}

/** What `GET /auth/session` says about a logged-in user: claims and times, never a token. */
export interface Session {
  authenticated: true
  user: User
  expires_at: string
  idle_expires_at: string
  access_token_expires_at: string
}

type SessionAnswer = Session | { authenticated: false; login_url: string }

export type State =
  | { phase: 'loading' }
  | { phase: 'leaving' }
  | { phase: 'anonymous'; loginUrl: string }
  | { phase: 'authenticated'; session: Session }

/** Something to tell the user above the page. */
export interface Notice {
  title: string
  detail: string
  requestId?: string | undefined
  loginUrl?: string
}

const loginUrl = '/auth/login'

/** The session as the page knows it, kept true: asked for on load, when a deadline passes and when the tab comes back. */
export function useSession(first: Notice | null) {
  const [state, setState] = useState<State>({ phase: 'loading' })
  const [notice, setNotice] = useState<Notice | null>(first)
  const phase = useRef(state.phase)
  phase.current = state.phase

  const accept = useCallback((answer: SessionAnswer) => {
    if (answer.authenticated) return setState({ phase: 'authenticated', session: answer })
    if (phase.current === 'authenticated') setNotice(ended(answer.login_url))
    setState({ phase: 'anonymous', loginUrl: answer.login_url })
  }, [])

  /** Shows a failure; if it says that the session is over, the user's data leaves the page at once. */
  const fail = useCallback((error: unknown) => {
    if (!(error instanceof ApiError)) throw error
    const { problem } = error
    if (!error.sessionEnded) return setNotice({ title: problem.title, detail: error.message, requestId: problem.request_id })
    setNotice(ended(problem.login_url ?? loginUrl))
    setState({ phase: 'anonymous', loginUrl: problem.login_url ?? loginUrl })
  }, [])

  const reload = useCallback(
    () => request<SessionAnswer>('GET', '/auth/session').then(accept).catch(fail),
    [accept, fail],
  )
  const renew = useCallback(() => request<SessionAnswer>('POST', '/auth/refresh').then(accept).catch(fail), [accept, fail])

  const logout = useCallback(async () => {
    try {
      const answer = await request<{ logout_url: string }>('POST', '/auth/logout')
      setState({ phase: 'leaving' })
      location.assign(answer.logout_url)
    } catch (error) {
      fail(error)
    }
  }, [fail])

  useEffect(() => {
    void reload()
    const onReturn = () => {
      if (document.visibilityState === 'visible' && phase.current !== 'leaving') void reload()
    }
    const onRestore = (event: PageTransitionEvent) => {
      if (event.persisted) void reload()
    }
    document.addEventListener('visibilitychange', onReturn)
    window.addEventListener('pageshow', onRestore)
    return () => {
      document.removeEventListener('visibilitychange', onReturn)
      window.removeEventListener('pageshow', onRestore)
    }
  }, [reload])

  useEffect(() => {
    if (state.phase !== 'authenticated') return
    const timer = setTimeout(() => void reload(), untilNextDeadline(state.session))
    return () => clearTimeout(timer)
  }, [state, reload])

  return { state, notice, dismiss: () => setNotice(null), reload, renew, logout, fail }
}

/** Milliseconds until something in the session runs out; 15 s if it already has, so that clock skew makes no tight loop. */
function untilNextDeadline(session: Session): number {
  const deadlines = [session.expires_at, session.idle_expires_at, session.access_token_expires_at].map(Date.parse)
  const left = Math.min(...deadlines) - Date.now()
  return left > 0 ? Math.min(left + 500, 3_600_000) : 15_000
}

function ended(url: string): Notice {
  return {
    title: 'Your session has ended',
    detail: 'It ran out, or you logged out in another tab. Your notes are still in this browser.',
    loginUrl: url,
  }
}
