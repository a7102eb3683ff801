import { beforeEach, expect, test, vi } from 'vitest'
import type { Session } from 'cognito-token-handler'
import { createMirror, mergeById, type Mirror, type MirrorOptions } from '../../src/mirror'
import { createStorage } from '../../src/storage'
import { FakeService, Memory, pass, problem, until } from '../storage/fake'

interface Note {
  id: number
  text: string
}

const path = 'mirror/notes.json'
const a = { id: 1, text: 'a' }
const b = { id: 2, text: 'b' }
const c = { id: 3, text: 'c' }

let service: FakeService
let browser: Memory
let page: EventTarget
let hidden: boolean
let listeners: Set<() => void>
let open: Mirror<Note[]>[]

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  service = new FakeService().login('ada')
  browser = new Memory()
  page = new EventTarget()
  hidden = false
  listeners = new Set()
  open = []
  vi.stubGlobal('localStorage', browser)
  vi.stubGlobal('reportError', vi.fn())
  vi.stubGlobal('navigator', { onLine: true, locks: lockManager() })
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page))
  vi.stubGlobal('document', {
    get visibilityState() {
      return hidden ? 'hidden' : 'visible'
    },
  })
  return () => {
    for (const mirror of open) mirror.close()
    vi.useRealTimers()
    vi.unstubAllGlobals()
  }
})

/** One holder of a lock at a time, as the Web Locks API has it. */
function lockManager() {
  const queues = new Map<string, Promise<unknown>>()
  return {
    request: (name: string, work: () => Promise<unknown>) => {
      const done = (queues.get(name) ?? Promise.resolve()).then(work)
      queues.set(
        name,
        done.catch(() => {}),
      )
      return done
    },
  }
}

function mirror(options: Partial<MirrorOptions<Note[]>> = {}): Mirror<Note[]> {
  const auth = {
    get session() {
      return service.auth.session
    },
    subscribe: (listener: () => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const made = createMirror<Note[]>(auth, createStorage(service.auth, { retries: 0 }), 'notes', { initial: [], ...options })
  open.push(made)
  return made
}

function session(next: Session): void {
  Object.assign(service.auth, { session: next })
  for (const listener of listeners) listener()
}

function login(sub: string): void {
  service.login(sub)
  for (const listener of listeners) listener()
}

const synced = (which: Mirror<Note[]>) => until(() => which.snapshot.status === 'synced')
const stored = () => JSON.parse(service.text(path) ?? 'null') as Note[] | null
const local = (name: string) => JSON.parse(browser.getItem(name) ?? 'null') as Note[] | null

test('a change is in the browser at once, and in the folder after a pause', async () => {
  const notes = mirror()
  await synced(notes)
  notes.set([a])
  notes.set((value) => [...value, b])
  expect(notes.snapshot).toEqual({ value: [a, b], status: 'pending' })
  expect(local('th:ada:notes')).toEqual([a, b])
  expect(service.count('PUT')).toBe(0)
  await pass(1000)
  await synced(notes)
  expect(stored()).toEqual([a, b])
  expect(service.count('PUT')).toBe(1)
})

test('who never stops typing is saved every ten pauses', async () => {
  const notes = mirror()
  await synced(notes)
  for (let i = 0; i < 25; i++) {
    notes.set([{ id: 1, text: 'x'.repeat(i) }])
    await pass(500)
  }
  await until(() => service.count('PUT') > 0, 1)
  expect(service.count('PUT')).toBe(1)
})

test('a new device gets what the folder has', async () => {
  service.write(path, JSON.stringify([a]))
  const notes = mirror()
  expect(notes.snapshot).toEqual({ value: [], status: 'loading' })
  await synced(notes)
  expect(notes.value).toEqual([a])
})

test('what another browser wrote replaces an unchanged value, and is merged into a changed one', async () => {
  const notes = mirror({ merge: mergeById('id') })
  notes.set([a, b])
  await synced(notes)
  service.write(path, JSON.stringify([a, b, c]))
  await notes.sync()
  expect(notes.value).toEqual([a, b, c])

  service.write(path, JSON.stringify([a, c]))
  notes.set([{ ...a, text: 'A' }, b, c])
  await notes.sync()
  expect(notes.snapshot).toEqual({ value: [{ ...a, text: 'A' }, c], status: 'synced' })
  expect(stored()).toEqual(notes.value)
})

test('without a merge a conflict overwrites nothing until it is resolved', async () => {
  const notes = mirror()
  notes.set([a])
  await synced(notes)
  service.write(path, JSON.stringify([b]))
  notes.set([a, c])
  await notes.sync()
  expect(notes.snapshot).toEqual({ value: [a, c], status: 'conflict', conflict: { base: [a], mine: [a, c], theirs: [b] } })
  notes.set([a])
  notes.set([a, c])
  await pass(20_000)
  expect(notes.snapshot.status).toBe('conflict')
  expect(stored()).toEqual([b])

  notes.resolve([a, b, c])
  await synced(notes)
  expect(stored()).toEqual([a, b, c])
})

test('a merge that returns undefined leaves the conflict to the user, until it does not', async () => {
  const merge = mergeById<Note>('id')
  const notes = mirror({ merge: (conflict) => (conflict.mine.length > 2 ? undefined : merge(conflict)) })
  notes.set([a])
  await synced(notes)
  service.write(path, JSON.stringify([b]))
  notes.set([a, b, c])
  await notes.sync()
  expect(notes.snapshot).toEqual({ value: [a, b, c], status: 'conflict', conflict: { base: [a], mine: [a, b, c], theirs: [b] } })
  notes.resolve([b, c])
  await synced(notes)
  expect(stored()).toEqual([b, c])

  service.write(path, JSON.stringify([a, b]))
  notes.set([a, b, c])
  await until(() => notes.snapshot.status === 'conflict')
  notes.set([b])
  await synced(notes)
  expect(stored()).toEqual([a, b])
})

test('a conflict can be resolved with theirs, and one that came after it is a conflict again', async () => {
  const notes = mirror()
  service.write(path, JSON.stringify([b]))
  notes.set([a])
  await until(() => notes.snapshot.status === 'conflict')
  service.write(path, JSON.stringify([c]))
  notes.resolve([a])
  await until(() => notes.snapshot.conflict?.theirs[0]?.id === 3)
  notes.resolve([c])
  await synced(notes)
  expect(stored()).toEqual([c])
  expect(service.count('PUT')).toBe(0)
})

test('a write between comparing and sending is not overwritten', async () => {
  const notes = mirror({ merge: mergeById('id') })
  notes.set([a])
  await synced(notes)
  notes.set([a, b])
  service.fault = (line) => {
    if (line !== 'POST /uploads') return undefined
    service.fault = () => undefined
    service.write(path, JSON.stringify([a, c]))
    return undefined
  }
  await notes.sync()
  expect(stored()).toEqual([c, a, b])
  expect(notes.value).toEqual([c, a, b])
})

test('two tabs write one after the other, and both show the result', async () => {
  const first = mirror({ merge: mergeById('id') })
  const second = mirror({ merge: mergeById('id') })
  await Promise.all([synced(first), synced(second)])
  first.set((value) => [...value, a])
  second.set((value) => [...value, b])
  await Promise.all([first.sync(), second.sync()])
  expect(stored()).toEqual([a, b])
  expect(service.count('PUT')).toBe(1)
  page.dispatchEvent(Object.assign(new Event('storage'), { key: 'th:ada:notes' }))
  expect([first.snapshot, second.snapshot]).toEqual([
    { value: [a, b], status: 'synced' },
    { value: [a, b], status: 'synced' },
  ])
})

test('a tab sends what a closed tab has left', async () => {
  const notes = mirror()
  await synced(notes)
  browser.setItem('th:ada:notes', JSON.stringify([a]))
  page.dispatchEvent(Object.assign(new Event('storage'), { key: 'th:ada:notes' }))
  expect(notes.snapshot).toEqual({ value: [a], status: 'pending' })
  await pass(3000)
  await synced(notes)
  expect(stored()).toEqual([a])
})

test('offline, changes wait, and go out when the network is back', async () => {
  const notes = mirror()
  await synced(notes)
  service.fault = () => 'lose'
  notes.set([a])
  await pass(1000)
  await until(() => notes.snapshot.status === 'offline')
  notes.set([a, b])
  service.fault = () => undefined
  page.dispatchEvent(new Event('online'))
  await synced(notes)
  expect(stored()).toEqual([a, b])

  service.fault = () => problem(502, 'upstream_error')
  notes.set([c])
  await until(() => notes.snapshot.status === 'offline', 1000)
  service.fault = () => undefined
  await pass(60_000)
  await synced(notes)
  expect(stored()).toEqual([c])
})

test('a value that the folder refuses is kept here', async () => {
  const notes = mirror()
  await synced(notes)
  service.fault = (line) => (line === 'POST /uploads' ? problem(403, 'quota_exceeded') : undefined)
  notes.set([a])
  await until(() => notes.snapshot.status === 'failed', 1000)
  expect(notes.snapshot.error).toMatchObject({ code: 'quota_exceeded' })
  expect(local('th:ada:notes')).toEqual([a])
})

test('a page that is hidden sends at once, and looks again when it comes back', async () => {
  const notes = mirror()
  await synced(notes)
  notes.set([a])
  hidden = true
  page.dispatchEvent(new Event('visibilitychange'))
  await until(() => stored() !== null, 1)
  service.write(path, JSON.stringify([b]))
  await pass(6000)
  hidden = false
  page.dispatchEvent(new Event('visibilitychange'))
  await until(() => notes.value[0]?.id === 2, 1)
})

test('nothing typed is lost when the session runs out', async () => {
  const notes = mirror()
  await synced(notes)
  session({ status: 'anonymous', loginUrl: '/auth/login', ended: 'idle' })
  notes.set([a])
  expect(notes.snapshot).toEqual({ value: [a], status: 'signedOut' })
  await pass(10_000)
  expect(service.count('PUT')).toBe(0)
  login('ada')
  await synced(notes)
  expect(stored()).toEqual([a])
})

test('nor when it ends for a reason that nobody knows', async () => {
  const notes = mirror()
  notes.set([a])
  await synced(notes)
  session({ status: 'anonymous', loginUrl: '/auth/login' })
  notes.set([a, b])
  expect(notes.snapshot).toEqual({ value: [a, b], status: 'signedOut' })
  login('ada')
  await synced(notes)
  expect(stored()).toEqual([a, b])
})

test('a logout removes what is synced, and keeps what is not', async () => {
  const notes = mirror()
  notes.set([a])
  await synced(notes)
  const out: Session = { status: 'anonymous', loginUrl: '/auth/login', ended: 'logout' }
  session(out)
  expect(notes.snapshot).toEqual({ value: [], status: 'signedOut' })
  expect([...browser.items.keys()]).toEqual([])
  expect(() => notes.set([b])).toThrow('nobody is logged in')

  login('ada')
  await synced(notes)
  notes.set([a, b])
  session(out)
  expect(local('th:ada:notes')).toEqual([a, b])
  login('ada')
  await synced(notes)
  expect(stored()).toEqual([a, b])
})

test('another user gets their own value, and what is under way for the first is not theirs', async () => {
  const notes = mirror()
  notes.set([a])
  await synced(notes)
  notes.set([a, b])
  service.fault = (line) => {
    if (!line.startsWith('HEAD')) return undefined
    service.fault = () => undefined
    return Promise.resolve(login('bob'))
  }
  await notes.sync()
  await synced(notes)
  expect(notes.value).toEqual([])
  expect(service.folders.get('bob')?.size ?? 0).toBe(0)
  login('ada')
  await synced(notes)
  expect(stored()).toEqual([a, b])
})

test('the old key of the app is adopted, and meets the folder like any change', async () => {
  browser.setItem('notes:ada', JSON.stringify([a]))
  service.write(path, JSON.stringify([b]))
  const notes = mirror({ adopt: (sub) => `notes:${sub}`, merge: mergeById('id') })
  expect(notes.value).toEqual([a])
  await synced(notes)
  expect(notes.value).toEqual([b, a])
  expect(stored()).toEqual([b, a])
  expect(browser.getItem('notes:ada')).toBeNull()
})

test('an object that was deleted elsewhere is made again', async () => {
  const notes = mirror()
  notes.set([a])
  await synced(notes)
  service.folder.clear()
  await notes.sync()
  await pass(1)
  expect(notes.snapshot).toEqual({ value: [a], status: 'synced' })
  expect(stored()).toEqual([a])
})

test('a full localStorage does not keep a value from the folder', async () => {
  const notes = mirror()
  await synced(notes)
  browser.setItem = () => {
    throw new DOMException('full', 'QuotaExceededError')
  }
  notes.set([a])
  await pass(1000)
  await synced(notes)
  expect(stored()).toEqual([a])
})

const full = () => {
  throw new DOMException('full', 'QuotaExceededError')
}

test('the old key makes room for the value that is adopted', async () => {
  browser.setItem('notes', JSON.stringify([a]))
  const { setItem } = browser
  browser.setItem = (name, value) => (browser.items.has('notes') ? full() : setItem(name, value))
  mirror({ adopt: 'notes' })
  expect([local('notes'), local('th:ada:notes')]).toEqual([null, [a]])
})

test('an old key whose value does not fit stays until the folder has it', async () => {
  browser.setItem('notes', JSON.stringify([a]))
  const { setItem } = browser
  browser.setItem = (name, value) => (name.startsWith('th:') ? full() : setItem(name, value))
  service.fault = () => 'lose'
  const notes = mirror({ adopt: 'notes' })
  await until(() => notes.snapshot.status === 'offline')
  expect([notes.value, local('notes')]).toEqual([[a], [a]])
  service.fault = () => undefined
  await notes.sync()
  expect([stored(), local('notes')]).toEqual([[a], null])
})

test('a value that does not fit overwrites nothing of another tab', async () => {
  const [first, second] = [mirror(), mirror()]
  first.set([a])
  await synced(first)
  await second.sync()
  const { setItem } = browser
  browser.setItem = full
  first.set([a, b])
  browser.setItem = setItem
  second.set([a, c])
  await second.sync()
  await first.sync()
  expect(stored()).toEqual([a, c])
  expect(first.snapshot).toEqual({ value: [a, b], status: 'conflict', conflict: { base: [a], mine: [a, b], theirs: [a, c] } })
})

test('what fits again is stored with what it was made of', async () => {
  const [first, second] = [mirror(), mirror()]
  first.set([a])
  await synced(first)
  await second.sync()
  const { setItem } = browser
  browser.setItem = full
  first.set([a, b])
  browser.setItem = setItem
  second.set([a, c])
  await second.sync()
  first.set([a, b])
  first.close()
  const next = mirror()
  await until(() => next.snapshot.status === 'conflict')
  expect(stored()).toEqual([a, c])
})

test('what is left in a full localStorage does not overwrite what the folder got later', async () => {
  const notes = mirror()
  notes.set([a])
  await synced(notes)
  const { setItem } = browser
  browser.setItem = full
  notes.set([a, b])
  await notes.sync()
  browser.setItem = setItem
  notes.close()
  const next = mirror()
  await next.sync()
  expect([stored(), next.value]).toEqual([[a, b], [a, b]])
})

test('a subscriber that fails stops neither the others nor the syncing', async () => {
  const report = vi.fn()
  vi.stubGlobal('reportError', report)
  const notes = mirror()
  notes.subscribe(() => {
    throw new Error('of the app')
  })
  const seen = vi.fn()
  notes.subscribe(seen)
  notes.set([a])
  await notes.sync()
  expect(stored()).toEqual([a])
  expect(seen).toHaveBeenCalledTimes(report.mock.calls.length)
})

test('what is not JSON is refused, and changes nothing', async () => {
  const notes = mirror({ merge: () => (() => undefined) as never })
  notes.set([a])
  await synced(notes)
  expect(() => notes.set(undefined as never)).toThrow('not JSON')
  service.write(path, JSON.stringify([b]))
  notes.set([a, c])
  await notes.sync()
  expect(notes.snapshot).toMatchObject({ value: [a, c], status: 'failed', error: { name: 'SyntaxError' } })
  expect(stored()).toEqual([b])
})

test('a conflict is not resolved with what is not JSON', async () => {
  const notes = mirror()
  service.write(path, JSON.stringify([b]))
  notes.set([a])
  await until(() => notes.snapshot.status === 'conflict')
  expect(() => notes.resolve(undefined as never)).toThrow('not JSON')
  await notes.sync()
  expect([notes.snapshot.status, stored()]).toEqual(['conflict', [b]])
})

test.each(['th:ada:notes', 'th:ada:notes:base'])('an unreadable %s is replaced by what the folder has', async (name) => {
  browser.setItem(name, '[{')
  service.write(path, JSON.stringify([b]))
  const notes = mirror()
  await notes.sync()
  expect(notes.snapshot).toEqual({ value: [b], status: 'synced' })
  notes.set((value) => [...value, c])
  await notes.sync()
  expect(stored()).toEqual([b, c])
})

test.each([
  ['both add', [a], [a, b], [a, c], [c, a, b]],
  ['theirs changed', [a], [a], [{ ...a, text: 'A' }], [{ ...a, text: 'A' }]],
  ['both changed', [a], [{ ...a, text: 'mine' }], [{ ...a, text: 'theirs' }], [{ ...a, text: 'mine' }]],
  ['mine deleted, theirs unchanged', [a, b], [a], [a, b], [a]],
  ['mine deleted, theirs changed', [a, b], [a], [a, { ...b, text: 'B' }], [{ ...b, text: 'B' }, a]],
  ['theirs deleted, mine changed', [a], [{ ...a, text: 'A' }], [], [{ ...a, text: 'A' }]],
  ['nothing in common', undefined, [a], [b], [b, a]],
])('mergeById: %s', (_, base, mine, theirs, want) => {
  expect(mergeById<Note>('id')({ base, mine, theirs })).toEqual(want)
})

test('where the browser forbids localStorage, the value is in the page and in the folder', async () => {
  const refused = () => {
    throw new DOMException('refused', 'SecurityError')
  }
  vi.stubGlobal('localStorage', { getItem: refused, setItem: refused, removeItem: refused })
  service.write(path, JSON.stringify([a]))
  const notes = mirror({ adopt: 'notes' })
  await synced(notes)
  expect(notes.value).toEqual([a])
  notes.set([a, b])
  await notes.sync()
  expect(stored()).toEqual([a, b])
  expect(reportError).not.toHaveBeenCalled()
})

test('an error that nobody foresaw is reported, and ends nothing', async () => {
  const notes = mirror()
  await synced(notes)
  const failing = vi.spyOn(service.auth, 'session', 'get').mockImplementation(() => {
    throw new Error('of the app')
  })
  await notes.sync()
  expect(reportError).toHaveBeenCalledOnce()
  failing.mockRestore()
  notes.set([a])
  await notes.sync()
  expect(stored()).toEqual([a])
})
