import { vi } from 'vitest'
import { createAuth, type Auth, type AuthOptions, type User } from 'cognito-token-handler'
import type { SessionAnswer } from '../src/wire'

export const ada: User = { sub: 'ada', email: 'ada@example.com' }
export const bob: User = { sub: 'bob', email: 'bob@example.com' }

/** The origin of the app in happy-dom. */
export const origin = 'https://app.example.com'

/** The service, as the client's `fetch` sees it. Its clock is this process's plus `ahead`. */
export class Service {
  requests: Request[] = []
  user: User | undefined
  sessionId = '0123456789abcdef'
  ended: SessionAnswer['ended'] | undefined
  ahead = 0
  loginUrl = '/auth/login'
  idleMs = 30 * 60_000
  lifeMs = 12 * 3_600_000
  begun = Date.now()
  active = Date.now()
  renewed = Date.now()
  /** Answers that come before all others, in turn: a response, or an error of the network. */
  next: (Response | Error)[] = []
  private readonly clients: Auth[] = []

  login(user: User): void {
    this.user = user
    this.ended = undefined
    this.begun = this.active = this.renewed = Date.now()
  }

  logout(ended?: SessionAnswer['ended']): void {
    this.user = undefined
    this.ended = ended
  }

  fetch = vi.fn(async (input: RequestInfo | URL): Promise<Response> => {
    const request = input as Request
    this.requests.push(request)
    await Promise.resolve()
    const answer = this.next.shift()
    if (answer instanceof Error) throw answer
    return answer ?? this.answer(request)
  })

  private answer({ url, method }: Request): Response {
    const { pathname } = new URL(url)
    if (pathname.endsWith('/logout')) {
      this.logout()
      return Response.json({ logout_url: 'https://login.example.com/logout' })
    }
    if (pathname.endsWith('/session')) return Response.json(this.session())
    if (!this.user) return problem(401, 'not_authenticated')
    if (pathname.endsWith('/refresh') && method === 'POST') {
      this.active = this.renewed = Date.now()
      return Response.json(this.session())
    }
    this.active = Date.now()
    return Response.json({ ok: true })
  }

  session(): SessionAnswer {
    const idle = Math.min(this.active + this.idleMs, this.begun + this.lifeMs)
    const now = this.time(Date.now())
    if (this.user && Date.now() >= idle) this.logout('idle')
    if (!this.user) return { authenticated: false, now, login_url: this.loginUrl, ...(this.ended && { ended: this.ended }) }
    return {
      authenticated: true,
      now,
      user: this.user,
      session_id: this.sessionId,
      auth_time: this.time(this.begun),
      expires_at: this.time(this.begun + this.lifeMs),
      idle_expires_at: this.time(idle),
      access_token_expires_at: this.time(this.renewed + 300_000),
    }
  }

  private time(ms: number): string {
    return new Date(ms + this.ahead).toISOString()
  }

  /** How often a path was asked for. */
  asked(path: string): number {
    return this.requests.filter(({ url }) => new URL(url).pathname === path).length
  }

  /** A tab of the app. */
  client(options: AuthOptions = {}): Auth {
    const auth = createAuth({ fetch: this.fetch, ...options })
    this.clients.push(auth)
    return auth
  }

  close(): void {
    for (const auth of this.clients) auth.close()
  }
}

export function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  const body = JSON.stringify({ type: 'about:blank', title: 'A title', status, code, detail: `about ${code}`, request_id: 'r1' })
  return new Response(body, { status, headers: { 'Content-Type': 'application/problem+json', ...headers } })
}

/** For `vi.waitFor`. A busy machine does not reach it, only a hang does. */
export const patience = 120_000

/** Lets the page be hidden, or seen again. */
export function hide(hidden: boolean): void {
  vi.spyOn(document, 'hidden', 'get').mockReturnValue(hidden)
  document.dispatchEvent(new Event('visibilitychange'))
}

/** The events of a client, in order. */
export function record(auth: Auth): string[] {
  const seen: string[] = []
  for (const name of ['signedIn', 'signedOut', 'userChanged', 'expiring', 'refreshed', 'unreachable'] as const) {
    auth.on(name, () => seen.push(name))
  }
  return seen
}
