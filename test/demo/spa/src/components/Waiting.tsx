import { auth } from '../auth'
import { AfterSession } from './AfterSession'

const texts = {
  loading: 'Looking who is there…',
  leaving: 'Logging you out, here and at the login service…',
  unreachable: 'The server does not answer. This page tries again by itself.',
}

export function Waiting({ phase }: { phase: keyof typeof texts }) {
  return (
    <div className="waiting">
      <p className="lead">{texts[phase]}</p>
      {phase === 'unreachable' && (
        <button type="button" onClick={() => void auth.check()}>
          Try now
        </button>
      )}
      {phase === 'leaving' && <AfterSession />}
    </div>
  )
}
