import type { AuthenticatedSession, User } from 'cognito-token-handler'
import { useState } from 'react'
import { timeText } from '../clock'
import { samples } from '../samples'
import { Feature } from './Feature'
import { Icon } from './Icon'
import { Lifetimes } from './Lifetimes'

interface Props {
  user: User
  /** Absent while the service does not answer. */
  session: AuthenticatedSession | undefined
  onRenew: () => Promise<unknown>
  onLogoutEverywhere: () => void
}

export function AccountCard({ user, session, onRenew, onLogoutEverywhere }: Props) {
  return (
    <Feature
      id="account"
      title="You and your session"
      lead="What the app may know of you. The tokens behind it are renewed on the server, while you do something else."
      code={samples.account}
    >
      <dl className="facts">
        <Fact label="Email" value={user.email} testid="who-email" />
        {user.username !== user.sub && <Fact label="Username" value={user.username} testid="who-username" />}
        <div>
          <dt>Groups</dt>
          <dd data-testid="who-groups">
            {user.groups?.length ? user.groups.map((group) => <span className="tag" key={group}>{group}</span>) : 'none'}
          </dd>
        </div>
        {session?.authTime && <Fact label="Logged in since" value={timeText(session.authTime)} testid="who-since" />}
        <Fact label="Subject" value={user.sub} testid="who-sub" mono />
        {session?.sessionId && <Fact label="Session, as logs name it" value={session.sessionId} testid="who-session" mono />}
      </dl>
      {session && <Lifetimes session={session} />}
      <SessionActions tokenEnd={session?.accessTokenExpiresAt.toISOString()} onRenew={onRenew} onLogoutEverywhere={onLogoutEverywhere} />
    </Feature>
  )
}

function SessionActions(props: { tokenEnd: string | undefined; onRenew: Props['onRenew']; onLogoutEverywhere: () => void }) {
  const [busy, setBusy] = useState(false)
  const [before, setBefore] = useState('')
  const renew = () => {
    setBusy(true)
    setBefore(props.tokenEnd ?? '')
    void props.onRenew().finally(() => setBusy(false))
  }
  const renewed = before !== '' && before !== props.tokenEnd
  return (
    <>
      <div className="actions">
        <button type="button" className="quiet" onClick={renew} disabled={busy} data-testid="renew">
          Renew now
        </button>
        <a className="button quiet" href="/" target="_blank" rel="noopener">
          <Icon name="window" /> Second tab
        </a>
        <button type="button" className="quiet" onClick={props.onLogoutEverywhere} data-testid="logout-everywhere">
          Log out everywhere
        </button>
      </div>
      <p className="fine" role="status" data-testid="renewed">
        {renewed ? 'Renewed. The new token went into the cookie, not to this page.' : 'A second tab follows when you log out in this one, and this one follows it.'}
      </p>
    </>
  )
}

function Fact(props: { label: string; value: string | undefined; testid: string; mono?: boolean }) {
  return (
    <div>
      <dt>{props.label}</dt>
      <dd className={props.mono ? 'mono' : undefined} data-testid={props.testid}>
        {props.value ?? 'not given'}
      </dd>
    </div>
  )
}
