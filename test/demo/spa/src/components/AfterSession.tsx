import { useSyncExternalStore } from 'react'
import { snapshot, subscribe } from '../live'
import { LiveLog } from './LiveCard'

/** How the live connections ended with the session. */
export function AfterSession() {
  const { lines } = useSyncExternalStore(subscribe, snapshot)
  if (lines.length === 0) return null
  return (
    <section className="card after" aria-labelledby="after-title">
      <h2 id="after-title">What happened to the live connections</h2>
      <p className="fine">The server closed them with the session. Nothing reached this page afterwards.</p>
      <LiveLog lines={lines} />
    </section>
  )
}
