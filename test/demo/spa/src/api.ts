import { auth } from './auth'

/** Any answer, good or bad, for those who want to look at it. */
export interface Answer {
  status: number
  ok: boolean
  ms: number
  body: unknown
}

/** Calls the API. Without an answer it throws an ApiError. */
export async function send(method: string, path: string, body?: unknown): Promise<Answer> {
  const headers: Record<string, string> = { Accept: 'application/json' }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  const started = performance.now()
  const response = await auth.fetch(path, {
    method,
    headers,
    body: body === undefined ? null : JSON.stringify(body),
    cache: 'no-store',
  })
  const parsed = parse(await response.text())
  return { status: response.status, ok: response.ok, ms: Math.round(performance.now() - started), body: parsed }
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
