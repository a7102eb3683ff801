import { useNow } from '../clock'
import { Icon } from './Icon'

/** What a token looks like: three base64url parts, the first a JSON object; or Cognito's five-part refresh token. */
const tokenShape = /eyJ[\w-]{8,}(\.[\w-]*){2,4}/

/** Everything of this site that a script, ours or an attacker's, can read. Looked at anew every second. */
export function TokenCheck() {
  useNow()
  const places = {
    'document.cookie': document.cookie ? [document.cookie] : [],
    localStorage: Object.keys(localStorage),
    sessionStorage: Object.keys(sessionStorage),
  }
  const everything = [document.cookie, ...Object.values(localStorage), ...Object.values(sessionStorage)]
  const leaked = everything.some((value) => tokenShape.test(value))
  return (
    <aside className={`card token-check ${leaked ? 'bad' : ''}`} aria-labelledby="check-title">
      <Icon name={leaked ? 'alert' : 'shield'} />
      <div>
        <h2 id="check-title" data-testid="visible-tokens">
          {leaked ? 'Something here looks like a token' : 'No script in this page can see a token'}
        </h2>
        <p>A bad script could act as you while the page is open. It would find nothing to carry away.</p>
        <details>
          <summary>What JavaScript can see right now</summary>
          <dl>
            {Object.entries(places).map(([name, found]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{found.length ? found.map((text) => <code key={text}>{text}</code>) : 'empty'}</dd>
              </div>
            ))}
          </dl>
          <p className="fine">
            There is a session cookie all the same: the developer tools show it, marked <code>HttpOnly</code> and{' '}
            <code>SameSite=Strict</code>. The browser sends it; scripts never get it.
          </p>
        </details>
      </div>
    </aside>
  )
}
