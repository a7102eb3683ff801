/** The signed-in user: the claims that the service's `session.claims` lists. `sub` is always there. */
export interface User {
  sub: string
  username?: string
  email?: string
  name?: string
  groups?: string[]
  [claim: string]: unknown
}

/** Why a session ended, if the service or this client knows it. */
export type Ended = 'idle' | 'expired' | 'logout' | 'revoked' | 'refused'

/** The answer is not here yet. On a server it never comes. */
export interface LoadingSession {
  status: 'loading'
}

/** Somebody is logged in. All times are the server's: compare them with `auth.now()`, not with `Date.now()`. */
export interface AuthenticatedSession {
  status: 'authenticated'
  user: User
  /** The 16 hex digits that the service's log shows. */
  sessionId?: string | undefined
  /** When the user logged in. */
  authTime?: Date | undefined
  /** When the session ends, whatever the user does. */
  expiresAt: Date
  /** When the session ends without further activity. Calls through `auth.fetch` are activity. */
  idleExpiresAt: Date
  /** Until when the service uses the access token that it has. It renews it by itself. */
  accessTokenExpiresAt: Date
  /** `session_too_large`: the newest tokens do not fit into cookies, so the session may end early. */
  warning?: string | undefined
}

/** Nobody is logged in. */
export interface AnonymousSession {
  status: 'anonymous'
  /** Where a login starts. */
  loginUrl: string
  ended?: Ended | undefined
}

/**
 * The service could not be asked: it is offline or answers with an error. That is not a logout. `user` is who was logged in
 * before, so that an app can leave the page, and what is typed in it, as it is.
 */
export interface UnknownSession {
  status: 'unknown'
  error: Error
  user?: User | undefined
  /** Why the session has ended meanwhile, as its times say. Activity in another browser window may have prolonged it. */
  ended?: Ended | undefined
}

export type Session = LoadingSession | AuthenticatedSession | AnonymousSession | UnknownSession

/** The events of {@link Auth.on}, and what a listener gets. */
export interface AuthEvents {
  /** Somebody has logged in: the first user of this page, or the same one as before. */
  signedIn: AuthenticatedSession
  /** Once for each session that ends, however many requests fail because of it. */
  signedOut: AnonymousSession
  /** Another user has logged in in this browser, also after the first one's session has ended: what the page shows belongs to `from`. */
  userChanged: { from: User; to: User }
  /** The session ends in `ms` milliseconds unless the user does something. */
  expiring: { at: Date; ms: number }
  /** The service has renewed the user's tokens. */
  refreshed: AuthenticatedSession
  /** The service does not answer. The client asks again by itself. */
  unreachable: Error
}

/** How a login starts. */
export interface LoginOptions {
  /** Where the app goes on: a path of the app, or its full URL. The default is the current page. */
  returnTo?: string
  /** The identity provider, as Cognito names it: the user then skips the page that asks for one. */
  provider?: string
  /** The user name or e-mail address with which Cognito's form is filled. */
  loginHint?: string
  /** The language of Cognito's pages. */
  lang?: string
  /** `login` asks for the password even if Cognito remembers the user. */
  prompt?: string
  /** What `takeState` returns after the login, in this tab. It must survive `JSON.stringify`. */
  state?: unknown
  /**
   * The app starts the login, not the user. If it did so within the last minute, that did not help: then nothing happens, and
   * `login` returns false. A page that is being left already goes where it goes.
   */
  auto?: boolean
}

export interface LogoutOptions {
  /** Ends all sessions of the user, in other browsers too. */
  everywhere?: boolean
  /** The path to which the provider's logout comes back. */
  returnTo?: string
}

/** The options of `auth.fetch`: those of `fetch`, and whose request it is. */
export interface AuthRequestInit extends RequestInit {
  /**
   * The `sub` of the user for whom the request is made; the default is who is logged in now, or was last on this page. If
   * somebody else has logged in meanwhile, the service refuses the request with 409 `user_changed`. `null` sends the request for
   * whoever is logged in.
   */
  expectedSub?: string | null
}

export interface AuthOptions {
  /** The origin of the service if it is not the page's. It must then list the page's in `allowed_origins`. */
  baseUrl?: string
  /** The service's `auth.path`. The default is `/auth`. */
  authPath?: string
  /** How long before the session's end `expiring` is sent, in milliseconds. The default is two minutes. */
  expiringMs?: number
  /** Sends the requests; the default is the browser's `fetch`. */
  fetch?: typeof fetch
}

/** The state of the session, and what changes it. One per page is enough. */
export interface Auth {
  /** The session as it is known now. The object is replaced when something changes. */
  readonly session: Session
  /** The session, as soon as it is known. */
  ready(): Promise<Session>
  /** Calls `listener` after every change of `session`; the result ends that. Fits `useSyncExternalStore`. */
  subscribe(listener: () => void): () => void
  /** Calls `listener` for an event; the result ends that. */
  on<E extends keyof AuthEvents>(event: E, listener: (detail: AuthEvents[E]) => void): () => void
  /** The server's clock, in milliseconds since 1970. */
  now(): number
  /** Asks the service again. The client does so by itself when it must. */
  check(): Promise<Session>
  /** Prolongs the session ("stay logged in") and renews the user's tokens. */
  refresh(): Promise<Session>
  /** Leaves the page for a login, and tells whether the page is left. */
  login(options?: LoginOptions): boolean
  /** The address of the page where `login` goes, for a link. `state` and `auto` are no part of it. */
  loginHref(options?: LoginOptions): string
  /** Like `login`, at Cognito's page for new users. */
  signUp(options?: LoginOptions): boolean
  /** Like `login`, at Cognito's page for a forgotten password. */
  forgotPassword(options?: LoginOptions): boolean
  /** Leaves the page to add a passkey to the signed-in user. */
  addPasskey(options?: { returnTo?: string }): void
  /** Ends the session here and leaves the page to end the provider's. */
  logout(options?: LogoutOptions): Promise<void>
  /**
   * What `login` was given as `state` in this tab; `undefined` if there is nothing, or it belongs to another user: to the one who
   * was logged in on that page, or had been.
   */
  takeState<T = unknown>(): T | undefined
  /**
   * `fetch` with the session. It adds what the service asks for, tries again after a 503 of the service, and notices when
   * the session has ended. Every answer is returned, as `fetch` does, a 401 too. Without an answer it throws an `ApiError`.
   * Requests to other origins are sent as they are.
   */
  fetch(input: RequestInfo | URL, init?: AuthRequestInit): Promise<Response>
  /** Stops the timer and leaves the other tabs, for tests and hot module replacement. */
  close(): void
}
