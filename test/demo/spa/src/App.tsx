import { ApiCard } from './components/ApiCard'
import { Header } from './components/Header'
import { Hero } from './components/Hero'
import { Lifetimes } from './components/Lifetimes'
import { NotesCard } from './components/NotesCard'
import { NoticeBanner } from './components/NoticeBanner'
import { VisibleCard } from './components/VisibleCard'
import { WhoAmI } from './components/WhoAmI'
import { takeLoginError } from './loginError'
import { useSession } from './session'

const loginError = takeLoginError()

export function App() {
  const { state, notice, dismiss, reload, renew, logout, fail } = useSession(loginError)
  return (
    <>
      <Header phase={state.phase} onLogout={logout} />
      <main>
        {notice && <NoticeBanner notice={notice} onDismiss={dismiss} />}
        {state.phase === 'anonymous' && <Hero loginUrl={state.loginUrl} />}
        {state.phase === 'authenticated' && (
          <div className="dashboard">
            <div className="column">
              <WhoAmI user={state.session.user} />
              <Lifetimes session={state.session} onRenew={renew} />
              <ApiCard onAnswered={reload} onFailure={fail} />
              <NotesCard key={state.session.user.sub} sub={state.session.user.sub} onFailure={fail} />
            </div>
            <VisibleCard />
          </div>
        )}
      </main>
      <footer>
        A demo of the token handler pattern: Amazon Cognito logs you in, and only the server can open the cookie that holds
        your tokens.
      </footer>
    </>
  )
}
