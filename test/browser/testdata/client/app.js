// An app that uses the client as the service serves it. What happened is in window.seen, with the time of this machine.
import { createAuth } from '/client.js'

window.auth = createAuth()
window.seen = []
const note = (event, detail) => window.seen.push({ event, at: Date.now(), detail: JSON.stringify(detail ?? null) })

for (const event of ['signedIn', 'signedOut', 'userChanged', 'expiring', 'refreshed', 'unreachable']) {
  auth.on(event, (detail) => note(event, detail))
}
addEventListener('pageshow', ({ persisted }) => persisted && note('persisted'))
auth.subscribe(() => (document.getElementById('status').textContent = auth.session.status))
