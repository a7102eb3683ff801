import { useState } from 'react'
import type { State } from '../session'
import { Icon } from './Icon'

const labels: Record<State['phase'], string> = {
  loading: 'Checking…',
  leaving: 'Logging out…',
  anonymous: 'Logged out',
  authenticated: 'Logged in',
}

export function Header({ phase, onLogout }: { phase: State['phase']; onLogout: () => Promise<void> }) {
  const [busy, setBusy] = useState(false)
  const leave = () => {
    setBusy(true)
    void onLogout().finally(() => setBusy(false))
  }
  return (
    <header>
      <a className="brand" href="/">
        <Icon name="lock" />
        Fieldnotes
      </a>
      <span className={`pill ${phase}`} role="status" data-testid="status" data-phase={phase}>
        {labels[phase]}
      </span>
      {phase === 'authenticated' && (
        <button type="button" className="quiet" onClick={leave} disabled={busy} data-testid="logout">
          Log out
        </button>
      )}
    </header>
  )
}
