import { remaining } from '../clock'
import { Icon } from './Icon'
// #region warning
import { SessionWarning, useAuth, useAuthClient, useSession } from 'cognito-token-handler/react'

/** Two minutes before the end. Activity prolongs a session, up to its longest time; then only a new login helps. */
export function Warning() {
  const { login } = useAuth()
  const auth = useAuthClient()
  const session = useSession()
  const over = session.status === 'authenticated' && +session.expiresAt - auth.now() < 120_000
  return (
    <SessionWarning>
      {({ left, stay }) => <Bar left={left} over={over} onStay={over ? () => login() : stay} />}
    </SessionWarning>
  )
}
// #endregion

function Bar({ left, over, onStay }: { left: number; over: boolean; onStay: () => void }) {
  return (
    <div className="warning" data-testid="warning">
      <Icon name="clock" />
      <div>
        <strong role="alert">Your session ends soon.</strong>{' '}
        <span>
          {over ? 'It has reached its longest time. ' : 'Nothing happened for a while. '}
          <span role="timer" aria-label="Time left" data-testid="warning-left">
            {remaining(left)}
          </span>{' '}
          left.
        </span>
      </div>
      <button type="button" onClick={onStay} data-testid="stay">
        {over ? 'Log in again' : 'Stay logged in'}
      </button>
    </div>
  )
}
