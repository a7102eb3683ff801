import { beforeEach, describe, expect, test, vi } from 'vitest'
import { createStorage } from '../../src/storage'
import { FakeService, Memory, partSize, pass, problem, settled, until, type Fault } from './fake'

let service: FakeService

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  service = new FakeService().login('ada')
  vi.stubGlobal('localStorage', new Memory())
  return () => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  }
})

const storage = (options = {}) => createStorage(service.auth, { partsFrom: partSize, ...options })
const file = (parts: number, name = 'film.mp4', lastModified = 1) => new File([new Uint8Array(parts * partSize - 5).fill(parts)], name, { type: 'video/mp4', lastModified })

test('a pause keeps the parts that S3 has', async () => {
  const seen: number[] = []
  const task = storage({ parallel: 1 }).upload('film.mp4', file(4), { onProgress: ({ loaded }) => seen.push(loaded) })
  service.fault = (line) => {
    if (!line.includes('part=3')) return undefined
    service.fault = () => undefined
    task.pause()
    return new Promise(() => {})
  }
  await until(() => task.state === 'paused')
  await pass(60_000)
  expect(service.uploads.size).toBe(1)
  expect(service.count('PUT')).toBe(3)
  task.resume()
  expect((await settled(task)).value).toMatchObject({ size: 4 * partSize - 5 })
  expect(service.count('PUT')).toBe(5)
  expect(seen.at(-1)).toBe(4 * partSize - 5)
  expect(task.state).toBe('done')
})

test('pausing and resuming at once loses nothing', async () => {
  const task = storage().upload('a', 'x')
  task.pause()
  task.resume()
  task.pause()
  await pass(1000)
  expect(service.count('PUT')).toBe(0)
  task.resume()
  task.pause()
  task.resume()
  expect((await settled(task)).value).toMatchObject({ key: 'a' })
})

test('canceling deletes the parts', async () => {
  const task = storage({ parallel: 1 }).upload('film.mp4', file(3))
  service.fault = (line) => {
    if (line.includes('part=2')) task.cancel()
    return undefined
  }
  expect((await settled(task)).error).toMatchObject({ name: 'AbortError' })
  expect(task.state).toBe('canceled')
  expect(service.uploads.size).toBe(0)
  expect(storage().unfinished()).toEqual([])
})

describe.each([
  ['a file', (data: File) => data],
  ['other data', (data: File) => data.slice()],
])('what cannot be deleted of %s when it is canceled', (_, dataOf) => {
  let network: EventTarget

  beforeEach(async () => {
    network = new EventTarget()
    vi.stubGlobal('addEventListener', network.addEventListener.bind(network))
    const task = storage({ parallel: 1 }).upload('film.mp4', dataOf(file(3)))
    service.fault = (line) => {
      if (line.includes('part=2')) task.cancel()
      return line.startsWith('DELETE') ? 'lose' : undefined
    }
    await settled(task)
    expect(service.uploads.size).toBe(1)
    expect(storage().unfinished()).toEqual([])
  })

  test('is deleted when the network is back', async () => {
    service.fault = () => undefined
    network.dispatchEvent(new Event('online'))
    await until(() => service.uploads.size === 0)
  })

  test('is deleted by the next upload of the user, and of nobody else', async () => {
    service.fault = () => undefined
    service.login('bob')
    await settled(storage().upload('a', 'x'))
    expect(service.uploads.size).toBe(1)
    service.login('ada')
    await settled(storage().upload('a', 'x'))
    expect(service.uploads.size).toBe(0)
    service.log.length = 0
    await settled(storage().upload('b', 'x'))
    expect(service.count('DELETE')).toBe(0)
  })
})

test('a canceled upload that is begun again goes on, and is not deleted by another one', async () => {
  const first = storage({ parallel: 1 }).upload('film.mp4', file(3))
  service.fault = (line) => {
    if (line.includes('part=2')) first.cancel()
    return line.startsWith('DELETE') ? 'lose' : undefined
  }
  await settled(first)
  service.fault = (line) => (line.includes('part=3') ? new Promise(() => {}) : undefined)
  service.log.length = 0
  void storage({ parallel: 1 }).upload('film.mp4', file(3))
  await until(() => service.count('part=3') > 0)
  expect(service.count('part=1')).toBe(0)
  await settled(storage().upload('a', 'x'))
  expect(service.uploads.size).toBe(1)
  expect(storage().unfinished()).toHaveLength(1)
})

/** The upload of a file fails to be deleted when it is canceled, or is left by a reload. */
async function leave(how: 'canceled' | 'left'): Promise<void> {
  const task = storage({ parallel: 1 }).upload('film.mp4', file(3))
  service.fault = (line): Fault => {
    if (!line.includes('part=2')) return line.startsWith('DELETE') ? 'lose' : undefined
    if (how === 'canceled') task.cancel()
    return new Promise(() => {})
  }
  if (how === 'canceled') await settled(task)
  else await until(() => service.count('part=2') > 0)
}

test.each([
  ['deleted later', 'canceled', (): void => void storage().upload('a', 'x')],
  ['given up', 'left', (): void => void storage().discard(storage().unfinished()[0]!)],
] as const)('an upload that is being %s is not taken up, and the new one is remembered', async (_, how, deletes) => {
  await leave(how)
  let arrive = () => {}
  service.fault = (line) => (line.startsWith('DELETE') ? new Promise((resolve) => (arrive = resolve)) : line.includes('part=3') ? new Promise(() => {}) : undefined)
  service.log.length = 0
  deletes()
  await until(() => service.count('DELETE') > 0)
  const [old] = service.uploads.keys()
  void storage({ parallel: 1 }).upload('film.mp4', file(3))
  await until(() => service.count('part=3') > 0)
  arrive()
  await until(() => !service.uploads.has(old!))
  expect(service.uploads.size).toBe(1)
  expect(storage().unfinished()).toHaveLength(1)
})

test('an upload that is being canceled is not taken up', async () => {
  let arrive = () => {}
  const first = storage({ parallel: 1 }).upload('film.mp4', file(3))
  service.fault = (line) => {
    if (line.includes('part=2')) first.cancel()
    return line.startsWith('DELETE') ? new Promise((resolve) => (arrive = resolve)) : undefined
  }
  await until(() => service.count('DELETE') > 0)
  const [old] = service.uploads.keys()
  service.fault = (line) => (line.includes('part=3') ? new Promise(() => {}) : undefined)
  void storage({ parallel: 1 }).upload('film.mp4', file(3))
  await until(() => service.count('part=3') > 0)
  arrive()
  await settled(first)
  expect([...service.uploads.keys()]).not.toContain(old)
  expect(storage().unfinished()).toHaveLength(1)
})

test('of several uploads to delete, one that is taken up meanwhile is left alone', async () => {
  const cancel = async (name: string) => {
    const task = storage({ parallel: 1 }).upload(name, file(3, name))
    service.fault = (line) => {
      if (line.includes('part=2')) task.cancel()
      return line.startsWith('DELETE') ? 'lose' : undefined
    }
    await settled(task)
  }
  await cancel('one.mp4')
  await cancel('two.mp4')
  const arrive: (() => void)[] = []
  service.fault = (line) => (line.startsWith('DELETE') ? new Promise((resolve) => arrive.push(resolve)) : line.includes('part=3') ? new Promise(() => {}) : undefined)
  service.log.length = 0
  await settled(storage().upload('a', 'x'))
  expect(service.count('DELETE')).toBe(1)
  const two = [...service.uploads].find(([, { what }]) => what.key === 'two.mp4')![0]
  void storage({ parallel: 1 }).upload('two.mp4', file(3, 'two.mp4'))
  await until(() => service.count('part=3') > 0)
  service.fault = () => undefined
  for (const one of arrive) one()
  await pass(1000)
  expect([...service.uploads.keys()]).toEqual([two])
  expect(storage().unfinished()).toMatchObject([{ key: 'two.mp4' }])
})

test('an upload that could not be given up is still listed', async () => {
  await leave('left')
  expect((await settled(storage().discard(storage().unfinished()[0]!))).error).toMatchObject({ code: 'unreachable' })
  expect(storage().unfinished()).toMatchObject([{ key: 'film.mp4' }])
})

test('only what could not be deleted waits for the network', async () => {
  const listen = vi.fn()
  vi.stubGlobal('addEventListener', listen)
  const task = storage({ parallel: 1 }).upload('film.mp4', file(3))
  service.fault = (line): Fault => {
    if (line.includes('part=2')) task.cancel()
    return undefined
  }
  await settled(task)
  expect(service.uploads.size).toBe(0)
  expect(listen).not.toHaveBeenCalled()
})

test('canceling deletes the parts of an earlier visit, too', async () => {
  service.fault = (line) => (line.includes('part=2') ? new Promise(() => {}) : undefined)
  void storage({ parallel: 1 }).upload('film.mp4', file(3))
  await until(() => service.count('part=2') > 0)
  const task = storage().upload('film.mp4', file(3))
  service.fault = (line) => {
    if (!line.startsWith('GET /multipart')) return undefined
    task.cancel()
    return new Promise(() => {})
  }
  await settled(task)
  expect(service.uploads.size).toBe(0)
  expect(storage().unfinished()).toEqual([])
})

test.each([
  ['that nobody can find again is deleted', (data: Blob) => data.slice(), 0],
  ['of a file is kept', (data: Blob) => data, 1],
])('what S3 has of a failed upload %s', async (_, dataOf, left) => {
  service.fault = (line) => (line.includes('part=2') ? problem(403, 'AccessDenied') : undefined)
  const task = storage({ parallel: 1, retries: 1 }).upload('film.mp4', dataOf(file(3)))
  expect((await settled(task)).error).toMatchObject({ status: 403 })
  expect(task.state).toBe('failed')
  expect(service.uploads.size).toBe(left)
})

test.each(['pause', 'cancel'] as const)('%s while an upload begins loses no upload', async (interrupt) => {
  let answer = () => {}
  service.fault = (line) => (line === 'POST /multipart' ? new Promise((resolve) => (answer = resolve)) : undefined)
  const task = storage().upload('film.mp4', file(3))
  await until(() => service.count('POST /multipart') > 0)
  task[interrupt]()
  await pass(10)
  answer()
  await pass(10)
  expect(service.count('POST /multipart')).toBe(1)
  expect(service.uploads.size).toBe(interrupt === 'pause' ? 1 : 0)
  task.resume()
  await settled(task)
  expect(service.log.filter((line) => line === 'POST /multipart')).toHaveLength(1)
  expect(task.state).toBe(interrupt === 'pause' ? 'done' : 'canceled')
})

test('a signal cancels, also before the start and during a pause', async () => {
  const gone = new Error('page left')
  expect((await settled(storage().upload('a', 'x', { signal: AbortSignal.abort(gone) }))).error).toBe(gone)
  const controller = new AbortController()
  const task = storage().upload('a', 'x', { signal: controller.signal })
  task.pause()
  await pass(10)
  controller.abort(gone)
  expect((await settled(task)).error).toBe(gone)
  expect(service.count('PUT')).toBe(0)
})

test('after a reload the same file goes on where it was', async () => {
  service.fault = (line) => (line.includes('part=3') ? new Promise(() => {}) : undefined)
  void storage({ parallel: 1 }).upload('film.mp4', file(4)) // the page is reloaded: this task never ends
  await until(() => service.count('part=3') > 0)
  service.fault = () => undefined
  service.log.length = 0

  expect(storage().unfinished()).toMatchObject([{ key: 'film.mp4', size: 4 * partSize - 5 }])
  expect((await settled(storage({ parallel: 1 }).upload('film.mp4', file(4)))).value).toMatchObject({ key: 'film.mp4' })
  expect(service.count('PUT')).toBe(2)
  expect(service.count('POST /multipart/')).toBe(3) // sign two, complete
  expect(storage().unfinished()).toEqual([])
})

test.each([
  ['some of it', 'part=3', 2 * partSize],
  ['all of it', '/complete', 4 * partSize - 5],
])('when an upload goes on, what S3 has is reported first: %s', async (_, held, has) => {
  service.fault = (line) => (line.includes(held) ? new Promise(() => {}) : undefined)
  void storage({ parallel: 1 }).upload('film.mp4', file(4))
  await until(() => service.count(held) > 0)
  const seen: number[] = []
  const task = storage().upload('film.mp4', file(4), { onProgress: ({ loaded }) => seen.push(loaded) })
  await until(() => seen.length > 0)
  task.pause()
  expect(seen[0]).toBe(has)
})

test('what an earlier version of this package has remembered goes on, and is forgotten then', async () => {
  service.fault = (line) => (line.includes('part=2') ? new Promise(() => {}) : undefined)
  void storage({ parallel: 1 }).upload('film.mp4', file(3))
  await until(() => service.count('part=2') > 0)
  service.fault = () => undefined
  const [id] = service.uploads.keys()
  const { fingerprint } = storage().unfinished()[0]!
  const left = { key: 'film.mp4', size: 3 * partSize - 5, startedAt: 1, fingerprint, id, sub: 'ada' }
  const over = { ...left, key: 'old.mp4', fingerprint: 'gone', id: 'gone', over: true }
  localStorage.setItem('th:uploads', JSON.stringify([left, over]))
  service.log.length = 0
  expect(storage().unfinished()).toMatchObject([{ key: 'film.mp4', startedAt: 1 }])
  await settled(storage().upload('film.mp4', file(3)))
  expect(service.count('PUT')).toBe(2)
  expect(service.count('DELETE /multipart/gone')).toBe(1)
  expect(JSON.parse(localStorage.getItem('th:uploads')!)).toEqual([])
})

test('what cannot be deleted outside of a browser hides no error', async () => {
  vi.stubGlobal('addEventListener', undefined)
  service.fault = (line): Fault => (line.includes('part=2') ? problem(403, 'AccessDenied') : line.startsWith('DELETE') ? 'lose' : undefined)
  const task = storage({ parallel: 1, retries: 1 }).upload('film.mp4', file(3).slice())
  expect((await settled(task)).error).toMatchObject({ status: 403 })
})

test.each([
  ['another file', file(4, 'film.mp4', 2), {}],
  ['other metadata', file(4), { metadata: { cut: 'director' } }],
  ['an upload without checksums', file(4), { checksum: false }],
])('%s begins anew', async (_, data, options) => {
  service.fault = (line) => (line.includes('part=2') ? new Promise(() => {}) : undefined)
  void storage({ parallel: 1 }).upload('film.mp4', file(4))
  await until(() => service.count('part=2') > 0)
  service.fault = () => undefined
  service.log.length = 0
  await settled(storage({ parallel: 1 }).upload('film.mp4', data, options))
  expect(service.count('PUT')).toBe(4)
})

test.each([
  ['of a file that was changed', {}, (part: Buffer) => Buffer.alloc(part.length, 9)],
  ['of another size', { checksum: false }, (part: Buffer) => part.subarray(1)],
])('a stored part %s is sent again', async (_, options, changed) => {
  service.fault = (line) => (line.includes('part=3') ? new Promise(() => {}) : undefined)
  void storage({ parallel: 1 }).upload('film.mp4', file(4), options)
  await until(() => service.count('part=3') > 0)
  service.fault = () => undefined
  const [upload] = service.uploads.values()
  upload!.parts.set(1, changed(upload!.parts.get(1)!))
  service.log.length = 0
  await settled(storage({ parallel: 1 }).upload('film.mp4', file(4), options))
  expect(service.count('PUT')).toBe(3)
  expect(service.folder.get('film.mp4')?.data.equals(Buffer.from(await file(4).arrayBuffer()))).toBe(true)
})

test('an upload that S3 has forgotten begins anew, and another user sees none', async () => {
  service.fault = (line) => (line.includes('part=2') ? new Promise(() => {}) : undefined)
  void storage({ parallel: 1 }).upload('film.mp4', file(3))
  await until(() => service.count('part=2') > 0)
  service.fault = () => undefined
  service.login('bob')
  expect(storage().unfinished()).toEqual([])
  service.login('ada')
  service.uploads.clear()
  expect((await settled(storage().upload('film.mp4', file(3)))).value).toMatchObject({ key: 'film.mp4' })
})

test('an unfinished upload can be given up', async () => {
  service.fault = (line) => (line.includes('part=2') ? new Promise(() => {}) : undefined)
  void storage({ parallel: 1 }).upload('film.mp4', file(3))
  await until(() => service.count('part=2') > 0)
  const [left] = storage().unfinished()
  await storage().discard(left!)
  expect(service.uploads.size).toBe(0)
  expect(storage().unfinished()).toEqual([])
})

test('a lost answer of the completion is found out', async () => {
  let first = true
  service.fault = (line) => {
    if (!line.endsWith('/complete') || !first) return undefined
    first = false
    return 'lose the answer'
  }
  expect((await settled(storage().upload('film.mp4', file(2)))).value).toMatchObject({ size: 2 * partSize - 5 })
})

test.each([
  ['in one piece', 'PUT', 'x'],
  ['in parts', 'complete', file(2)],
])('an upload %s that was paused when it had arrived is no failure', async (_, last, data) => {
  const task = storage().upload('film.mp4', data, { ifAbsent: true })
  service.fault = (line) => {
    if (!line.includes(last)) return undefined
    service.fault = () => undefined
    return 'keep the answer'
  }
  await until(() => service.folder.size === 1)
  task.pause()
  await pass(10)
  task.resume()
  expect((await settled(task)).value).toMatchObject({ key: 'film.mp4', etag: service.folder.get('film.mp4')?.etag })
})

test.each([true, false])('an earlier object of the same size is not taken for the upload (checksum: %s)', async (checksum) => {
  await settled(storage().upload('film.mp4', file(2), { checksum }))
  const changed = new File([new Uint8Array(2 * partSize - 5)], 'film.mp4')
  service.fault = (line) => {
    if (!line.endsWith('/complete')) return undefined
    service.fault = () => undefined
    service.uploads.clear() // somebody aborts it
    return 'lose'
  }
  expect((await settled(storage().upload('film.mp4', changed, { checksum }))).error).toMatchObject({ status: 404 })
})

test.each([true, false])('a lost answer of a completion that replaces an object is found out (checksum: %s)', async (checksum) => {
  await settled(storage().upload('film.mp4', file(2), { checksum }))
  const changed = new File([new Uint8Array(2 * partSize - 5)], 'film.mp4')
  service.fault = (line) => {
    if (!line.endsWith('/complete')) return undefined
    service.fault = () => undefined
    return 'lose the answer'
  }
  expect((await settled(storage().upload('film.mp4', changed, { checksum }))).value).toMatchObject({ etag: service.folder.get('film.mp4')?.etag })
})

test('a session that ends fails the upload, and what was sent is kept', async () => {
  const expired = (line: string) => (line.includes(' s3 ') ? undefined : problem(401, 'session_expired'))
  service.fault = (line) => (line.includes('part=2') ? Promise.resolve(void (service.fault = expired)) : undefined)
  const task = storage({ parallel: 1 }).upload('film.mp4', file(12))
  expect((await settled(task)).error).toMatchObject({ status: 401, code: 'session_expired' })
  expect(storage().unfinished()).toHaveLength(1)
  service.fault = () => undefined
  service.log.length = 0
  await settled(storage().upload('film.mp4', file(12)))
  expect(service.count('PUT')).toBeLessThan(12)
})
