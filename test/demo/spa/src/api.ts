/** An RFC 9457 error answer of the token handler. `code` is stable; `detail` is for people. */
export interface Problem {
  title: string
  status: number
  code: string
  detail?: string
  login_url?: string
  request_id?: string
}

/** Any answer, good or bad, for those who want to look at it. */
export interface Answer {
  status: number
  ms: number
  body: unknown
  problem: Problem | null
}

/** Thrown by `request` for every answer outside 2xx, and by `send` when there is no answer at all. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title)
    this.name = 'ApiError'
  }

  /** True when the token handler says that nobody is logged in (any more); an upstream's own 401 does not count. */
  get sessionEnded(): boolean {
    return this.problem.code === 'session_expired' || this.problem.code === 'not_authenticated'
  }
}

/** Sends a same-origin request. The session cookie goes along by itself; `X-CSRF` can't be sent by a form or an image. */
export async function send(method: string, path: string, body?: unknown): Promise<Answer> {
  const headers: Record<string, string> = { Accept: 'application/json', 'X-CSRF': '1' }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  const started = performance.now()
  try {
    const response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
    })
    const parsed = parse(await response.text())
    const ms = Math.round(performance.now() - started)
    return { status: response.status, ms, body: parsed, problem: response.ok ? null : toProblem(response, parsed) }
  } catch {
    throw unreachable(`No answer to ${method} ${path}. Is the server running?`)
  }
}

/** Like `send`, but gives the body of a 2xx answer and throws an ApiError for any other. */
export async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await send(method, path, body)
  if (answer.problem) throw new ApiError(answer.problem)
  return answer.body as T
}

/** The error for "there was no answer". */
export function unreachable(detail: string): ApiError {
  return new ApiError({ title: 'Network error', status: 0, code: 'network_error', detail })
}

/** A login or sign-up address that comes back to the page that we are on. */
export function withReturn(url: string): string {
  const here = location.pathname + location.search
  return `${url}${url.includes('?') ? '&' : '?'}return_to=${encodeURIComponent(here)}`
}

function parse(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return text
  }
}

function toProblem(response: Response, body: unknown): Problem {
  const plain = { title: response.statusText || `HTTP ${response.status}`, status: response.status, code: 'unknown' }
  const isProblem = response.headers.get('Content-Type')?.startsWith('application/problem+json')
  return isProblem && typeof body === 'object' ? { ...plain, ...body } : plain
}
