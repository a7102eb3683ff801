// @vitest-environment happy-dom
import { act } from 'react'
import { createRoot } from 'react-dom/client'
import { loadJSON, requireUser } from 'cognito-token-handler/router'
import type { Auth, User } from 'cognito-token-handler'
import { createMemoryRouter, RouterProvider, useLoaderData, useRouteError } from 'react-router'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ada, patience, problem, Service } from './service'

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true })

let service: Service

beforeEach(() => {
  service = new Service()
  sessionStorage.clear()
  vi.spyOn(location, 'assign').mockReturnValue()
})

afterEach(() => service.close())

const Email = () => <p>{useLoaderData<User>().email}</p>
const Orders = () => <p>{JSON.stringify(useLoaderData())}</p>
const Failed = () => <p>{(useRouteError() as { code: string }).code}</p>

async function show(auth: Auth, path: string): Promise<string> {
  const router = createMemoryRouter(
    [
      { path: '/me', loader: requireUser(auth), Component: Email, errorElement: <Failed /> },
      { path: '/orders/:id', loader: loadJSON(auth, ({ request }) => '/api' + new URL(request.url).pathname), Component: Orders, errorElement: <Failed /> },
    ],
    { initialEntries: [path] },
  )
  const root = document.createElement('div')
  await act(async () => createRoot(root).render(<RouterProvider router={router} />))
  await vi.waitFor(() => expect(root.textContent || vi.mocked(location.assign).mock.calls.length).toBeTruthy(), patience)
  return root.textContent!
}

test('a loader gets the user and the API’s answer', async () => {
  service.login(ada)
  const auth = service.client()
  expect(await show(auth, '/me')).toBe('ada@example.com')
  expect(await show(auth, '/orders/7')).toBe('{"ok":true}')
  expect(service.asked('/api/orders/7')).toBe(1)
})

test('nobody else gets past it, and comes back to the page that was wanted', async () => {
  const auth = service.client()
  expect(await show(auth, '/orders/7?full=1')).toBe('')
  expect(vi.mocked(location.assign).mock.calls[0]![0]).toContain(`/auth/login?return_to=${encodeURIComponent('http://localhost/orders/7?full=1')}`)
})

test('a session that ends meanwhile leads to the login, too', async () => {
  service.login(ada)
  const auth = service.client()
  await auth.ready()
  service.logout()
  expect(await show(auth, '/orders/7')).toBe('')
  expect(location.assign).toHaveBeenCalledOnce()
})

test('errors reach the route’s boundary', async () => {
  service.next = [problem(503, 'store_unavailable')]
  expect(await show(service.client(), '/me')).toBe('store_unavailable')
  service.login(ada)
  const auth = service.client()
  await auth.ready()
  service.next = [problem(403, 'insufficient_scope')]
  expect(await show(auth, '/orders/7')).toBe('insufficient_scope')
  service.logout()
  const out = service.client()
  await out.ready()
  out.login({ auto: true })
  expect(await show(service.client(), '/me')).toBe('not_authenticated')
})
