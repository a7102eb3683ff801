/** The members of an `application/problem+json` body. */
export interface Problem {
  title?: string
  status?: number
  code?: string
  detail?: string
  login_url?: string
  request_id?: string
}

/** Reads the body as a problem; of anything else it returns an empty one. */
export async function readProblem(response: Response): Promise<Problem> {
  if (!response.headers.get('Content-Type')?.startsWith('application/problem+json')) return {}
  try {
    return ((await response.json()) as Problem | null) ?? {}
  } catch {
    return {}
  }
}

/** The milliseconds of `Retry-After`, which is a number of seconds or a date (RFC 9110 §10.2.3). */
export function retryAfter(response: Response): number | undefined {
  const value = response.headers.get('Retry-After')
  if (!value) return undefined
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}
