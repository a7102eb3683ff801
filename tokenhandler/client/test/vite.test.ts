import { createServer as createHTTP, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import tokenHandler, { type TokenHandlerOptions } from 'cognito-token-handler/vite'
import { createLogger, createServer, resolveConfig, type ViteDevServer } from 'vite'
import { afterEach, expect, test, vi } from 'vitest'
import { patience } from './service'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const server of open.splice(0)) await server.close()
})

/** A service whose public_url is given. It notes what it is asked. */
async function service(publicURL: () => string): Promise<{ target: string; asked: [string, IncomingHttpHeaders][] }> {
  const asked: [string, IncomingHttpHeaders][] = []
  const server: Server = createHTTP((request, response) => {
    asked.push([request.url!, request.headers])
    const query = new URLSearchParams({ redirect_uri: `${publicURL()}/auth/callback` })
    if (request.url === '/auth/login') response.writeHead(302, { Location: `https://login.example.com/oauth2/authorize?${query}` })
    response.end('of the service')
  })
  server.on('upgrade', (_, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(server)
  return { target: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

async function app(options: TokenHandlerOptions, files: string[] = [], deny?: string[]): Promise<{ url: string; logged: string[]; vite: ViteDevServer }> {
  const root = mkdtempSync(join(tmpdir(), 'app-'))
  writeFileSync(join(root, 'index.html'), '<title>app</title>')
  for (const file of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), 'text')
  }
  const logged: string[] = []
  const customLogger = { ...createLogger('silent'), warn: (text: string) => void logged.push(text), error: (text: string) => void logged.push(text) }
  const vite = await createServer({ root, configFile: false, customLogger, server: { host: '127.0.0.1', port: 0, ...(deny && { fs: { deny } }) }, plugins: [tokenHandler(options)] })
  open.push(vite)
  await vite.listen()
  return { url: `http://localhost:${(vite.httpServer!.address() as AddressInfo).port}`, logged, vite }
}

test('calls reach the service with the app’s host, and nothing else does', async () => {
  let url = ''
  const { target, asked } = await service(() => url)
  const started = await app({ target })
  url = started.url
  const at = url.replace('localhost', '127.0.0.1')
  expect(await (await fetch(at + '/auth/session')).text()).toBe('of the service')
  expect(await (await fetch(at + '/storage/objects/a')).text()).toBe('of the service')
  expect(await (await fetch(at + '/author', { headers: { Accept: 'text/html' } })).text()).toContain('<title>app</title>')
  expect(asked.find(([path]) => path === '/auth/session')![1].host).toBe(new URL(at).host)
  const socket = new Promise((resolve, reject) => {
    import('node:http').then(({ get }) =>
      get(at + '/api/socket', { headers: { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13' } })
        .on('upgrade', (response, socket) => resolve(socket.destroy() && response.statusCode))
        .on('error', reject),
    )
  })
  expect(await socket).toBe(101)
})

const statusOf = async (url: string, file: string) => (await fetch(`${url.replace('localhost', '127.0.0.1')}/${file}`)).status
const secrets = ['session_keys', 'client_secret', 'tokenhandler.yaml', '.env.session_keys', '.env.client_secret', 'dev.yaml', 'below/session_keys']

test('the service’s configuration and secrets are not served, nor what Vite refuses by itself', async () => {
  const { url, vite } = await app({ config: './conf/dev.yaml' }, [...secrets, 'tls.pem', 'public.yaml'])
  for (const file of [...secrets, 'tls.pem']) expect([file, await statusOf(url, file)]).toEqual([file, 403])
  expect(await statusOf(url, 'session_keys?raw')).toBe(403)
  expect(await statusOf(url, 'public.yaml')).toBe(200)
  const own = await resolveConfig({ configFile: false }, 'serve')
  expect(vite.config.server.fs.deny).toEqual(expect.arrayContaining(own.server.fs.deny))
})

test('an app’s own list of what is not served stays', async () => {
  const { url } = await app({}, ['mine', 'tls.pem', 'session_keys'], ['mine'])
  expect(await statusOf(url, 'mine')).toBe(403)
  expect(await statusOf(url, 'session_keys')).toBe(403)
  expect(await statusOf(url, 'tls.pem')).toBe(200)
})

test('a public_url that is not the app’s is explained', async () => {
  const { target, asked } = await service(() => 'http://localhost:8080')
  const { url, logged } = await app({ target })
  await vi.waitFor(() => expect(logged).toHaveLength(1), patience)
  expect(logged[0]).toContain(`public_url is http://localhost:8080, but the app is at ${url}`)
  expect(asked[0]![1]).toMatchObject({ 'sec-fetch-mode': 'navigate', host: new URL(url).host })
})

test('the binary is started and ended, and its absence is told', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'binary-'))
  const binary = join(dir, 'tokenhandler')
  writeFileSync(binary, `#!/bin/sh\ntrap 'echo ended >> ${dir}/log; exit' TERM\necho "$@" >> ${dir}/log\nwhile :; do sleep 0.05; done\n`, { mode: 0o755 })
  const log = () => readFileSync(join(dir, 'log'), 'utf8')
  const { vite } = await app({ binary, config: 'dev.yaml', target: 'http://127.0.0.1:9' })
  await vi.waitFor(() => expect(log()).toBe('--config dev.yaml\n'), patience)
  await vite.close()
  await vi.waitFor(() => expect(log()).toContain('ended'), patience)

  const { logged } = await app({ binary: join(dir, 'missing'), target: 'http://127.0.0.1:9' })
  await vi.waitFor(() => expect(logged.join()).toContain('does not start'), patience)
  await vi.waitFor(() => expect(logged.join()).toContain('Nothing answers at http://127.0.0.1:9'), patience)
})
