import { ApiError, type AuthenticatedSession } from 'cognito-token-handler'
import { useAuth, useSession } from 'cognito-token-handler/react'
import { useCallback, useEffect, useRef, useState } from 'react'
import { auth } from './auth'

export type State =
  | { phase: 'loading' }
  | { phase: 'leaving' }
  | { phase: 'anonymous'; loginUrl: string }
  | { phase: 'authenticated'; session: AuthenticatedSession }

/** Something to tell the user above the page. */
export interface Notice {
  title: string
  detail: string
  requestId?: string | undefined
  loginUrl?: string
}

/** What the page shows of the session, and what it tells the user. The client keeps the session true. */
export function useDemo(first: Notice | null) {
  const { logout: leave, refreshSession } = useAuth()
  const session = useSession()
  const [notice, setNotice] = useState<Notice | null>(first)
  const [leaving, setLeaving] = useState(false)
  const left = useRef(leaving)
  left.current = leaving

  const fail = useCallback((error: unknown) => {
    if (!(error instanceof ApiError)) throw error
    if (error.status === 401) return // the client asks for the session then, and tells of its end
    const title = error.code === 'unreachable' ? 'The server does not answer' : 'That did not work'
    setNotice({ title, detail: error.message, requestId: error.requestId })
  }, [])

  useEffect(() => {
    const listening = [
      auth.on('signedOut', ({ loginUrl }) => left.current || setNotice(ended(loginUrl))),
      auth.on('signedIn', () => setNotice((shown) => (shown?.loginUrl ? null : shown))),
      auth.on('unreachable', fail),
    ]
    const onRestore = () => setLeaving(false) // the browser's Back button
    window.addEventListener('pageshow', onRestore)
    return () => {
      listening.forEach((end) => end())
      window.removeEventListener('pageshow', onRestore)
    }
  }, [fail])

  useEffect(() => {
    if (session.status !== 'authenticated') return
    // An app needs no such timer. This page shows when the access token ends, and when the next one does.
    const remaining = +session.accessTokenExpiresAt - auth.now()
    const timer = setTimeout(() => void auth.check(), remaining > 0 ? Math.min(remaining + 500, 3_600_000) : 15_000)
    return () => clearTimeout(timer)
  }, [session])

  const logout = async () => {
    setLeaving(true)
    try {
      await leave()
    } catch (error) {
      setLeaving(false)
      fail(error)
    }
  }
  const renew = () => refreshSession().catch(fail)

  let state: State = { phase: 'loading' }
  if (session.status === 'authenticated') state = { phase: 'authenticated', session }
  else if (session.status === 'anonymous') {
    state = leaving ? { phase: 'leaving' } : { phase: 'anonymous', loginUrl: session.loginUrl }
  }
  return { state, notice, dismiss: () => setNotice(null), renew, logout, fail }
}

function ended(url: string): Notice {
  return {
    title: 'Your session has ended',
    detail: 'It ran out, or you logged out in another tab. Your notes are still in this browser.',
    loginUrl: url,
  }
}
