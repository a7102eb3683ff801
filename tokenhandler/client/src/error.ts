import { readProblem, retryAfter } from './response'

/** An error answer of the service (RFC 9457), of an API, or no answer at all. */
export class ApiError extends Error {
  /** The status; 0 without an answer. */
  readonly status: number
  /** The service's stable code, `unreachable` without an answer, else `unknown`. */
  readonly code: string
  /** The id with which the service's log names the request. */
  readonly requestId: string | undefined
  /** After how many milliseconds a new try makes sense, if the answer says so. */
  readonly retryAfterMs: number | undefined

  constructor(status: number, code: string, message: string, more: { requestId?: string; retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause })
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.requestId = more.requestId
    this.retryAfterMs = more.retryAfterMs
  }

  /** The error that an answer outside 2xx stands for. It reads the body. */
  static async from(response: Response): Promise<ApiError> {
    const problem = await readProblem(response)
    const more: { requestId?: string; retryAfterMs?: number } = {}
    const requestId = problem.request_id ?? response.headers.get('X-Request-Id')
    const retryAfterMs = retryAfter(response)
    if (requestId) more.requestId = requestId
    if (retryAfterMs !== undefined) more.retryAfterMs = retryAfterMs
    const message = problem.detail || problem.title || response.statusText || `HTTP ${response.status}`
    return new ApiError(response.status, problem.code ?? 'unknown', message, more)
  }
}
