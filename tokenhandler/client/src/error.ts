import { readProblem, retryAfter } from './response'

/** An error answer of the service (RFC 9457), of an API, or no answer at all. */
export class ApiError extends Error {
  /** The status; 0 without an answer. */
  declare readonly status: number
  /** The service's stable code, `unreachable` without an answer, else `unknown`. */
  declare readonly code: string
  /** The id with which the service's log names the request. */
  declare readonly requestId?: string | undefined
  /** After how many milliseconds a new try makes sense, if the answer says so. */
  declare readonly retryAfterMs?: number | undefined

  constructor(message: string, more: Pick<ApiError, 'status' | 'code' | 'requestId' | 'retryAfterMs' | 'cause'>) {
    super(message)
    Object.assign(this, { name: 'ApiError' }, more)
  }

  /** The error that an answer outside 2xx stands for. It reads the body. */
  static async from(response: Response): Promise<ApiError> {
    const { status, headers } = response
    const problem = await readProblem(response)
    return new ApiError(problem.detail ?? problem.title ?? `HTTP ${status}`, {
      status,
      code: problem.code ?? 'unknown',
      requestId: problem.request_id ?? headers.get('X-Request-Id') ?? undefined,
      retryAfterMs: retryAfter(response) || undefined,
    })
  }
}
