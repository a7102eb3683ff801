import { ApiError, type AuthenticatedSession, type AuthRequestInit } from 'cognito-token-handler'
import type { StorageAuth } from './types'

type Signal = AbortSignal | undefined

interface Init {
  method?: string
  signal?: Signal
  headers?: HeadersInit
  body?: string
}

/** The service's endpoints, for one user: the service refuses a request if somebody else has logged in since. */
export interface Endpoints {
  readonly sub: string | undefined
  /** Sends a request. Answers outside 2xx are thrown as an ApiError. */
  send(path: string, init: Init): Promise<Response>
  /** Gets JSON, or posts a body and returns the JSON of the answer. */
  json<T>(path: string, signal: Signal, body?: unknown): Promise<T>
}

/** What a status means where the answer does not say it: after HEAD, and of S3. */
export const codes: Record<number, string> = { 404: 'not_found', 412: 'precondition_failed' }

export function endpoints(auth: StorageAuth, base: string): Endpoints {
  const sub = (auth.session as Partial<AuthenticatedSession>).user?.sub
  const send = async (path: string, init: Init) => {
    const response = await auth.fetch(base + path, { ...init, expectedSub: sub } as AuthRequestInit)
    if (response.ok) return response
    const error = await ApiError.from(response)
    throw Object.assign(error, init.method === 'HEAD' && { code: codes[error.status] ?? error.code })
  }
  return {
    sub,
    send,
    json: async (path, signal, body) => {
      const post = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }
      return (await send(path, { signal, ...(body ? post : {}) })).json() as never
    },
  }
}

/**
 * The path of an object, or of a folder, whose key may end with a slash. Its slashes stay, because some proxies refuse encoded ones.
 * A dot segment is refused: browsers shorten the path by it, and the request would reach another object, or leave the storage.
 */
export function objectPath(key: string): string {
  if (/(^|\/)(\.{0,2}\/|\.\.?$)|^$/.test(key)) throw new ApiError('a key has no empty or dot segment', { status: 400, code: 'invalid_request' })
  return `/objects/${encodeURIComponent(key).replaceAll('%2F', '/')}`
}
