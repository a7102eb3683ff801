import { auth } from './auth'

/** Any answer, good or bad, for those who want to look at it. */
export interface Answer {
  status: number
  ok: boolean
  ms: number
  body: unknown
}

// #region api
/** Calls the API. No token in sight: the token handler adds it. Without an answer, an ApiError is thrown. */
export async function send(method: string, path: string, body?: unknown): Promise<Answer> {
  const started = performance.now()
  const response = await auth.fetch(path, {
    method,
    headers: { Accept: 'application/json', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    body: body === undefined ? null : JSON.stringify(body),
    cache: 'no-store',
  })
  const { status, ok } = response
  return { status, ok, ms: Math.round(performance.now() - started), body: parse(await response.text()) }
}
// #endregion

function parse(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return text
  }
}
