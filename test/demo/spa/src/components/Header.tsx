import type { State } from '../session'
import { Icon } from './Icon'

const labels: Record<State['phase'], string> = {
  loading: 'Checking…',
  leaving: 'Logging out…',
  unreachable: 'No answer',
  anonymous: 'Logged out',
  authenticated: 'Logged in',
  offline: 'Offline',
}

export function Header({ phase, onLogout }: { phase: State['phase']; onLogout: () => void }) {
  return (
    <header>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <a className="brand" href="/">
        <Icon name="lock" />
        Fieldnotes
      </a>
      <span className={`pill ${phase}`} role="status" data-testid="status" data-phase={phase}>
        {labels[phase]}
      </span>
      {phase === 'authenticated' && (
        <button type="button" className="quiet" onClick={onLogout} data-testid="logout">
          Log out
        </button>
      )}
    </header>
  )
}
