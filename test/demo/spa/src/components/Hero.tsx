import { withReturn } from '../address'
import { Icon } from './Icon'

const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname)

export function Hero({ loginUrl }: { loginUrl: string }) {
  return (
    <div className="welcome">
      <section className="hero">
        <p className="eyebrow">Token handler demo</p>
        <h1 tabIndex={-1}>
          Log in, and <em>no script</em> ever sees a token.
        </h1>
        <p className="lead">
          Notes and files in your own S3 folder, behind an Amazon Cognito login. The tokens travel sealed, in a
          cookie that this page can’t read.
        </p>
        <p className="actions">
          <a className="button" href={withReturn(loginUrl)} data-testid="login">
            Log in
          </a>
          <a className="button quiet" href={withReturn('/auth/signup')} data-testid="signup">
            Sign up
          </a>
        </p>
        {isLocal && (
          <p className="fine">
            Local stack: <code>demo@example.com</code> with <code>Demo-Passw0rd!</code>
          </p>
        )}
      </section>
      <Flow />
    </div>
  )
}

function Flow() {
  return (
    <ol className="flow" aria-label="How a request travels">
      <li>
        <Icon name="browser" />
        <div>
          <h2>Your browser</h2>
          <p>Runs this page, and sends along a cookie that it can’t open.</p>
        </div>
      </li>
      <li className="wire">sealed, HttpOnly cookie</li>
      <li className="highlight">
        <Icon name="server" />
        <div>
          <h2>Token handler</h2>
          <p>Opens the cookie, renews the access token in time, and turns other sites’ requests away.</p>
        </div>
      </li>
      <li className="wire">bearer token, signed upload</li>
      <li>
        <Icon name="cloud" />
        <div>
          <h2>Your API and S3</h2>
          <p>See ordinary Cognito tokens and presigned uploads. Nothing changes for them.</p>
        </div>
      </li>
    </ol>
  )
}
