import { request as plain, type IncomingMessage } from 'node:http'
import { request as tls } from 'node:https'

/** Who logs in, and where. */
export interface TestLogin {
  /** The service's `public_url`, such as `http://localhost:8080`. */
  baseURL: string
  username: string
  password: string
  /** The service's `auth.path`. The default is `/auth`. */
  authPath?: string
}

/** A cookie as Playwright keeps it. */
export interface TestCookie {
  name: string
  value: string
  domain: string
  path: string
  /** In seconds since 1970; -1 for a cookie that ends with the browser. */
  expires: number
  httpOnly: boolean
  secure: boolean
  sameSite: 'Strict' | 'Lax' | 'None'
}

/** What Playwright's `browser.newContext({ storageState })` takes, and writes as JSON. */
export interface StorageState {
  cookies: TestCookie[]
  origins: { origin: string; localStorage: { name: string; value: string }[] }[]
}

interface Answer {
  url: URL
  status: number
  location: string | undefined
  body: string
}

/**
 * Logs a user in without a browser, for integration tests: it sends the form of cognito-local's page, or of the local stack's, and returns the
 * cookies of the app. It does not work with the pages of Cognito itself, which need a browser.
 */
export async function login({ baseURL, username, password, authPath = '/auth' }: TestLogin): Promise<StorageState> {
  const app = new URL(baseURL)
  const jar = new Jar()
  let page = await follow(jar, new URL(`${authPath}/login`, app))
  const form = readForm(page)
  if (!form) throw new Error(`logging in: ${page.url} has no form for a password: ${page.status} ${excerpt(page)}`)
  form.fields.set('username', username)
  form.fields.set('password', password)
  const outside = (url: URL) => url.origin === app.origin && !url.pathname.startsWith(`${authPath}/`)
  page = await follow(jar, form.action, form.fields, outside)
  const session = await send(jar, new URL(`${authPath}/session`, app), undefined, { 'x-csrf': '1' })
  if (!session.body.includes('"authenticated":true')) {
    throw new Error(`logging in: ${username} is not logged in at ${app.origin}. ${page.url.origin}${page.url.pathname} said: ${excerpt(page)}`)
  }
  return { cookies: jar.of(app), origins: [] }
}

/** The header `Cookie` for requests to the app, for tests that speak HTTP. Send `X-CSRF: 1` beside it. */
export function cookieHeader(state: StorageState): string {
  return state.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
}

/** The cookies by host. The login has no others than those of whole hosts. */
class Jar {
  private readonly hosts = new Map<string, Map<string, TestCookie>>()

  of(url: URL): TestCookie[] {
    return [...(this.hosts.get(url.hostname)?.values() ?? [])]
  }

  header(url: URL): string {
    const sent = this.of(url).filter(({ path }) => path === '/' || url.pathname === path || url.pathname.startsWith(`${path}/`))
    return cookieHeader({ cookies: sent, origins: [] })
  }

  put(url: URL, line: string): void {
    const [pair = '', ...rest] = line.split(';').map((part) => part.trim())
    const attributes = new Map(rest.map((part) => [part.split('=')[0]!.toLowerCase(), part.slice(part.indexOf('=') + 1)]))
    const name = pair.slice(0, pair.indexOf('='))
    const path = attributes.get('path') ?? '/'
    const sameSite = ({ strict: 'Strict', none: 'None' } as const)[attributes.get('samesite')?.toLowerCase() ?? ''] ?? 'Lax'
    const expires = end(attributes)
    const host = this.hosts.get(url.hostname) ?? new Map<string, TestCookie>()
    this.hosts.set(url.hostname, host)
    host.delete(`${name};${path}`)
    if (expires !== -1 && expires <= Date.now() / 1000) return
    host.set(`${name};${path}`, {
      name, value: pair.slice(pair.indexOf('=') + 1), domain: url.hostname, path, expires, sameSite,
      httpOnly: attributes.has('httponly'), secure: attributes.has('secure'),
    })
  }
}

/** When a cookie expires. `Max-Age` goes before `Expires` (RFC 6265, section 5.3). */
function end(attributes: Map<string, string>): number {
  const age = attributes.get('max-age')
  if (age !== undefined) return Date.now() / 1000 + Number(age)
  const at = Date.parse(attributes.get('expires') ?? '')
  return Number.isNaN(at) ? -1 : at / 1000
}

/** Sends the request and follows its redirects, as far as `last`. */
async function follow(jar: Jar, url: URL, form?: URLSearchParams, last: (url: URL) => boolean = () => false): Promise<Answer> {
  let answer = await send(jar, url, form)
  for (let i = 0; answer.location !== undefined && i < 10; i++) {
    const next = new URL(answer.location, answer.url)
    if (last(next)) return answer
    answer = await send(jar, next)
  }
  return answer
}

/** Sends a request as a browser's navigation: the service starts no login for a script's `fetch`. */
function send(jar: Jar, url: URL, form?: URLSearchParams, more: Record<string, string> = {}): Promise<Answer> {
  const body = form?.toString()
  const headers: Record<string, string> = {
    accept: 'text/html', cookie: jar.header(url), 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', ...more,
  }
  if (body !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded'
  return new Promise((resolve, reject) => {
    const sent = (url.protocol === 'https:' ? tls : plain)(url, { method: body === undefined ? 'GET' : 'POST', headers }, (response) => {
      response.headers['set-cookie']?.forEach((line) => jar.put(url, line))
      read(response).then((text) => resolve({ url, status: response.statusCode!, location: response.headers.location, body: text }), reject)
    })
    sent.on('error', (error) => reject(new Error(`logging in: nothing answers at ${url.origin}: ${error.message}`)))
    sent.end(body)
  })
}

async function read(response: IncomingMessage): Promise<string> {
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response) text += chunk
  return text
}

/** The page's form for a password: where it goes, and its hidden fields. */
function readForm({ url, body }: Answer): { action: URL; fields: URLSearchParams } | undefined {
  const form = [...body.matchAll(/<form[^>]*>[^]*?<\/form>/gi)].map(([text]) => text).find((text) => /type="password"/.test(text))
  if (form === undefined) return undefined
  const fields = new URLSearchParams()
  for (const [input] of form.matchAll(/<input[^>]*type="hidden"[^>]*>/gi)) fields.set(attribute(input, 'name'), attribute(input, 'value'))
  return { action: new URL(attribute(form, 'action'), url), fields }
}

const attribute = (tag: string, name: string) => unescape(new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1] ?? '')

const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescape(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (all, decimal, hex, name) =>
    name ? (named[name] ?? all) : String.fromCodePoint(decimal ? Number(decimal) : parseInt(hex, 16)),
  )
}

/** What a page says, in one short line: its error, if it marks one. */
function excerpt({ status, location, body }: Answer): string {
  const text = (/<p[^>]* role="alert"[^>]*>[^]*?<\/p>/.exec(body)?.[0] ?? body).replace(/<(style|script|title)[^]*?<\/\1>/gi, ' ').replace(/<[^>]*>/g, ' ')
  return location ?? (unescape(text).replace(/\s+/g, ' ').trim().slice(0, 200) || `status ${status}`)
}
