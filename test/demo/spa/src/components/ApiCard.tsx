import { useState } from 'react'
import { send, type Answer } from '../api'
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
    <section className="card" aria-labelledby="api-title">
      <div className="card-head">
        <div>
          <h2 id="api-title">Call the API</h2>
          <p>Leaves with a cookie, arrives with a bearer token.</p>
        </div>
        <div className="actions">
          <button type="button" disabled={busy} onClick={() => void run('GET', '/api/me')} data-testid="api-me">
            GET /api/me
          </button>
          <button type="button" className="quiet" disabled={busy} onClick={() => void echo()} data-testid="api-echo">
            POST /api/echo
          </button>
        </div>
      </div>
      <div aria-live="polite">{call ? <Result {...call} /> : <p className="empty">The answer will appear here.</p>}</div>
    </section>
  )
}

function Result({ title, answer }: Call) {
  const kind = answer.ok ? 'good' : 'bad'
  return (
    <div className="result">
      <p className="result-line">
        <code>{title}</code>
        <span className={`tag ${kind}`} data-testid="api-status">
          {answer.status}
        </span>
        <span>{answer.ms} ms</span>
      </p>
      <Json value={answer.body} />
    </div>
  )
}
