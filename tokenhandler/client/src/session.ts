import type { AnonymousSession, AuthenticatedSession, Ended, Session, User } from './types'
import type { SessionAnswer } from './wire'

/** The session that an answer describes. `loginUrl` and `ended` stand in for what it does not name. */
export function toSession(answer: SessionAnswer, loginUrl: string, ended?: Ended): Session {
  const { user, expires_at: end, idle_expires_at: idle = end, access_token_expires_at: access = end, session_id: sessionId, auth_time: since, warning } = answer
  if (!user) {
    return { status: 'anonymous', loginUrl: answer.login_url ?? loginUrl, ended: answer.ended ?? ended }
  }
  return {
    status: 'authenticated',
    user,
    expiresAt: new Date(end!),
    idleExpiresAt: new Date(idle!),
    accessTokenExpiresAt: new Date(access!),
    sessionId,
    authTime: (since && new Date(since)) as Date | undefined,
    warning,
  }
}

/** Who is logged in, or was when the service last answered. */
export function userOf(session: Session): User | undefined {
  return (session as { user?: User }).user
}

/** When the session ends if the user does nothing, in milliseconds since 1970 of the server's clock; NaN without a session. */
export function endOf(session: Session): number {
  return Math.min(+(session as AuthenticatedSession).idleExpiresAt, +(session as AuthenticatedSession).expiresAt)
}

/** Why the session is over: it said so, or its end has passed. */
export function endedBecause(session: Session, now: number): Ended | undefined {
  if (session.status !== 'authenticated') return (session as AnonymousSession).ended
  return now < endOf(session) ? undefined : now < +session.expiresAt ? 'idle' : 'expired'
}

/** Whose session it is: equal in all tabs that know the same session, and `''` while none is known. */
export function identity(session: Session): string {
  if (session.status === 'authenticated') return session.user.sub + ' ' + session.sessionId
  return session.status === 'anonymous' ? 'nobody' : ''
}
