import { ApiError, type AuthenticatedSession, type User } from 'cognito-token-handler'
import { useSession } from 'cognito-token-handler/react'
import { useCallback, useEffect, useRef, useState } from 'react'
import { loggedOutPath } from './address'
import { auth } from './auth'
import { notes } from './notes'
import { endedNotice, type Notice } from './notices'

export type State =
  | { phase: 'loading' | 'leaving' | 'unreachable' }
  | { phase: 'anonymous'; loginUrl: string }
  | { phase: 'authenticated'; session: AuthenticatedSession; user: User }
  | { phase: 'offline'; user: User }

// #region logout
/** Ends the session here, at Cognito, and in every tab. `everywhere` ends it in all other browsers of the user, too. */
export async function logOut(everywhere: boolean) {
  const patience = new Promise((resolve) => setTimeout(resolve, 3000))
  await Promise.race([notes.sync(), patience]) // what is pending goes out first
  await auth.logout({ everywhere, returnTo: loggedOutPath })
}
// #endregion

/** What the page shows of the session, and what it tells the user. The client keeps the session true. */
export function useDemo(first: Notice | null) {
  const session = useSession()
  const [notice, setNotice] = useState(first)
  const [leaving, setLeaving] = useState(false)
  const left = useRef(leaving)
  left.current = leaving

  const fail = useCallback((error: unknown) => {
    if (!(error instanceof ApiError)) throw error
    if (error.status === 401) return // the client asks for the session then, and tells of its end
    const title = error.code === 'unreachable' ? 'The server does not answer' : 'That did not work'
    setNotice({ tone: 'bad', title, detail: error.message, requestId: error.requestId })
  }, [])

  useEffect(() => {
    const listening = [
      auth.on('signedOut', ({ loginUrl, ended }) => left.current || setNotice(endedNotice(loginUrl, ended))),
      auth.on('signedIn', () => setNotice((shown) => (shown?.loginUrl ? null : shown))),
      auth.on('userChanged', () => setNotice(null)), // it was for the user before
    ]
    const onRestore = () => setLeaving(false) // the browser's Back button
    addEventListener('pageshow', onRestore)
    return () => {
      listening.forEach((end) => end())
      removeEventListener('pageshow', onRestore)
    }
  }, [])

  useEffect(() => {
    if (session.status !== 'authenticated') return
    // An app needs no such timer. This page shows when the access token ends, and when the next one does.
    const remaining = +session.accessTokenExpiresAt - auth.now()
    const timer = setTimeout(() => void auth.check(), remaining > 0 ? Math.min(remaining + 500, 3_600_000) : 15_000)
    return () => clearTimeout(timer)
  }, [session])

  const logout = async (everywhere: boolean) => {
    setLeaving(true)
    try {
      await logOut(everywhere)
    } catch (error) {
      setLeaving(false)
      fail(error)
    }
  }
  const renew = () => auth.refresh().catch(fail)
  return { state: stateOf(session, leaving), notice, dismiss: () => setNotice(null), renew, logout, fail }
}

function stateOf(session: ReturnType<typeof useSession>, leaving: boolean): State {
  switch (session.status) {
    case 'authenticated':
      return { phase: 'authenticated', session, user: session.user }
    case 'anonymous':
      return leaving ? { phase: 'leaving' } : { phase: 'anonymous', loginUrl: session.loginUrl }
    case 'unknown':
      return session.user ? { phase: 'offline', user: session.user } : { phase: 'unreachable' }
    case 'loading':
      return { phase: 'loading' }
  }
}
