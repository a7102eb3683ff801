// An app that uses the client as the service serves it. What happened is in window.seen.
import { createAuth } from '/client.js'

window.auth = createAuth()
window.seen = []
const note = (event, detail) => window.seen.push({ event, detail: JSON.stringify(detail ?? null) })

for (const event of ['signedIn', 'signedOut', 'userChanged', 'expiring', 'refreshed', 'unreachable']) {
  auth.on(event, (detail) => note(event, detail))
}
addEventListener('pageshow', ({ persisted }) => persisted && note('persisted'))
auth.subscribe(() => (document.getElementById('status').textContent = auth.session.status))
