import type { Problem } from './wire'

/** Reads the body as a problem; of anything else it returns an empty one. */
export async function readProblem(response: Response): Promise<Problem> {
  const problem = response.headers.get('Content-Type')?.startsWith('application/problem+json')
  return ((problem && (await response.json().catch(() => 0))) as Problem) || {}
}

/** The milliseconds of `Retry-After`, which the service gives in seconds. */
export function retryAfter(response: Response): number {
  return +response.headers.get('Retry-After')! * 1000 || 0
}
