import { useState } from 'react'
import { auth } from './auth'
import { ApiCard } from './components/ApiCard'
import { FilesCard } from './components/FilesCard'
import { Header } from './components/Header'
import { Hero } from './components/Hero'
import { Lifetimes } from './components/Lifetimes'
import { NotesCard } from './components/NotesCard'
import { NoticeBanner } from './components/NoticeBanner'
import { VisibleCard } from './components/VisibleCard'
import { WhoAmI } from './components/WhoAmI'
import { takeLoginError } from './loginError'
import { useDemo } from './session'

const loginError = takeLoginError()

export function App() {
  const { state, notice, dismiss, renew, logout, fail } = useDemo(loginError)
  const [saves, setSaves] = useState(0)
  return (
    <>
      <Header phase={state.phase} onLogout={logout} />
      <main>
        {notice && <NoticeBanner notice={notice} onDismiss={dismiss} />}
        {state.phase === 'anonymous' && <Hero loginUrl={state.loginUrl} />}
        {state.phase === 'authenticated' && (
          <div className="dashboard">
            <div className="column" key={state.session.user.sub}>
              <WhoAmI user={state.session.user} />
              <Lifetimes session={state.session} onRenew={renew} />
              <ApiCard onAnswered={auth.check} onFailure={fail} />
              <NotesCard sub={state.session.user.sub} onSaved={() => setSaves(saves + 1)} />
              <FilesCard sub={state.session.user.sub} saves={saves} />
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
