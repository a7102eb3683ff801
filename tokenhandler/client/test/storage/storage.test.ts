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
