import { beforeEach, expect, test, vi } from 'vitest'
import { createStorage, type Progress, type StoredObject } from '../../src/storage'
import { FakeService, Memory, partSize, pass, problem, settled, until } from './fake'

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

test('a small upload is one PUT with its type, metadata and checksum', async () => {
  const seen: Progress[] = []
  const { value } = await settled(
    storage().upload('notes/a b.txt', 'Größe', { metadata: { author: 'ada' }, onProgress: (progress) => seen.push(progress) }),
  )
  expect(value).toEqual({ key: 'notes/a b.txt', size: 7, etag: service.folder.get('notes/a b.txt')?.etag })
  expect(service.log).toEqual(['POST /uploads', 'PUT s3 notes/a b.txt?'])
  expect(service.folder.get('notes/a b.txt')).toMatchObject({ type: 'text/plain;charset=utf-8', metadata: { author: 'ada' } })
  expect(service.folder.get('notes/a b.txt')?.sha256).toBeTruthy()
  expect(seen.at(-1)).toEqual({ loaded: 7, total: 7 })
})

test('conditions are errors with the codes of the service', async () => {
  const etag = service.write('a', 'old')
  expect((await settled(storage().upload('a', 'new', { ifAbsent: true }))).error).toMatchObject({ status: 409, code: 'already_exists' })
  expect((await settled(storage().upload('a', 'new', { ifMatch: '"other"' }))).error).toMatchObject({ status: 412, code: 'precondition_failed' })
  expect(service.text('a')).toBe('old')
  expect((await settled(storage().upload('a', 'new', { ifMatch: etag }))).value).toMatchObject({ size: 3 })
  expect(service.text('a')).toBe('new')
})

test('a lost answer of a conditional upload is no conflict with oneself', async () => {
  let first = true
  service.fault = (line) => {
    if (!line.startsWith('PUT') || !first) return undefined
    first = false
    return 'lose the answer'
  }
  const { value } = await settled(storage().upload('a', 'new', { ifAbsent: true }))
  expect(value).toMatchObject({ key: 'a', size: 3 })
  expect(service.count('HEAD /objects/a')).toBe(1)
})

test('what another browser wrote meanwhile is a conflict after a lost request', async () => {
  let first = true
  service.fault = (line) => {
    if (!line.startsWith('PUT') || !first) return undefined
    first = false
    service.write('a', 'theirs')
    return 'lose'
  }
  expect((await settled(storage().upload('a', 'new', { ifAbsent: true }))).error).toMatchObject({ code: 'already_exists' })
  expect(service.text('a')).toBe('theirs')
})

test('failures that may pass are tried again, others are not', async () => {
  const answers = [problem(502, 'upstream_error'), problem(429, 'rate_limited'), 'lose' as const]
  service.fault = (line) => (line === 'POST /uploads' ? answers.shift() : undefined)
  expect((await settled(storage().upload('a', 'x'))).value).toMatchObject({ key: 'a' })
  expect(service.count('POST /uploads')).toBe(4)

  service.fault = () => problem(403, 'quota_exceeded')
  expect((await settled(storage().upload('b', 'x'))).error).toMatchObject({ code: 'quota_exceeded', requestId: 'r-1' })
  expect(service.count('POST /uploads')).toBe(5)
})

test('an upload gives up after its retries', async () => {
  service.fault = (line) => (line.startsWith('PUT') ? 'lose' : undefined)
  const task = storage({ retries: 2 }).upload('a', 'x')
  expect((await settled(task)).error).toMatchObject({ status: 0, code: 'unreachable' })
  expect(service.count('PUT')).toBe(3)
  expect(task.state).toBe('failed')
})

test('a large upload goes in parts, some at once, and the parts are in order', async () => {
  let now = 0
  let most = 0
  let three = () => {}
  const full = new Promise<void>((resolve) => (three = resolve))
  service.fault = (line) => {
    if (!line.startsWith('PUT')) return undefined
    most = Math.max(most, ++now)
    if (now === 3) three()
    return full.then(() => void now--) // the first wait until three are on their way
  }
  const data = file(6)
  const { value } = await settled(storage({ parallel: 3 }).upload('film.mp4', data))
  expect(value).toMatchObject({ key: 'film.mp4', size: data.size })
  expect(service.folder.get('film.mp4')?.data.equals(Buffer.from(await data.arrayBuffer()))).toBe(true)
  expect(most).toBe(3)
  expect(service.count('/parts')).toBe(6)
  expect(storage().unfinished()).toEqual([])
})

test('a part whose URL has expired is signed and sent again', async () => {
  service.expires = -1
  service.fault = (line) => {
    if (line.startsWith('PUT')) service.expires = 1000
    return undefined
  }
  expect((await settled(storage({ parallel: 1 }).upload('film.mp4', file(4)))).value).toMatchObject({ key: 'film.mp4' })
  expect(service.count('/parts')).toBe(5)
})

test('progress is told to whoever looks, too', async () => {
  const task = storage().upload('a', 'hello')
  await settled(task)
  expect(task.progress).toEqual({ loaded: 5, total: 5 })
})

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

test('what cannot be deleted when it is canceled can be given up later', async () => {
  const task = storage({ parallel: 1 }).upload('film.mp4', file(3))
  service.fault = (line) => {
    if (line.includes('part=2')) task.cancel()
    return line.startsWith('DELETE') ? 'lose' : undefined
  }
  await settled(task)
  expect(service.uploads.size).toBe(1)
  service.fault = () => undefined
  await storage().discard(storage().unfinished()[0]!)
  expect(service.uploads.size).toBe(0)
  expect(storage().unfinished()).toEqual([])
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

test('an upload that one user began never ends in the folder of another', async () => {
  service.fault = (line) => (line.startsWith('PUT') ? 'lose' : undefined)
  const task = storage().upload('a', 'x')
  await until(() => service.count('PUT') > 0)
  service.login('bob')
  service.fault = () => undefined
  expect((await settled(task)).error).toMatchObject({ code: 'user_changed' })
  expect(service.folders.get('bob')?.size ?? 0).toBe(0)
})

test('download, range, url and src', async () => {
  service.write('photos/a b.txt', 'hello')
  const { blob, contentType, etag } = await storage().download('photos/a b.txt')
  expect([await blob.text(), contentType, etag]).toEqual(['hello', 'text/plain', service.folder.get('photos/a b.txt')?.etag])
  expect(await (await storage().download('photos/a b.txt', { range: [1, 2] })).blob.text()).toBe('el')
  expect((await storage().url('photos/a b.txt', { download: 'ä.txt' })).expiresAt).toEqual(new Date('2026-03-04T12:15:00Z'))
  expect(service.log.at(-1)).toBe('GET /objects/photos/a%20b.txt?redirect=false&download=%C3%A4.txt')
  expect(storage({ path: 'https://api.test/files' }).src('photos/a b.txt', { download: true })).toBe('https://api.test/files/objects/photos/a%20b.txt?download=')
  await expect(storage().download('no')).rejects.toMatchObject({ code: 'not_found' })
})

test('a list can be read by object, by page and by folder', async () => {
  for (const key of ['a', 'b', 'photos/1', 'photos/2', 'photos/x/3']) service.write(key, key)
  const keys: string[] = []
  for await (const { key } of storage().list('', { limit: 2 })) keys.push(key)
  expect(keys).toEqual(['a', 'b', 'photos/1', 'photos/2', 'photos/x/3'])
  expect(service.count('GET /objects')).toBe(3)
  const page = await storage().list('photos/', { delimiter: '/', limit: 1 }).page()
  expect(page).toMatchObject({ objects: [{ key: 'photos/1', lastModified: expect.any(Date) as Date }], folders: ['photos/x/'], cursor: '1' })
  const next = await storage().list('photos/', { delimiter: '/', limit: 1, cursor: page.cursor! }).all()
  expect(next.map(({ key }: StoredObject) => key)).toEqual(['photos/2'])
})

test('head, copy, usage', async () => {
  await settled(storage().upload('a', 'hello', { metadata: { author: 'ada' } }))
  expect(await storage().head('a')).toMatchObject({ size: 5, metadata: { author: 'ada' }, contentType: 'text/plain;charset=utf-8', checksumSha256: expect.any(String) as string })
  await expect(storage().head('no')).rejects.toMatchObject({ status: 404, code: 'not_found' })
  expect(await storage().copy('a', 'b', { ifAbsent: true })).toMatchObject({ key: 'b', size: 5 })
  await expect(storage().copy('a', 'b', { ifAbsent: true })).rejects.toMatchObject({ code: 'already_exists' })
  expect(await storage().usage()).toEqual({ bytes: 12, objects: 1, quotaBytes: null, quotaObjects: 9, asOf: new Date('2026-03-04T12:00:00Z') })
})

test('remove deletes one version, or a folder in steps', async () => {
  service.write('a', 'x')
  await expect(storage().remove('a', { ifMatch: '"old"' })).rejects.toMatchObject({ code: 'precondition_failed' })
  expect(await storage().remove('a')).toBe(1)
  service.write('old/b', 'x')
  expect(await storage().remove('old/', { recursive: true })).toBe(1)
  for (let i = 0; i < 1500; i++) service.write(`photos/${i}`, '')
  service.write('photosets', 'stays')
  const steps: number[] = []
  expect(await storage().remove('photos', { recursive: true, onProgress: (deleted) => steps.push(deleted) })).toBe(1500)
  expect(steps).toEqual([1000, 1500])
  expect([...service.folder.keys()]).toEqual(['photosets'])
})

test.each(['../../api/orders/7', 'a/b/..', 'a/./b', '..', '.', 'a//b', '/a', 'a//', '/', ''])('the key %j leads nowhere else', async (key) => {
  const refused = { name: 'ApiError', status: 400, code: 'invalid_request' }
  const own = storage()
  const calls = [
    () => own.remove(key),
    () => own.remove(key, { recursive: true }),
    () => own.head(key),
    () => own.url(key),
    () => own.download(key),
    async () => own.src(key),
  ]
  for (const call of calls) await expect(call()).rejects.toMatchObject(refused)
  expect(service.log).toEqual([])
  // These are in the query and in the body, where the service judges them.
  await own.list(key).all()
  await own.copy(key, key).catch(() => {})
  expect(service.log.map((line) => line.split('?')[0])).toEqual(['GET /objects', 'POST /copies'])
})

test('dots in names are no dot segments', () => {
  expect(storage().src('.a/..b/c../...')).toBe('/storage/objects/.a/..b/c../...')
})

test('offline is waited for, and counts as no try', async () => {
  vi.stubGlobal('navigator', { onLine: false })
  let online = () => {}
  vi.stubGlobal('addEventListener', (name: string, listener: () => void) => name === 'online' && (online = listener))
  service.fault = () => 'lose'
  const task = storage({ retries: 1 }).upload('a', 'x')
  await until(() => service.log.length === 1)
  await pass(3_600_000)
  expect(task.state).toBe('running')
  expect(service.log).toHaveLength(1)
  service.fault = () => undefined
  vi.stubGlobal('navigator', { onLine: true })
  online()
  expect((await settled(task)).value).toMatchObject({ key: 'a' })
})
