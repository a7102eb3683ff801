import { auth } from './auth'

export type Wire = 'events' | 'socket'
export type WireState = 'off' | 'connecting' | 'open' | 'closed'

export interface Line {
  id: number
  at: Date
  wire: Wire
  text: string
}

/** What the live panel shows. It outlives the panel: how a connection ended is told after the logout, too. */
export interface Live {
  events: WireState
  socket: WireState
  /** How many events have come. */
  ticks: number
  /** The newest first. */
  lines: Line[]
}

const maxLines = 6
const listeners = new Set<() => void>()
const nothing: Live = { events: 'off', socket: 'off', ticks: 0, lines: [] }
let live = nothing
let made = 0
let events: EventSource | undefined
let socket: WebSocket | undefined

export const snapshot = () => live
export function subscribe(listener: () => void) {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

function show(wire: Wire, state: WireState, text?: string) {
  const lines = text ? [{ id: ++made, at: new Date(), wire, text }, ...live.lines].slice(0, maxLines) : live.lines
  live = { ...live, [wire]: state, lines }
  listeners.forEach((listener) => listener())
}

function count(ticks: number) {
  live = { ...live, ticks }
  listeners.forEach((listener) => listener())
}

// #region live
/** Server-sent events and a WebSocket, through the token handler. Both carry the session's cookie, and end with the session. */
export function connect() {
  if (events || socket) return
  show('events', 'connecting')
  events = new EventSource('/api/events')
  events.onopen = () => show('events', 'open', 'connected')
  events.addEventListener('tick', ({ data }) => count(JSON.parse(data).n))
  events.onerror = () => {
    disconnectEvents() // or the browser would try again, without a session too
    show('events', 'closed', 'the stream has ended')
    void auth.check() // did the session end with it?
  }

  show('socket', 'connecting')
  socket = new WebSocket('/api/socket')
  socket.onopen = () => show('socket', 'open', 'connected')
  socket.onmessage = ({ data }) => show('socket', 'open', `the API says “${data}”`)
  socket.onclose = ({ code, reason }) => {
    socket = undefined
    show('socket', 'closed', code === 4401 ? `closed by the server: ${code} ${reason}` : `closed: ${code}`)
    void auth.check()
  }
}

export const say = (text: string) => socket?.send(text)
// #endregion

export function disconnect() {
  if (events) show('events', 'closed', 'disconnected')
  disconnectEvents()
  socket?.close(1000)
}

function disconnectEvents() {
  events?.close()
  events = undefined
}

/** Ends the connections, and shows nothing of them any more. */
function forget() {
  disconnectEvents()
  if (socket) {
    socket.onopen = socket.onmessage = socket.onclose = null // it closes later, when another one may be open
    socket.close(1000)
    socket = undefined
  }
  live = nothing
  listeners.forEach((listener) => listener())
}

// Who logs in next finds nothing of the connections before, whether the same user or another.
auth.on('signedIn', forget)
auth.on('userChanged', forget)
