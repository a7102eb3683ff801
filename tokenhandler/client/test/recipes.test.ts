// @vitest-environment happy-dom
import { readFileSync } from 'node:fs'
import { QueryClient } from '@tanstack/query-core'
import axios from 'axios'
import { ApiError, type Auth } from 'cognito-token-handler'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ada, problem, Service } from './service'

// What README.md says about other libraries.

let service: Service

beforeEach(() => {
  service = new Service()
  service.login(ada)
})

afterEach(() => service.close())

const retry = (count: number, error: unknown) => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500)
const retrySource = '(count: number, error: unknown) => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500)'

async function query<T>(auth: Auth, path: string, signal: AbortSignal): Promise<T> {
  const answer = await auth.fetch(path, { signal })
  if (!answer.ok) throw await ApiError.from(answer)
  return answer.json() as Promise<T>
}

test.each([
  [401, 'not_authenticated', 1],
  [502, 'upstream_error', 3],
])('TanStack Query sees a %d %s, and asks %d times', async (status, code, times) => {
  const auth = service.client()
  await auth.ready()
  const client = new QueryClient({ defaultOptions: { queries: { retry, retryDelay: 1 } } })
  service.next = Array.from({ length: times }, () => problem(status, code))
  const failed = client.fetchQuery({ queryKey: ['orders'], queryFn: ({ signal }) => query(auth, '/api/orders', signal) })
  await expect(failed).rejects.toMatchObject({ name: 'ApiError', status, code })
  expect(service.asked('/api/orders')).toBe(times)
  expect(await client.fetchQuery({ queryKey: ['me'], queryFn: ({ signal }) => query(auth, '/api/me', signal) })).toEqual({ ok: true })
  client.clear()
})

test('axios sends its requests by auth.fetch', async () => {
  const auth = service.client()
  await auth.ready()
  const api = axios.create({ adapter: 'fetch', env: { fetch: auth.fetch } })
  expect((await api.post('/api/orders', { id: 7 })).data).toEqual({ ok: true })
  const sent = service.requests.at(-1)!
  expect(sent.headers.get('X-CSRF')).toBe('1')
  expect(sent.headers.get('X-Expected-Sub')).toBe('ada')
  expect(await sent.json()).toEqual({ id: 7 })
  service.next = [problem(403, 'insufficient_scope')]
  await expect(api.get('/api/orders')).rejects.toMatchObject({ response: { status: 403, data: { code: 'insufficient_scope' } } })
})

test('README.md shows the same', () => {
  const readme = readFileSync('README.md', 'utf8')
  expect(readme).toContain(`export const retry = ${retrySource}`)
  expect(readme).toContain("axios.create({ adapter: 'fetch', env: { fetch: auth.fetch } })")
  const denylist = readme.match(/navigateFallbackDenylist: \[.+?\]/)![0]
  // The app whose service worker a test with Chromium uses.
  expect(readFileSync('../../test/browser/testdata/stacks/vite-pwa/vite.config.js', 'utf8')).toContain(denylist)
  const denied = new RegExp(readme.match(/navigateFallbackDenylist: \[\/(.+)\/\]/)![1]!)
  expect(['/auth/login', '/api/me', '/storage/objects/a'].filter((path) => !denied.test(path))).toEqual([])
  expect(['/', '/author', '/apis'].filter((path) => denied.test(path))).toEqual([])
})

test('README.md exports with Next as the app does that Chromium runs', () => {
  const readme = readFileSync('README.md', 'utf8')
  const [, recipe] = readme.match(/^A static export of Next\.js ([\s\S]+?)\n\n```tsx file=src\/providers\.tsx\n'use client'\n/m)!
  const [, output] = recipe!.match(/`(output: '\w+')` in `next\.config\.mjs`/)!
  const [, dir] = recipe!.match(/`spa\.dir: (\w+)`/)!
  const stacks = '../../test/browser/testdata/stacks'
  expect(readFileSync(`${stacks}/next-export/next.config.mjs`, 'utf8')).toBe(`export default { ${output} }\n`)
  expect(readFileSync(`${stacks}/build.sh`, 'utf8')).toContain(`build next-export 'next build' ${dir}\n`)
  // Next takes the hooks and components for the browser's, too.
  expect(readFileSync('dist/react.js', 'utf8')).toMatch(/^["'`]use client["'`]/)
})
