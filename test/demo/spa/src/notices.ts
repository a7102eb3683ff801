import type { Ended } from 'cognito-token-handler'
import { takeParameters, withReturn } from './address'

/** Something to tell the user above the page. */
export interface Notice {
  tone: 'good' | 'bad'
  title: string
  detail: string
  requestId?: string | undefined
  loginUrl?: string | undefined
}

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

/** With these the service redirects to the page after a failed login; most are for another try. */
const afterFailure = ['request_id', 'message', 'return_to', 'identity_provider', 'idp_identifier', 'lang', 'login_hint', 'prompt', 'max_age']

/**
 * What the address says about a failed login or a logout. Anybody can write such a link, so only our own words, well-formed ids
 * and paths of this page are used.
 */
export function takeNotice(): Notice | null {
  const { error, logged_out: loggedOut } = takeParameters(['error', 'logged_out'])
  if (loggedOut !== undefined) return { tone: 'good', title: 'You are logged out', detail: 'Here, in every other tab, and at the login service.' }
  if (error === undefined) return null
  const { request_id: id = '', return_to: returnTo = '/' } = takeParameters(afterFailure)
  return {
    tone: 'bad',
    title: 'You are not logged in yet',
    detail: (Object.hasOwn(explanations, error) && explanations[error]) || 'The login did not work. Please try again.',
    requestId: /^[\w-]{1,64}$/.test(id) ? id : undefined,
    loginUrl: withReturn('/auth/login', returnTo),
  }
}

const reasons: Record<Ended, string> = {
  idle: 'Nothing happened for a while.',
  expired: 'It has reached the longest time that a session may last.',
  logout: 'You logged out, here or in another tab.',
  revoked: 'It was ended by you on another device, or by an operator.',
  refused: 'The login service does not renew it any more.',
}

export function endedNotice(loginUrl: string, ended: Ended | undefined): Notice {
  const reason = ended ? reasons[ended] : 'It ran out, or was ended elsewhere.'
  const kept = ended === 'logout' ? '' : ' What you typed is still in this browser.'
  return { tone: 'bad', title: 'Your session has ended', detail: reason + kept, loginUrl }
}
