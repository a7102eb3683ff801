import type { Ended, User } from './types'

// What the service answers, field by field. A Go test compares these interfaces with the real JSON.

/** The answer to `GET /auth/session` and `POST /auth/refresh`. Times are RFC 3339. */
export interface SessionAnswer {
  authenticated: boolean
  now: string
  login_url?: string
  ended?: Ended
  user?: User
  session_id?: string
  auth_time?: string
  expires_at?: string
  idle_expires_at?: string
  access_token_expires_at?: string
  warning?: string
}

/** The answer to `POST /auth/logout`. */
export interface LogoutAnswer {
  logout_url: string
}

/** The body of an error of the service, which is `application/problem+json` (RFC 9457). */
export interface Problem {
  type?: string
  title?: string
  status?: number
  code?: string
  detail?: string
  login_url?: string
  request_id?: string
}
