import { useEffect, useRef } from 'react'
import { auth } from './auth'
import { AfterSession } from './components/AfterSession'
import { Dashboard } from './components/Dashboard'
import { Header } from './components/Header'
import { Hero } from './components/Hero'
import { NoticeBanner } from './components/NoticeBanner'
import { Waiting } from './components/Waiting'
import { takeNotice } from './notices'
import { useDemo, type State } from './session'

const firstNotice = takeNotice()

export function App() {
  const { state, notice, dismiss, renew, logout, fail } = useDemo(firstNotice)
  const { phase } = state
  useFocus(state, notice !== null)
  return (
    <>
      <Header phase={phase} onLogout={() => void logout(false)} />
      <main id="main" tabIndex={-1}>
        {notice && <NoticeBanner notice={notice} onDismiss={() => dismissAndStay(dismiss)} />}
        {phase === 'anonymous' && <AfterSession />}
        {phase === 'anonymous' && <Hero loginUrl={state.loginUrl} />}
        {(phase === 'authenticated' || phase === 'offline') && (
          <Dashboard
            key={state.user.sub}
            user={state.user}
            session={phase === 'authenticated' ? state.session : undefined}
            onRenew={renew}
            onLogoutEverywhere={() => void logout(true)}
            onFailure={fail}
          />
        )}
        {(phase === 'loading' || phase === 'leaving' || phase === 'unreachable') && <Waiting phase={phase} />}
      </main>
      <footer>
        A demo of the token handler pattern: Amazon Cognito logs you in, and only the server can open the cookie that holds
        your tokens.
      </footer>
    </>
  )
}

/**
 * Moves the focus to the page's heading after a login, and when what had the focus is gone with its page. A notice takes the
 * focus itself.
 */
function useFocus(state: State, hasNotice: boolean) {
  const { phase } = state
  const before = useRef(phase)
  useEffect(() => {
    const from = before.current
    before.current = phase
    if (hasNotice || document.activeElement !== document.body) return
    const since = phase === 'authenticated' ? auth.now() - +(state.session.authTime ?? 0) : Infinity
    const changed = from !== phase && from !== 'loading'
    if (changed || since < 60_000) document.querySelector<HTMLElement>('main h1')?.focus()
  }, [phase])
}

function dismissAndStay(dismiss: () => void) {
  dismiss()
  document.querySelector<HTMLElement>('main h1')?.focus()
}
