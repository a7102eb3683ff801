// What a page of another origin can try against the app without the user's help. Each attempt ends as "refused" if it learned
// nothing; whether it changed anything is for the server to say.
(async (app) => {
  const outcomes = {}
  const patience = 120_000 // a busy machine does not reach it, only a hang does
  const limit = (promise) =>
    Promise.race([promise, new Promise((resolve) => setTimeout(() => resolve('no outcome in time'), patience))])
  const attempt = async (name, what) => {
    try {
      outcomes[name] = await limit(what())
    } catch (error) {
      outcomes[name] = error instanceof TypeError || error instanceof DOMException ? 'refused' : String(error)
    }
  }
  const element = (tag, attributes) =>
    new Promise((resolve) => {
      const el = Object.assign(document.createElement(tag), attributes)
      el.onload = () => resolve('loaded')
      el.onerror = () => resolve('refused')
      document.body.append(el)
    })
  const all = []
  const start = (name, what) => all.push(attempt(name, what))

  for (const path of ['/', '/api/me', '/auth/session', '/auth/logout', '/auth/verify', '/storage/objects']) {
    const url = app + path
    start('img ' + path, () => element('img', { src: url }))
    start('script ' + path, () => element('script', { src: url }))
    start('stylesheet ' + path, () => element('link', { rel: 'stylesheet', href: url }))
    start('module ' + path, () => import(url).then(() => 'loaded'))
    start('fetch ' + path, () => fetch(url, { credentials: 'include' }).then((r) => r.text()))
    start('opaque fetch ' + path, () =>
      fetch(url, { credentials: 'include', mode: 'no-cors' }).then((r) => (r.type === 'opaque' ? 'refused' : r.type)))
  }

  const upload = JSON.stringify({ key: 'notes/evil.json', content_type: 'application/json', size: 2 })
  for (const path of ['/auth/logout', '/auth/logout?everywhere=true', '/auth/refresh', '/api/echo', '/storage/uploads']) {
    const url = app + path
    const headers = { 'Content-Type': 'text/plain' }
    start('simple POST ' + path, () =>
      fetch(url, { method: 'POST', credentials: 'include', mode: 'no-cors', headers, body: upload }).then((r) =>
        r.type === 'opaque' ? 'refused' : r.type))
    start('POST with header ' + path, () =>
      fetch(url, { method: 'POST', credentials: 'include', headers: { 'X-CSRF': '1' }, body: upload }).then((r) => r.text()))
    start('beacon ' + path, () => (navigator.sendBeacon(url, upload), 'refused'))
  }
  start('DELETE', () =>
    fetch(app + '/storage/objects/notes/notes.json', { method: 'DELETE', credentials: 'include' }).then((r) => r.text()))

  start('websocket', () => new Promise((resolve) => {
    const socket = new WebSocket(app.replace('http', 'ws') + '/api/socket')
    socket.onopen = () => resolve('open')
    socket.onerror = () => resolve('refused')
  }))
  start('events', () => new Promise((resolve) => {
    const events = new EventSource(app + '/api/events', { withCredentials: true })
    events.onopen = () => resolve('open')
    events.onerror = () => (events.close(), resolve('refused'))
  }))

  for (const path of ['/', '/api/me', '/auth/session', '/auth/login', '/auth/logout']) {
    start('iframe ' + path, async () => {
      const frame = document.createElement('iframe')
      const loaded = new Promise((resolve) => (frame.onload = resolve))
      frame.src = app + path
      document.body.append(frame)
      await loaded
      return frame.contentDocument === null ? 'refused' : frame.contentDocument.documentElement.outerHTML
    })
  }
  await Promise.all(all)

  // Pages of their own: a form that is sent, a window that is opened.
  for (const path of ['/auth/logout', '/auth/refresh', '/api/echo', '/storage/uploads']) {
    await attempt('form ' + path, async () => {
      const form = Object.assign(document.createElement('form'), {
        method: 'post', action: app + path, enctype: 'text/plain', target: '_blank', rel: 'opener',
      })
      form.append(Object.assign(document.createElement('input'), { name: upload.slice(0, -1) + ',"x":"', value: '"}' }))
      document.body.append(form)
      form.submit()
      return 'refused'
    })
  }
  for (const path of ['/', '/api/me', '/auth/session', '/auth/logout', '/auth/login']) {
    await attempt('window ' + path, async () => {
      const opened = window.open(app + path)
      if (!opened) return 'the window did not open'
      for (const begun = Date.now(); Date.now() - begun < patience; ) {
        try {
          if (opened.closed) return 'refused' // severed by Cross-Origin-Opener-Policy
          if (opened.location.href !== 'about:blank') return opened.document.documentElement.outerHTML
        } catch {
          return 'refused'
        }
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      return 'no outcome in time'
    })
  }
  document.cookie = '__Host-Http-session=forged; Secure; Path=/'
  document.cookie = '__Host-Http-session=forged; Secure; Path=/; Domain=localhost'
  // A cookie of 127.0.0.1 is none of the app's.
  if (location.hostname === new URL(app).hostname) document.cookie = `session-${new URL(app).port}=forged; Path=/`
  await attempt('cookie', async () => document.cookie === '' ? 'refused' : document.cookie)
  return outcomes
})
