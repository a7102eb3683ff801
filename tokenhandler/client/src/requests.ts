import { ApiError } from './error'
import { readProblem, retryAfter } from './response'
import type { AuthRequestInit } from './types'

/** What a request of the app needs to know, and whom it tells. */
export interface Caller {
  /** The service's origin. */
  origin: string
  /** The page is on another origin, so cookies must be asked for. */
  crossOrigin: boolean
  send: (request: Request) => Promise<Response>
  /** The user whom the page shows. */
  sub(): string | undefined
  /** Called when an answer says that the session is not what the page believes. */
  doubt(): unknown
}

/** The codes of answers after which the service has not passed the request on, so that it can be sent again. */
const again = /^((provider|store|audit)_unavailable|rate_limited)$/

/**
 * Implements `auth.fetch`. For the app, which hears of each answer of the service by `called`, the request is sent three times at
 * most, otherwise once.
 */
export async function send(caller: Caller, input: RequestInfo | URL, init: AuthRequestInit = {}, called?: () => void): Promise<Response> {
  const { expectedSub: sub = caller.sub(), ...options } = init
  const url = new URL((input as Request).url ?? input, caller.crossOrigin ? caller.origin : document.baseURI)
  const target = (input as Request).url ? (input as Request) : url
  if (url.origin !== caller.origin) return caller.send(new Request(target, options))

  // A body that is a stream is gone after the first try.
  let tries = !called || options.body instanceof ReadableStream || (input as Request).body ? 1 : 3
  for (;;) {
    const request = new Request(target, caller.crossOrigin ? { credentials: 'include', ...options } : options)
    request.headers.set('X-CSRF', '1')
    if (sub) request.headers.set('X-Expected-Sub', sub)
    const response = await caller.send(request).catch((cause) => {
      throw request.signal.aborted ? cause : new ApiError(`no answer from ${url.pathname}`, { status: 0, code: 'unreachable', cause })
    })
    const { status, headers } = response
    // The 401 of an API passes with Proxy-Status (RFC 9209 §2.1.4).
    if (status === 401 && !/received-status/.test(headers.get('Proxy-Status')!)) caller.doubt()
    else called?.()
    if (![409, 429, 503].includes(status)) return response
    const { code = '' } = await readProblem(response.clone())
    if (code === 'user_changed') caller.doubt()
    const ms = retryAfter(response) || 1000
    if (!--tries || !again.test(code) || ms > 10_000) return response // that would be too long for the user
    await new Promise((resolve) => {
      setTimeout(resolve, ms)
      request.signal.onabort = resolve // sending it again then fails at once
    })
  }
}
