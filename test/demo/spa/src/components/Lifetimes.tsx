import type { AuthenticatedSession } from 'cognito-token-handler'
import { useState } from 'react'
import { remaining, useNow } from '../clock'

export function Lifetimes({ session, onRenew }: { session: AuthenticatedSession; onRenew: () => Promise<unknown> }) {
  const [busy, setBusy] = useState(false)
  const [said, setSaid] = useState('')
  const tokenEnd = session.accessTokenExpiresAt.toISOString()
  const renew = () => {
    setBusy(true)
    const before = tokenEnd
    void onRenew().finally(() => {
      setBusy(false)
      setSaid(before)
    })
  }
  const renewed = said !== '' && said !== tokenEnd
  return (
    <section className="card" aria-labelledby="times-title">
      <div className="card-head">
        <div>
          <h2 id="times-title">How long it lasts</h2>
          <p>The access token is renewed by itself, on the server. You can also ask for it.</p>
        </div>
        <button type="button" className="quiet" onClick={renew} disabled={busy} data-testid="renew">
          {busy ? 'Renewing…' : 'Renew now'}
        </button>
      </div>
      <div className="timers">
        <Timer label="Session ends in" until={session.expiresAt.toISOString()} testid="expires" />
        <Timer label="Ends if idle for" until={session.idleExpiresAt.toISOString()} testid="idle-expires" />
        <Timer label="Access token renewed in" until={tokenEnd} testid="token-expires" />
      </div>
      <p className="fine" role="status" data-testid="renewed">
        {renewed && 'Renewed. The new token went into the cookie, not to this page.'}
      </p>
    </section>
  )
}

function Timer({ label, until, testid }: { label: string; until: string; testid: string }) {
  const now = useNow()
  const [full, setFull] = useState({ until, ms: Date.parse(until) - now })
  if (full.until !== until) setFull({ until, ms: Date.parse(until) - now })
  const left = Math.max(0, Date.parse(until) - now)
  return (
    <div className="timer">
      <span className="label">{label}</span>
      <time dateTime={until} title={new Date(until).toLocaleString()} data-testid={testid}>
        {left > 0 ? remaining(left) : 'now'}
      </time>
      <progress aria-hidden="true" max={Math.max(1, full.ms)} value={left} />
    </div>
  )
}
