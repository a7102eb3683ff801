import type { AuthenticatedSession } from 'cognito-token-handler'
import { useState } from 'react'
import { auth } from '../auth'
import { remaining, useNow } from '../clock'

/** When the session and the access token end, by the server's clock. */
export function Lifetimes({ session }: { session: AuthenticatedSession }) {
  return (
    <div className="timers">
      <Timer label="Session ends in" until={session.expiresAt} testid="expires" />
      <Timer label="If idle, in" until={session.idleExpiresAt} testid="idle-expires" />
      <Timer label="Token renewed in" until={session.accessTokenExpiresAt} testid="token-expires" />
    </div>
  )
}

function Timer({ label, until, testid }: { label: string; until: Date; testid: string }) {
  useNow()
  const left = Math.max(0, +until - auth.now())
  const end = until.toISOString()
  const [full, setFull] = useState({ end, ms: left })
  if (full.end !== end) setFull({ end, ms: left })
  return (
    <div className="timer">
      <span className="label">{label}</span>
      <time dateTime={end} title={until.toLocaleString()} data-testid={testid}>
        {left > 0 ? remaining(left) : 'now'}
      </time>
      <progress aria-hidden="true" max={Math.max(1, full.ms)} value={left} />
    </div>
  )
}
