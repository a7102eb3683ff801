import { beforeEach, expect, test, vi } from 'vitest'
import { ApiError, type Auth, type AuthEvents, type LoginOptions, type LogoutOptions, type Session } from 'cognito-token-handler'
import * as amplify from 'cognito-token-handler/amplify/auth'
import * as files from 'cognito-token-handler/amplify/storage'
import { Hub } from 'cognito-token-handler/amplify/utils'
import { createStorage } from 'cognito-token-handler/storage'
import { patience } from '../service'
import { FakeService, Memory, partSize } from '../storage/fake'

let service: FakeService
let logins: LoginOptions[]
let logouts: LogoutOptions[]
const listeners: Partial<Record<keyof AuthEvents, (detail: never) => void>> = {}
let state: unknown

beforeEach(() => {
  vi.stubGlobal('localStorage', new Memory())
  vi.stubGlobal('location', new URL('https://app.test/here'))
  service = new FakeService().login('ada')
  logins = []
  logouts = []
  const session = service.auth.session as Extract<Session, { status: 'authenticated' }>
  Object.assign(session.user, { username: 'ada1', email: 'ada@example.com', email_verified: true, groups: ['staff'] })
  const auth: Partial<Auth> = {
    ready: async () => service.auth.session,
    refresh: async () => service.auth.session,
    login: (options = {}) => logins.push(options) > 0,
    logout: async (options = {}) => void logouts.push(options),
    on: (event, listener) => {
      listeners[event] = listener
      return () => {}
    },
    takeState: <T>() => state as T,
  }
  amplify.configure({ auth: auth as Auth, storage: createStorage(service.auth, { partsFrom: partSize, retries: 0 }) })
  return () => vi.unstubAllGlobals()
})

const out = (session: Session) => Object.assign(service.auth, { session })

test('who is logged in', async () => {
  expect(await amplify.getCurrentUser()).toEqual({ username: 'ada1', userId: 'ada' })
  expect(await amplify.fetchUserAttributes()).toEqual({ sub: 'ada', username: 'ada1', email: 'ada@example.com', email_verified: 'true' })
  expect(await amplify.fetchAuthSession()).toEqual({ userSub: 'ada' })
  expect(await amplify.fetchAuthSession({ forceRefresh: true })).toEqual({ userSub: 'ada' })

  out({ status: 'anonymous', loginUrl: '/auth/login' })
  await expect(amplify.getCurrentUser()).rejects.toMatchObject({ name: 'UserUnAuthenticatedException' })
  expect(await amplify.fetchAuthSession()).toEqual({})

  out({ status: 'unknown', error: new ApiError('no answer', { status: 0, code: 'unreachable' }) })
  await expect(amplify.getCurrentUser()).rejects.toMatchObject({ name: 'NetworkError', underlyingError: { code: 'unreachable' } })
})

test('login and logout', async () => {
  await amplify.signInWithRedirect()
  await amplify.signInWithRedirect({ provider: 'Apple', customState: 'cart', options: { lang: 'de', prompt: 'LOGIN', loginHint: 'ada' } })
  await amplify.signInWithRedirect({ provider: { custom: 'Okta' } })
  expect(logins).toEqual([
    { state: { amplify: true } },
    { state: { amplify: true, customState: 'cart' }, provider: 'SignInWithApple', lang: 'de', prompt: 'login', loginHint: 'ada' },
    { state: { amplify: true }, provider: 'Okta' },
  ])
  await amplify.signOut()
  await amplify.signOut({ global: true, oauth: { redirectUrl: 'https://app.test/bye?x=1' } })
  expect(logouts).toEqual([{}, { everywhere: true, returnTo: '/bye?x=1' }])
})

test('a call that cannot exist fails for code without types, too', () => {
  expect(() => (amplify.signIn as unknown as () => void)()).toThrow('cannot exist')
})

test('the events of the Hub', async () => {
  state = { amplify: true, customState: 'cart' }
  const seen: unknown[] = []
  const stop = Hub.listen('auth', ({ payload }) => seen.push(payload))
  await vi.waitFor(() => expect(seen).toHaveLength(2), patience)
  const emit = <E extends keyof AuthEvents>(event: E, detail: AuthEvents[E]) => (listeners[event] as (detail: AuthEvents[E]) => void)(detail)
  emit('signedIn', service.auth.session as AuthEvents['signedIn'])
  emit('refreshed', service.auth.session as AuthEvents['refreshed'])
  emit('userChanged', { from: { sub: 'ada' }, to: { sub: 'bob' } })
  emit('signedOut', { status: 'anonymous', loginUrl: '/auth/login', ended: 'idle' })
  emit('signedOut', { status: 'anonymous', loginUrl: '/auth/login', ended: 'logout' })
  expect(seen).toEqual([
    { event: 'signInWithRedirect' },
    { event: 'customOAuthState', data: 'cart' },
    { event: 'signedIn', data: { username: 'ada1', userId: 'ada' } },
    { event: 'tokenRefresh' },
    { event: 'signedIn', data: { username: 'bob', userId: 'bob' } },
    { event: 'tokenRefresh_failure', data: { error: new Error('the session has ended: idle') } },
    { event: 'signedOut' },
    { event: 'signedOut' },
  ])
  stop()
  emit('refreshed', service.auth.session as AuthEvents['refreshed'])
  expect(seen).toHaveLength(8)
})

test('paths under the identity id lead to the folder of the user, and back', async () => {
  const path = ({ identityId }: { identityId?: string }) => `private/${identityId}/photos/a.txt`
  const seen: files.TransferProgressEvent[] = []
  const upload = files.uploadData({ path, data: 'hello', options: { contentType: 'text/plain', metadata: { by: 'ada' }, onProgress: (event) => seen.push(event) } })
  expect(await upload.result).toMatchObject({ path: 'private/ada/photos/a.txt', size: 5, contentType: 'text/plain' })
  expect(upload.state).toBe('SUCCESS')
  expect(seen.at(-1)).toEqual({ transferredBytes: 5, totalBytes: 5 })
  expect(service.text('photos/a.txt')).toBe('hello')

  const { body, eTag } = await files.downloadData({ path, options: { bytesRange: { start: 0, end: 3 } } }).result
  expect([await body.text(), eTag]).toEqual(['hell', service.folder.get('photos/a.txt')?.etag])
  expect(await files.getProperties({ path })).toMatchObject({ path: 'private/ada/photos/a.txt', size: 5, contentType: 'text/plain', metadata: { by: 'ada' } })
  expect((await files.getUrl({ path, options: { contentDisposition: { type: 'attachment' } } })).url.hostname).toBe('bucket.test')
  expect(await files.copy({ source: { path }, destination: { path: 'b.txt' } })).toEqual({ path: 'b.txt' })
  expect(await files.remove({ path })).toEqual({ path: 'private/ada/photos/a.txt' })
  expect([...service.folder.keys()]).toEqual(['b.txt'])
  await expect(files.downloadData({ path: 'public/logo.png' }).result).rejects.toMatchObject({ name: 'InvalidStoragePath' })
  await expect(files.downloadData({ path: 'private/bob/a' }).result).rejects.toMatchObject({ name: 'InvalidStoragePath' })
})

test.each(['private/ada/../../api/orders/7', 'a/..', '../x/'])('the path %j leads nowhere else', async (path) => {
  const refused = { underlyingError: { code: 'invalid_request' } }
  await expect(files.remove({ path }).result).rejects.toMatchObject(refused)
  await expect(files.getUrl({ path })).rejects.toMatchObject(refused)
  await expect(files.getProperties({ path })).rejects.toMatchObject(refused)
  await expect(files.downloadData({ path }).result).rejects.toMatchObject(refused)
  expect(service.log).toEqual([])
})

test('lists are pages, all, or without what is below', async () => {
  for (const key of ['a', 'b', 'c/1', 'c/2']) service.write(key, key)
  const first = await files.list({ path: 'private/ada/', options: { pageSize: 3 } })
  expect(first.items.map(({ path }) => path)).toEqual(['private/ada/a', 'private/ada/b', 'private/ada/c/1'])
  const rest = await files.list({ path: 'private/ada/', options: { pageSize: 3, nextToken: first.nextToken! } })
  expect([rest.items.map(({ path }) => path), rest.nextToken]).toEqual([['private/ada/c/2'], undefined])
  expect((await files.list({ path: '', options: { listAll: true } })).items).toHaveLength(4)
  expect((await files.list({ path: '', options: { listAll: true, subpathStrategy: { strategy: 'exclude' } } })).excludedSubpaths).toEqual(['c/'])
})

test('a folder is removed with all that is in it', async () => {
  for (const key of ['a', 'c/1', 'c/2']) service.write(key, key)
  const removal = files.remove({ path: 'c/' })
  expect(removal.state).toBe('IN_PROGRESS')
  expect([await removal.result, [...service.folder.keys()], removal.state]).toEqual([{ path: 'c/' }, ['a'], 'SUCCESS'])
})

test('an upload can pause, go on and be canceled', async () => {
  const upload = files.uploadData({ path: 'a', data: 'x' })
  upload.pause()
  expect(upload.state).toBe('PAUSED')
  upload.resume()
  expect((await upload.result).path).toBe('a')

  const canceled = files.uploadData({ path: 'b', data: 'x' })
  canceled.cancel('no more')
  const error: unknown = await canceled.result.catch((reason: unknown) => reason)
  expect([files.isCancelError(error), (error as Error).message, canceled.state]).toEqual([true, 'no more', 'CANCELED'])
  expect(service.text('b')).toBeUndefined()
})

test('errors have the names of Amplify', async () => {
  await expect(files.getProperties({ path: 'no' })).rejects.toMatchObject({ name: 'NotFound', underlyingError: { status: 404 } })
  service.write('a', 'x')
  const options = { preventOverwrite: true, contentDisposition: { type: 'attachment', filename: "ä'.txt" } } as const
  await expect(files.uploadData({ path: 'a', data: 'y', options }).result).rejects.toMatchObject({ name: 'PreconditionFailed' })
})
