import { useNow } from '../clock'
import { Icon } from './Icon'

/** What a token looks like: three base64url parts, the first a JSON object; or Cognito's five-part refresh token. */
const tokenShape = /eyJ[\w-]{8,}(\.[\w-]*){2,4}/

/** Everything of this site that a script, ours or an attacker's, can read. Looked at anew every second. */
export function VisibleCard() {
  useNow()
  const cookies = document.cookie
  const everything = [cookies, ...values(localStorage), ...values(sessionStorage)]
  const leaked = everything.some((value) => tokenShape.test(value))
  return (
    <aside className="card visible" aria-labelledby="visible-title">
      <p className="eyebrow">Live</p>
      <h2 id="visible-title">What JavaScript can see</h2>
      <p>
        A bad script in this page could act as you while it is open. It could read what stands here, and would find nothing to
        carry away.
      </p>
      <dl>
        <dt>document.cookie</dt>
        <dd data-testid="visible-cookies">{cookies || 'empty'}</dd>
        <dt>localStorage</dt>
        <dd data-testid="visible-local">
          <Keys of={localStorage} />
        </dd>
        <dt>sessionStorage</dt>
        <dd data-testid="visible-session">
          <Keys of={sessionStorage} />
        </dd>
      </dl>
      <p className={`outcome ${leaked ? 'bad' : 'good'}`} data-testid="visible-tokens">
        <Icon name={leaked ? 'alert' : 'check'} />
        {leaked ? 'Something here looks like a token.' : 'No token in any of them.'}
      </p>
      <p className="fine">
        There is a session cookie all the same: the developer tools show it, marked <code>HttpOnly</code> and{' '}
        <code>SameSite=Strict</code>. The browser sends it; scripts never get it.
      </p>
    </aside>
  )
}

function Keys({ of }: { of: Storage }) {
  const keys = Object.keys(of)
  return keys.length ? keys.map((key) => <code key={key}>{key}</code>) : 'empty'
}

function values(of: Storage): string[] {
  return Object.keys(of).map((key) => of.getItem(key) ?? '')
}
