// @vitest-environment happy-dom
import { act } from 'react'
import { ApiError } from 'cognito-token-handler'
import { useObjectUrl, useUpload, useUser, type UploadHook } from 'cognito-token-handler/react'
import type { ObjectStorage, Uploaded, UploadOptions, UploadTask } from 'cognito-token-handler/storage'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { render } from './render'
import { ada, bob, Service } from './service'

let service: Service

beforeEach(() => {
  service = new Service()
})

afterEach(() => {
  service.close()
  vi.useRealTimers()
})

/** An upload that the test moves on. */
class Upload {
  options: UploadOptions | undefined
  state = 'running'
  progress = { loaded: 0, total: 4 }
  done: (uploaded: Uploaded) => void = () => {}
  fail: (error: Error) => void = () => {}
  result = new Promise<Uploaded>((resolve, reject) => ((this.done = resolve), (this.fail = reject)))
  then = this.result.then.bind(this.result)
  pause = () => (this.state = 'paused')
  resume = () => (this.state = 'running')
  cancel = () => ((this.state = 'canceled'), this.fail(new DOMException('canceled', 'AbortError')))
}

const uploads: Upload[] = []
const storage = {
  upload(_key, _data, options) {
    const task = Object.assign(new Upload(), { options })
    uploads.push(task)
    return task as unknown as UploadTask
  },
} satisfies Pick<ObjectStorage, 'upload'>

test('useUpload shows progress, and the end', async () => {
  let hook!: UploadHook
  const Panel = () => {
    hook = useUpload(storage)
    return <p>{`${hook.state} ${hook.progress?.loaded ?? '-'} ${hook.uploaded?.key ?? '-'} ${hook.error?.message ?? '-'}`}</p>
  }
  const page = await render(service.client(), <Panel />)
  expect(page.text()).toBe('idle - - -')

  const onProgress = vi.fn()
  await act(async () => void hook.upload('a', 'data', { onProgress }))
  const [first] = uploads
  await act(async () => first!.options!.onProgress!((first!.progress = { loaded: 2, total: 4 })))
  expect(page.text()).toBe('running 2 - -')
  expect(onProgress).toHaveBeenCalledWith({ loaded: 2, total: 4 })
  await act(async () => hook.pause())
  expect(page.text()).toBe('paused 2 - -')
  await act(async () => hook.resume())
  await act(async () => ((first!.state = 'done'), first!.done({ key: 'a', size: 4 })))
  expect(page.text()).toBe('done 2 a -')

  await act(async () => void hook.upload('b', 'data'))
  expect(page.text()).toBe('running 0 - -')
  await act(async () => hook.cancel())
  expect(page.text()).toBe('canceled 0 - canceled')

  await act(async () => void hook.upload('c', 'data'))
  await act(async () => void hook.upload('d', 'data'))
  await act(async () => uploads[2]!.fail(new ApiError('of an older one', { status: 413, code: 'too_large' })))
  expect(page.text()).toBe('running 0 - -')
})

test('useObjectUrl renews the URL before it ends, and forgets that of another key', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  let count = 0
  const url = vi.fn(async (key: string) => {
    if (key === 'missing') throw new ApiError('not there', { status: 404, code: 'not_found' })
    return { url: `${key}?${++count}`, expiresAt: new Date(Date.now() + 300_000) }
  })
  const store = { url }
  const Show = ({ name }: { name?: string | undefined }) => {
    const { url: address, error } = useObjectUrl(store, name)
    return <p>{address ?? error?.message ?? '-'}</p>
  }
  service.login(ada)
  const auth = service.client()
  await auth.ready()
  const page = await render(auth, <Show name="a" />)
  const first = count // StrictMode asks twice
  expect(page.text()).toBe(`a?${first}`)
  await act(() => vi.advanceTimersByTimeAsync(230_000))
  expect(count).toBe(first)
  await act(() => vi.advanceTimersByTimeAsync(20_000))
  expect(page.text()).toBe(`a?${first + 1}`)
  expect((await render(auth, <Show name="missing" />)).text()).toBe('not there')
  expect((await render(auth, <Show />)).text()).toBe('-')
})

test('useObjectUrl keeps the URL until it ends, and asks until there is another', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  service.idleMs = service.lifeMs
  service.login(ada)
  let count = 0
  let down = false
  const store = {
    url: vi.fn(async () => {
      if (down) throw new ApiError('out', { status: 503, code: 'store_unavailable' })
      return { url: `a?${++count}`, expiresAt: new Date(Date.now() + 300_000) }
    }),
  }
  const Show = () => {
    const { url, error } = useObjectUrl(store, 'a')
    return <p>{`${url ?? '-'} ${error?.message ?? '-'}`}</p>
  }
  const auth = service.client()
  await auth.ready()
  const page = await render(auth, <Show />)
  const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms))
  expect(page.text()).toBe(`a?${count} -`)
  down = true
  const asked = store.url.mock.calls.length
  await pass(299_000)
  expect(page.text()).toBe(`a?${count} out`)
  await pass(1_000)
  expect(page.text()).toBe('- out')
  expect(store.url.mock.calls.length - asked).toBeGreaterThan(2)
  expect(store.url.mock.calls.length - asked).toBeLessThan(12)
  down = false
  await pass(61_000)
  expect(page.text()).toBe(`a?${count} -`)
})

test('useObjectUrl shows nobody the URL of another user', async () => {
  service.login(ada)
  let answer: (link: { url: string; expiresAt: Date }) => void = () => {}
  const store = { url: () => new Promise<{ url: string; expiresAt: Date }>((resolve) => (answer = resolve)) }
  const seen: string[] = []
  const Show = () => {
    const text = `${useUser()?.sub}: ${useObjectUrl(store, 'a').url ?? '-'}`
    seen.push(text)
    return <p>{text}</p>
  }
  const auth = service.client()
  await auth.ready()
  const page = await render(auth, <Show />)
  const expiresAt = new Date(Date.now() + 300_000)
  await act(async () => answer({ url: 'of ada', expiresAt }))
  expect(page.text()).toBe('ada: of ada')
  service.login(bob)
  await act(() => auth.check())
  expect(page.text()).toBe('bob: -')
  await act(async () => answer({ url: 'of bob', expiresAt }))
  expect(page.text()).toBe('bob: of bob')
  service.logout()
  await act(() => auth.check())
  expect(page.text()).toBe('undefined: -')
  expect(seen).not.toContain('bob: of ada')
})
