// @vitest-environment happy-dom
import { act } from 'react'
import { currentUser, useAuth, type CompatAuth } from 'cognito-token-handler/compat'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { render } from './render'
import { ada, problem, Service } from './service'

let service: Service
let hook: CompatAuth
const Names = () => {
  hook = useAuth()
  return <p>{String(hook.isLoggedIn)}</p>
}

beforeEach(() => {
  service = new Service()
  vi.spyOn(location, 'assign').mockReturnValue()
})

afterEach(() => service.close())

/** What a callback gets. */
const called = <T,>(start: (callback: (error: Error | null, result: T | null) => void) => void) =>
  new Promise<T>((resolve, reject) => start((error, result) => (error ? reject(error) : resolve(result!))))

test('the callbacks are called', async () => {
  service.login({ ...ada, username: 'Ada' })
  const auth = service.client()
  await auth.ready()
  const page = await render(auth, <Names />)
  expect(page.text()).toBe('true')
  const user = hook.getCurrentUser()!
  expect(user.getUsername()).toBe('Ada')
  const session = await called(user.getSession)
  expect(session.isValid()).toBe(true)
  expect(session.getIdToken().payload.email).toBe('ada@example.com')
  expect(session.getIdToken().getExpiration()).toBeGreaterThan(Date.now() / 1000)
  expect(await called(user.getUserAttributes)).toContainEqual({ Name: 'email', Value: 'ada@example.com' })
  await act(() => called(hook.refreshSession))
  await act(() => called((done) => user.refreshSession('of old', done)))
  service.next = [problem(429, 'rate_limited')]
  await expect(called(hook.refreshSession)).rejects.toMatchObject({ code: 'rate_limited' })
  service.next = [problem(403, 'cross_site_request')]
  const failed = await new Promise<Error>((onFailure) => user.globalSignOut({ onFailure }))
  expect(failed).toMatchObject({ code: 'cross_site_request' })
  expect(await act(() => new Promise((onSuccess) => user.globalSignOut({ onSuccess })))).toBe('SUCCESS')
  expect(currentUser(auth)).toBeNull()
  await expect(called(user.getSession)).rejects.toMatchObject({ code: 'not_authenticated' })
  await expect(called(user.getUserAttributes)).rejects.toMatchObject({ code: 'not_authenticated' })
  await act(() => new Promise<void>((done) => hook.logout(done)))
})

test('a login goes to Cognito’s page, without the password', async () => {
  const auth = service.client()
  await auth.ready()
  await render(auth, <Names />)
  hook.login('ada@example.com', 'secret')
  hook.signUp('ada@example.com', 'secret')
  const urls = vi.mocked(location.assign).mock.calls.map(([url]) => String(url))
  expect(urls[0]).toContain('/auth/login?return_to=%2Forders%3Fid%3D7%23top&login_hint=ada%40example.com')
  expect(urls[1]).toContain('/auth/signup?')
  expect(urls.join()).not.toContain('secret')
})
