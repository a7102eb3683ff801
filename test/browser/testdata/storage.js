// What an app does with its user's folder, with the means that a browser has. Each function answers with what happened.
window.folder = {
  // sign asks for an upload, and returns what the browser has to send.
  async sign(key, type, size) {
    const body = JSON.stringify({ key, content_type: type, size })
    const answer = await fetch('/storage/uploads', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body })
    if (answer.status !== 201) throw new Error(`signing ${key}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  },
  senders: {
    fetch: async (put, body) => (await fetch(put.url, { method: put.method, headers: put.headers, body })).status,
    xhr: (put, body) => new Promise((resolve) => {
      const request = new XMLHttpRequest()
      request.onload = () => resolve(request.status)
      request.onerror = () => resolve(0)
      request.open(put.method, put.url)
      for (const [name, value] of Object.entries(put.headers)) request.setRequestHeader(name, value)
      request.send(body)
    }),
  },
  bodies: {
    string: (text) => text,
    blob: (text, type) => new Blob([text], { type }),
    'blob without a type': (text) => new Blob([text]),
    bytes: (text) => new TextEncoder().encode(text),
    'form of a search': (text) => new URLSearchParams(text),
  },
  // uploads uploads the text in every way and with every type. It returns way → outcome.
  async uploads(types, text) {
    const outcomes = {}
    for (const [sender, send] of Object.entries(this.senders)) {
      for (const [kind, make] of Object.entries(this.bodies)) {
        for (const [number, type] of types.entries()) {
          const way = `${sender}/${kind}/${number}`
          const { size } = await new Response(make(text, type)).blob()
          const put = await this.sign('types/' + way, type, size)
          const status = await send(put, make(text, type)).catch(() => 0)
          outcomes[way] = { status, type: put.headers['Content-Type'], number }
        }
      }
    }
    return outcomes
  },
  // empty uploads an empty file, and then something under the same URL.
  async empty() {
    const put = await this.sign('empty', '', 0)
    const statuses = []
    for (const body of [new Blob([]), '', undefined, 'not empty']) statuses.push(await this.senders.fetch(put, body).catch(String))
    return statuses
  },
  // read follows the redirect to the bucket with the headers of an app.
  async read(key, headers) {
    try {
      const answer = await fetch('/storage/objects/' + key, { headers })
      return { status: answer.status, redirected: answer.redirected, text: await answer.text(), etag: answer.headers.get('ETag') ?? '' }
    } catch (error) {
      return { status: 0, text: String(error) }
    }
  },
  // show resolves with an element's width when the bucket has answered it, or with what went wrong.
  show: (tag, key) => new Promise((resolve) => {
    const element = document.createElement(tag)
    element.onload = element.onloadedmetadata = () => resolve(String(element.naturalWidth ?? element.duration))
    element.onerror = () => resolve('refused')
    element.src = '/storage/objects/' + key
    document.body.append(element)
  }),
}
