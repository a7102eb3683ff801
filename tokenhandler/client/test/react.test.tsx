// @vitest-environment happy-dom
import { act, useState, version } from 'react'
import { renderToString } from 'react-dom/server'
import { createAuth, type Auth } from 'cognito-token-handler'
import { AuthProvider, RequireAuth, SessionWarning, useAuth, useTimeLeft, useUser, type AuthHook } from 'cognito-token-handler/react'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { render } from './render'
import { ada, bob, problem, Service } from './service'

let service: Service

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], now: new Date('2026-05-01T12:00:00Z') })
  service = new Service()
  sessionStorage.clear()
  vi.spyOn(location, 'assign').mockReturnValue()
})

afterEach(() => {
  service.close()
  vi.useRealTimers()
})

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms))
const minute = 60_000

async function ready(options = {}): Promise<Auth> {
  const auth = service.client(options)
  await auth.ready()
  return auth
}

test('this is the React that the project names', ({ task }) => {
  expect(version.split('.')[0]).toBe(task.file.projectName === 'React 18' ? '18' : '19')
})

describe('useAuth', () => {
  let hook: AuthHook
  const Names = () => {
    hook = useAuth()
    return <p>{`${hook.status} ${hook.isLoggedIn} ${hook.user?.email ?? '-'}`}</p>
  }

  test('has the names of the hook that it replaces', async () => {
    service.login(ada)
    const page = await render(await ready(), <Names />)
    expect(page.text()).toBe('authenticated true ada@example.com')
    expect(hook.getCurrentUser()).toEqual(ada)
    expect(hook.expiresAt).toEqual(new Date('2026-05-01T12:30:00Z'))
    await pass(10 * minute)
    await act(() => hook.refreshSession())
    expect(hook.expiresAt).toEqual(new Date('2026-05-01T12:40:00Z'))
    hook.signUp()
    hook.login({ returnTo: '/' })
    await act(() => hook.logout())
    expect(vi.mocked(location.assign).mock.calls.map(([url]) => new URL(url as string).pathname)).toEqual(['/auth/signup', '/auth/login', '/logout'])
    expect(page.text()).toBe('anonymous false -')
    expect(hook.getCurrentUser()).toBeNull()
  })

  test('its functions are handlers of events, too', async () => {
    service.login(ada)
    const Buttons = () => {
      const { login, logout, signUp } = useAuth()
      return (
        <>
          <button onClick={login}>login</button>
          <button onClick={signUp}>signUp</button>
          <button onClick={logout}>logout</button>
        </>
      )
    }
    const page = await render(await ready(), <Buttons />)
    for (const name of ['login', 'signUp', 'logout']) await page.click(name)
    const [login, signUp] = vi.mocked(location.assign).mock.calls.map(([url]) => new URL(url as string).search)
    expect([login, signUp]).toEqual(['?return_to=%2Forders%3Fid%3D7%23top', '?return_to=%2Forders%3Fid%3D7%23top'])
    expect(new URL(service.requests.at(-1)!.url)).toMatchObject({ pathname: '/auth/logout', search: '' })
  })

  test('an outage is no logout', async () => {
    service.login(ada)
    const auth = await ready()
    const page = await render(auth, <Names />)
    service.fetch.mockRejectedValue(new TypeError('offline'))
    await pass(40 * minute)
    expect(page.text()).toBe('unknown false ada@example.com')
  })

  test('many components ask for the session once', async () => {
    const auth = service.client()
    const page = await render(auth, Array.from({ length: 30 }, (_, i) => <Names key={i} />))
    await act(() => auth.ready())
    expect(page.text()).toContain('anonymous')
    expect(service.requests).toHaveLength(1)
  })

  test('says what is missing without a provider', () => {
    vi.spyOn(console, 'error').mockReturnValue()
    expect(() => renderToString(<Names />)).toThrow('AuthProvider')
  })

  test('a server renders that the session is loading', () => {
    const auth = createAuth({ fetch: service.fetch })
    expect(renderToString(<AuthProvider auth={auth}><Names /></AuthProvider>)).toContain('loading false -')
    auth.close()
  })
})

describe('RequireAuth', () => {
  const Draft = () => {
    const [draft, type] = useState('')
    return <button onClick={() => type('typed')}>{`${useUser()?.sub}:${draft}`}</button>
  }
  const app = (
    <RequireAuth fallback="wait" unreachable={({ error }) => `out: ${error.message}`}>
      <Draft />
    </RequireAuth>
  )
  /** The page goes into the back/forward cache, and comes out of it. */
  const leaveAndComeBack = () => {
    for (const name of ['pagehide', 'pageshow']) window.dispatchEvent(Object.assign(new Event(name), { persisted: true }))
  }
  const shown = (root: HTMLElement) => root.querySelector<HTMLElement>('div')?.style.display

  test('goes to the login, once', async () => {
    const auth = service.client()
    const page = await render(auth, app)
    await act(() => auth.ready())
    expect(page.text()).toBe('wait')
    expect(location.assign).toHaveBeenCalledOnce()
  })

  test('makes no loop of a login that does not help', async () => {
    ;(await ready()).login({ auto: true })
    const page = await render(await ready(), app)
    expect(location.assign).toHaveBeenCalledOnce()
    expect(page.text()).toBe('You are logged out. Log in')
    expect(page.root.querySelector('a')!.getAttribute('target')).toBeNull()
  })

  test('comes back to the app from a service on another origin', async () => {
    service.loginUrl = 'https://service.example.com/auth/login'
    const auth = await ready({ baseUrl: 'https://service.example.com' })
    const page = await render(auth, app)
    const comesBackTo = (url: string) => new URL(url).searchParams.get('return_to')
    expect(comesBackTo(vi.mocked(location.assign).mock.calls[0]![0] as string)).toBe(location.href)
    await act(async () => leaveAndComeBack())
    expect(comesBackTo(page.root.querySelector('a')!.href)).toBe(location.href)
  })

  test('leaves nothing behind when it is unmounted', async () => {
    const auth = await ready()
    auth.subscribe(() => {}) // the client listens from then on
    const listening = new Set<unknown>()
    const { addEventListener: add, removeEventListener: remove } = globalThis
    vi.spyOn(globalThis, 'addEventListener').mockImplementation((name: string, listener: unknown) => {
      if (name === 'pagehide') listening.add(listener)
      add(name, listener as EventListener)
    })
    vi.spyOn(globalThis, 'removeEventListener').mockImplementation((name: string, listener: unknown) => {
      listening.delete(listener)
      remove(name, listener as EventListener)
    })
    const page = await render(auth, app)
    expect(listening.size).toBeGreaterThan(0)
    await page.unmount()
    expect(listening.size).toBe(0)
  })

  test('offers a login to a user who comes back from it with the browser’s button', async () => {
    const page = await render(await ready(), app)
    expect(page.text()).toBe('wait')
    await act(async () => leaveAndComeBack())
    expect(page.text()).toBe('You are logged out. Log in')
  })

  test('keeps what is typed when the session expires, for the same user only', async () => {
    service.login(ada)
    const auth = await ready()
    const page = await render(auth, app)
    await page.click('ada:')
    await pass(31 * minute)
    expect(shown(page.root)).toBe('none')
    expect(page.text()).toContain('You are logged out.')
    expect(page.root.querySelector('a')!.getAttribute('target')).toBe('_blank')
    expect(page.root.querySelector('a')!.getAttribute('href')).toBe('https://app.example.com/auth/login?return_to=%2Forders%3Fid%3D7%23top')
    expect(location.assign).not.toHaveBeenCalled()
    service.login(ada)
    await act(() => auth.check())
    expect(shown(page.root)).toBe('contents')
    expect(page.text()).toBe('ada:typed')
    service.login(bob)
    await act(() => auth.check())
    expect(page.text()).toBe('bob:')
  })

  test('removes everything at a logout, and starts no login', async () => {
    service.login(ada)
    const auth = await ready()
    const page = await render(auth, app)
    await act(() => auth.logout())
    expect(page.text()).toBe('You are logged out. Log in')
    expect(location.assign).toHaveBeenCalledOnce()
  })

  test('says when nobody knows who is logged in', async () => {
    service.next = [problem(503, 'store_unavailable')]
    const page = await render(await ready(), app)
    expect(page.text()).toBe('out: about store_unavailable')
    expect(location.assign).not.toHaveBeenCalled()
  })
})

describe('time', () => {
  test('useTimeLeft counts down, and stops with its component', async () => {
    service.login(ada)
    const Left = () => <p>{Math.round((useTimeLeft() ?? 0) / 1000)}</p>
    const page = await render(await ready(), <Left />)
    expect(page.text()).toBe('1800')
    await pass(3000)
    expect(page.text()).toBe('1797')
    await page.unmount()
  })

  test('useTimeLeft renders no more when the time is over', async () => {
    service.login(ada)
    let renders = 0
    const Left = () => {
      renders++
      return <p>{Math.round((useTimeLeft() ?? 0) / 1000)}</p>
    }
    const page = await render(await ready(), <Left />)
    service.fetch.mockReturnValue(new Promise(() => {})) // nobody says that the session has ended
    await pass(30 * minute + 1500)
    expect(page.text()).toBe('0')
    renders = 0
    await pass(10_000)
    expect(renders).toBe(0)
  })

  test('SessionWarning asks before the end, and prolongs', async () => {
    service.login(ada)
    const page = await render(await ready(), <SessionWarning />)
    await pass(27 * minute)
    expect(page.text()).toBe('')
    await pass(1.5 * minute)
    expect(page.text()).toBe('Your session ends in 90 seconds. Stay logged in')
    await page.click('Stay logged in')
    expect(page.text()).toBe('')
  })
})
