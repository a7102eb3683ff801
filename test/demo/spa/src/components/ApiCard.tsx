import { useState } from 'react'
import { send, type Answer } from '../api'
import { samples } from '../samples'
import { Feature } from './Feature'
import { Json } from './Json'

interface Call {
  title: string
  answer: Answer
}

export function ApiCard(props: { onAnswered: () => Promise<unknown>; onFailure: (error: unknown) => void }) {
  const [call, setCall] = useState<Call | null>(null)
  const [busy, setBusy] = useState(false)

  const run = async (method: string, path: string, body?: unknown) => {
    setBusy(true)
    try {
      const answer = await send(method, path, body)
      setCall({ title: `${method} ${path}`, answer })
      await props.onAnswered()
    } catch (error) {
      props.onFailure(error)
    } finally {
      setBusy(false)
    }
  }
  const echo = () => run('POST', '/api/echo', { message: 'Hello from the browser', sent_at: new Date().toISOString() })

  return (
    <Feature id="api" title="Call an API" lead="The request leaves with a cookie, and arrives with your bearer token." code={samples.api}>
      <div className="actions">
        <button type="button" disabled={busy} onClick={() => void run('GET', '/api/me')} data-testid="api-me">
          GET /api/me
        </button>
        <button type="button" className="quiet" disabled={busy} onClick={() => void echo()} data-testid="api-echo">
          POST /api/echo
        </button>
      </div>
      <div aria-live="polite">{call ? <Result {...call} /> : <p className="empty">The answer will appear here.</p>}</div>
    </Feature>
  )
}

function Result({ title, answer }: Call) {
  return (
    <div className="result">
      <p className="result-line">
        <code>{title}</code>
        <span className={`tag ${answer.ok ? 'good' : 'bad'}`} data-testid="api-status">
          {answer.status}
        </span>
        <span>{answer.ms} ms</span>
      </p>
      <Json value={answer.body} />
    </div>
  )
}
