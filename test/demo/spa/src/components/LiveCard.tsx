import { useState, useSyncExternalStore, type FormEvent } from 'react'
import { timeOfDay } from '../clock'
import { connect, disconnect, say, snapshot, subscribe, type Line, type WireState } from '../live'
import { samples } from '../samples'
import { Feature } from './Feature'

const labels: Record<WireState, string> = { off: 'not connected', connecting: 'connecting…', open: 'open', closed: 'closed' }

export function LiveCard() {
  const { events, socket, ticks, lines } = useSyncExternalStore(subscribe, snapshot)
  const running = [events, socket].some((state) => state === 'open' || state === 'connecting')
  return (
    <Feature
      id="live"
      title="Live"
      lead="Server-sent events and a WebSocket, through the same cookie. Both end with the session: log out in another tab, and look."
      code={samples.live}
      aside={
        <button type="button" className="quiet" onClick={running ? disconnect : connect} data-testid="live-toggle">
          {running ? 'Disconnect' : 'Connect'}
        </button>
      }
    >
      <dl className="wires">
        <Wire label="Server-sent events" state={events} detail={ticks ? `${ticks} received` : ''} testid="live-events" />
        <Wire label="WebSocket" state={socket} detail="" testid="live-socket" />
      </dl>
      {socket === 'open' && <SayForm />}
      <LiveLog lines={lines} />
    </Feature>
  )
}

function Wire({ label, state, detail, testid }: { label: string; state: WireState; detail: string; testid: string }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>
        <span className={`state ${state}`} data-testid={testid} data-state={state}>
          {labels[state]}
        </span>{' '}
        <span className="fine">{detail}</span>
      </dd>
    </div>
  )
}

function SayForm() {
  const [text, setText] = useState('Hello')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (text !== '') say(text)
  }
  return (
    <form className="say" onSubmit={submit}>
      <input aria-label="Message to the WebSocket" value={text} onChange={(event) => setText(event.target.value)} maxLength={200} data-testid="live-text" />
      <button type="submit" className="quiet" data-testid="live-say">
        Send
      </button>
    </form>
  )
}

/** How the connections went, the newest first. */
export function LiveLog({ lines }: { lines: Line[] }) {
  return (
    <ol className="live-log" aria-label="Live log" aria-live="polite" data-testid="live-log">
      {lines.map(({ id, at, wire, text }) => (
        <li key={id}>
          <time dateTime={at.toISOString()}>{timeOfDay(at)}</time>
          <span>
            {wire === 'events' ? 'Events' : 'WebSocket'}: {text}
          </span>
        </li>
      ))}
    </ol>
  )
}
