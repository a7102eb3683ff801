import { beforeEach, describe, expect, test, vi } from 'vitest'
import { FakeService, Memory, partSize, pass, settled, until } from './fake'

// The code of uploads in parts, which is loaded apart from the rest.

type Storage = typeof import('../../src/storage')
let service: FakeService
let storage: (retries?: number) => ReturnType<Storage['createStorage']>
let loads = 0
/** What becomes of a request for the code: it arrives when this is fulfilled. */
let arrives: () => Promise<void>

const lost = new TypeError('Failed to fetch dynamically imported module')
const file = (parts: number) => new File([new Uint8Array(parts * partSize - 5).fill(parts)], 'film.mp4', { type: 'video/mp4', lastModified: 1 })

/** What the page does when it is loaded. */
async function reload(): Promise<void> {
  vi.resetModules()
  vi.doMock('../../src/storage/parts', async (original) => {
    loads++
    await arrives()
    return original<object>()
  })
  const { createStorage } = (await import('../../src/storage')) as Storage
  storage = (retries = 6) => createStorage(service.auth, { partsFrom: partSize, retries })
  loads = 0
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  service = new FakeService().login('ada')
  arrives = () => Promise.resolve()
  vi.stubGlobal('localStorage', new Memory())
  await reload()
  return () => {
    vi.doUnmock('../../src/storage/parts')
    vi.useRealTimers()
    vi.unstubAllGlobals()
  }
})

test('is loaded before the first large upload, once', async () => {
  storage()
  await until(() => loads === 1)
  storage()
  await settled(storage().upload('film.mp4', file(3)))
  expect(loads).toBe(1)
})

test('is not loaded where nothing can be uploaded', async () => {
  vi.stubGlobal('XMLHttpRequest', undefined)
  storage()
  await pass(1000)
  expect(loads).toBe(0)
})

test('is no part of small uploads', async () => {
  arrives = () => new Promise(() => {})
  expect((await settled(storage().upload('a', 'x'))).value).toMatchObject({ key: 'a' })
})

test('that could not be loaded early is loaded for the upload', async () => {
  arrives = () => Promise.reject(lost)
  const early = storage()
  await until(() => loads === 1)
  await pass(1000)
  expect(loads).toBe(1)
  arrives = () => Promise.resolve()
  expect((await settled(early.upload('film.mp4', file(3)))).value).toMatchObject({ key: 'film.mp4' })
  expect(loads).toBe(2)
})

test('that never comes fails the upload, and what an earlier visit left is kept', async () => {
  service.fault = (line) => (line.includes('part=2') ? new Promise(() => {}) : undefined)
  void storage().upload('film.mp4', file(3))
  await until(() => service.count('part=2') > 0)
  arrives = () => Promise.reject(lost)
  await reload()
  const task = storage(2).upload('film.mp4', file(3))
  const { error } = await settled(task)
  expect(error).toMatchObject({ name: 'ApiError', status: 0, code: 'unreachable', cause: expect.any(Error) })
  expect(loads).toBe(3)
  expect(task.state).toBe('failed')
  expect(service.uploads.size).toBe(1)
  expect(storage().unfinished()).toHaveLength(1)
})

test('is waited for while the browser is offline', async () => {
  const network = new EventTarget()
  vi.stubGlobal('addEventListener', network.addEventListener.bind(network))
  vi.stubGlobal('navigator', { onLine: false })
  arrives = () => Promise.reject(lost)
  const task = storage(1).upload('film.mp4', file(3))
  await until(() => loads > 0)
  await pass(3_600_000)
  expect(task.state).toBe('running')
  vi.stubGlobal('navigator', { onLine: true })
  arrives = () => Promise.resolve()
  network.dispatchEvent(new Event('online'))
  expect((await settled(task)).value).toMatchObject({ key: 'film.mp4' })
})

describe('while it is loading', () => {
  let arrive: () => void

  beforeEach(() => {
    arrives = () => new Promise((resolve) => (arrive = resolve))
  })

  test('an upload can be paused and resumed', async () => {
    const task = storage().upload('film.mp4', file(3))
    await until(() => loads === 1)
    task.pause()
    arrive()
    await pass(1000)
    expect(task.state).toBe('paused')
    expect(service.log).toEqual([])
    for (const part of [1, 2]) {
      service.fault = (line) => (line.includes(`part=${part}`) ? new Promise(() => {}) : undefined)
      task.resume()
      await until(() => service.count(`part=${part}`) > 0)
      task.pause()
      await pass(10)
    }
    service.fault = () => undefined
    task.resume()
    expect((await settled(task)).value).toMatchObject({ key: 'film.mp4' })
    expect(loads).toBe(1)
  })

  test('an upload can be paused and resumed before it is there', async () => {
    const task = storage().upload('film.mp4', file(3))
    await until(() => loads === 1)
    task.pause()
    await pass(10)
    task.resume()
    await pass(1000)
    expect(task.state).toBe('running')
    arrive()
    expect((await settled(task)).value).toMatchObject({ key: 'film.mp4' })
  })

  /** Reloads the page in the middle of an upload. From then on the code does not arrive. */
  async function leaveHalfway() {
    arrives = () => Promise.resolve()
    service.fault = (line) => (line.includes('part=2') ? new Promise(() => {}) : undefined)
    void storage().upload('film.mp4', file(3))
    await until(() => service.count('part=2') > 0)
    arrives = () => new Promise(() => {})
    await reload()
  }

  test('an upload can be canceled, and what an earlier visit left is deleted', async () => {
    await leaveHalfway()
    const task = storage().upload('film.mp4', file(3))
    await until(() => loads === 1)
    task.cancel()
    expect((await settled(task)).error).toMatchObject({ name: 'AbortError' })
    expect(task.state).toBe('canceled')
    expect(service.uploads.size).toBe(0)
    expect(storage().unfinished()).toEqual([])
  })

  test('a signal cancels, and nothing is sent', async () => {
    const controller = new AbortController()
    const task = storage().upload('film.mp4', file(3), { signal: controller.signal })
    await until(() => loads === 1)
    const gone = new Error('page left')
    controller.abort(gone)
    expect((await settled(task)).error).toBe(gone)
    arrive()
    await pass(1000)
    expect(service.log).toEqual([])
  })

  test('an upload can be given up', async () => {
    await leaveHalfway()
    await storage().discard(storage().unfinished()[0]!)
    expect(service.uploads.size).toBe(0)
  })
})
