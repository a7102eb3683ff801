import type { Notice } from './session'

const explanations: Record<string, string> = {
  access_denied: 'The login was cancelled. Nothing happened; you can simply try again.',
  invalid_request: 'The login link was incomplete or too old. Please start again.',
  session_expired: 'The login took too long, or it was finished in another tab. Please start again.',
  provider_unavailable: 'The login service can’t be reached right now. Please try again in a minute.',
  provider_error: 'The login service gave an answer that we could not use. Please try again.',
  rate_limited: 'Too many logins at the moment. Please wait a little and try again.',
  session_too_large: 'Your account carries more data than a session can hold. Please ask the operator for help.',
  cookies_too_large: 'Your browser holds too many cookies for this site. Clear them and try again.',
}

/**
 * Reads `?error=<code>&request_id=…` of a failed login and removes both from the address.
 * Anybody can write such a link, so only our own words and well-formed ids are shown.
 */
export function takeLoginError(): Notice | null {
  const url = new URL(location.href)
  const code = url.searchParams.get('error')
  const id = url.searchParams.get('request_id') ?? ''
  if (code === null) return null
  url.searchParams.delete('error')
  url.searchParams.delete('request_id')
  history.replaceState(null, '', url)
  return {
    title: 'You are not logged in yet',
    detail: (Object.hasOwn(explanations, code) && explanations[code]) || 'The login did not work. Please try again.',
    requestId: /^[\w-]{1,64}$/.test(id) ? id : undefined,
  }
}
