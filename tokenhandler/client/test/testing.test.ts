import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cookieHeader, login } from 'cognito-token-handler/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'

/** The service and a page with a form, on one server. It notes what it is asked. */
const asked: { path: string; cookie: string; mode: string; body: string }[] = []
let server: Server
let baseURL: string

const routes: Record<string, (request: IncomingMessage, response: ServerResponse, body: URLSearchParams) => void> = {
  '/auth/login': (_, response) =>
    response.writeHead(302, { Location: '/oauth2/authorize?state=a%26b', 'Set-Cookie': ['login=1; Path=/; HttpOnly; SameSite=Lax; Max-Age=900', 'old=1'] }).end(),
  '/oauth2/authorize': (request, response, body) => {
    if (request.method === 'POST' && body.get('password') === 'right') {
      return response.writeHead(302, { Location: `/auth/callback?state=${encodeURIComponent(body.get('state')!)}` }).end()
    }
    const error = request.method === 'POST' ? '<h1>Sign in</h1><p class="error" role="alert">Incorrect username or password.</p>' : ''
    return response.end(`<style>p{}</style><form action="/search"></form>${error}<form method="POST" action="/oauth2/authorize">
      <input type="hidden" name="state" value="a&amp;b&#43;" /><input type="password" name="password"></form>`)
  },
  '/auth/callback': (_, response) =>
    response
      .writeHead(303, {
        Location: '/start',
        'Set-Cookie': [
          'login=; Path=/; Max-Age=0', 'old=; Expires=Thu, 01 Jan 1970 00:00:00 GMT',
          'session-8080=sealed=; Path=/; HttpOnly; SameSite=Strict', 'kept=1; Path=/; Secure; SameSite=None; Expires=Fri, 01 Jan 2100 00:00:00 GMT',
          'elsewhere=1; Path=/passkeys',
        ],
      })
      .end(),
  '/auth/session': (request, response) => response.end(`{"authenticated":${request.headers.cookie?.includes('session-8080=sealed=') ?? false}}`),
}

beforeEach(async () => {
  asked.length = 0
  server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const path = request.url!.split('?')[0]!
    asked.push({ path, body, cookie: request.headers.cookie ?? '', mode: String(request.headers['sec-fetch-mode']) })
    const route = routes[path]
    if (route) route(request, response, new URLSearchParams(body))
    else response.writeHead(404).end('no such page')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => server.close())

test('the form is sent, and the cookies of the app come back', async () => {
  const state = await login({ baseURL, username: 'ada@example.com', password: 'right' })
  expect(state.origins).toEqual([])
  expect(state.cookies.map(({ name }) => name)).toEqual(['session-8080', 'kept', 'elsewhere'])
  expect(state.cookies[0]).toEqual({
    name: 'session-8080', value: 'sealed=', domain: '127.0.0.1', path: '/', expires: -1, httpOnly: true, secure: false, sameSite: 'Strict',
  })
  expect(state.cookies[1]).toMatchObject({ secure: true, sameSite: 'None', expires: Date.UTC(2100, 0) / 1000 })
  expect(cookieHeader(state)).toBe('session-8080=sealed=; kept=1; elsewhere=1')

  const [, , form, callback, session] = asked
  expect(new URLSearchParams(form!.body).get('state')).toBe('a&b+')
  expect(new URLSearchParams(form!.body).get('username')).toBe('ada@example.com')
  expect(callback).toMatchObject({ path: '/auth/callback', mode: 'navigate', cookie: 'login=1; old=1' })
  expect(session).toMatchObject({ path: '/auth/session', cookie: 'session-8080=sealed=; kept=1' })
  expect(asked).toHaveLength(5) // the app's own page is not asked for
})

test('a refusal says what the page says', async () => {
  await expect(login({ baseURL, username: 'ada@example.com', password: 'wrong' })).rejects.toThrow(
    /ada@example.com is not logged in at http:.*\/oauth2\/authorize said: Incorrect username or password\.$/,
  )
})

test('a page without a form, and nobody at home, are told', async () => {
  await expect(login({ baseURL, username: 'a', password: 'b', authPath: '/nothing' })).rejects.toThrow(/has no form for a password: 404 no such page/)
  await expect(login({ baseURL: 'http://127.0.0.1:9', username: 'a', password: 'b' })).rejects.toThrow('nothing answers at http://127.0.0.1:9')
})
