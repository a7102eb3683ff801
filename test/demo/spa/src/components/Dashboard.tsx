import type { AuthenticatedSession, User } from 'cognito-token-handler'
import { auth } from '../auth'
import { AccountCard } from './AccountCard'
import { ApiCard } from './ApiCard'
import { FilesCard } from './FilesCard'
import { LiveCard } from './LiveCard'
import { NotesCard } from './NotesCard'
import { Outcome } from './Outcome'
import { TokenCheck } from './TokenCheck'
import { Warning } from './Warning'

interface Props {
  user: User
  /** Absent while the service does not answer: the user goes on with what is here. */
  session: AuthenticatedSession | undefined
  onRenew: () => Promise<unknown>
  onLogoutEverywhere: () => void
  onFailure: (error: unknown) => void
}

export function Dashboard({ user, session, onRenew, onLogoutEverywhere, onFailure }: Props) {
  return (
    <div className="dashboard">
      <div className="intro">
        <h1 tabIndex={-1}>Your notes and files</h1>
        <p>{user.name ?? user.email ?? user.username ?? user.sub}</p>
      </div>
      {!session && <Outcome tone="bad">The server does not answer. You can go on writing; it is sent later.</Outcome>}
      <TokenCheck />
      <NotesCard sub={user.sub} />
      <FilesCard sub={user.sub} />
      <AccountCard user={user} session={session} onRenew={onRenew} onLogoutEverywhere={onLogoutEverywhere} />
      <ApiCard onAnswered={auth.check} onFailure={onFailure} />
      <LiveCard />
      <Warning />
    </div>
  )
}
