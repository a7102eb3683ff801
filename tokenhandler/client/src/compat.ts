import { ApiError, type Auth, type Session, type User } from 'cognito-token-handler'
import { useAuthClient, useSession } from 'cognito-token-handler/react'

/** The callbacks of `amazon-cognito-identity-js`. */
export interface Callbacks<T> {
  onSuccess?: (result: T) => void
  onFailure?: (error: Error) => void
}

export type NodeCallback<T> = (error: Error | null, result: T | null) => void

/** A session as `amazon-cognito-identity-js` has it, without tokens: no script can read them here. */
export interface CompatSession {
  isValid(): boolean
  /** The claims of the user that `session.claims` lists. There is no `getJwtToken`: the service adds the token to calls. */
  getIdToken(): { payload: User; getExpiration(): number }
}

/** A `CognitoUser`, as far as it can exist without tokens and passwords in the page. */
export interface CompatUser {
  getUsername(): string
  getSession(callback: NodeCallback<CompatSession>): void
  getUserAttributes(callback: NodeCallback<{ Name: string; Value: string }[]>): void
  /** Renews the session; the refresh token, which no script has, is ignored. */
  refreshSession(refreshToken: unknown, callback: NodeCallback<CompatSession>): void
  signOut(callback?: () => void): void
  globalSignOut(callbacks?: Callbacks<string>): void
}

/** What {@link useAuth} returns. */
export interface CompatAuth {
  isLoggedIn: boolean
  /**
   * Goes to Cognito's login page, with the user name filled in. The password is not used: the page asks for it. The page is
   * left, so `onSuccess` is never called; `onFailure` is, if a login cannot start.
   */
  login(username?: string, password?: string, callbacks?: Callbacks<CompatSession>): void
  /** Goes to Cognito's page for new users. */
  signUp(username?: string, password?: string, attributes?: unknown, validationData?: unknown, callback?: NodeCallback<never>): void
  logout(callback?: () => void): void
  refreshSession(callback?: NodeCallback<CompatSession>): void
  getCurrentUser(): CompatUser | null
}

/** The hook of an app that was written with `amazon-cognito-identity-js`, with its callbacks. */
export function useAuth(): CompatAuth {
  const auth = useAuthClient()
  const session = useSession()
  return {
    isLoggedIn: session.status === 'authenticated',
    login: (username) => void auth.login(hint(username)),
    signUp: (username) => void auth.signUp(hint(username)),
    logout: (callback) => settle(auth.logout(), () => callback?.()),
    refreshSession: (callback) => renew(auth, callback),
    getCurrentUser: () => currentUser(auth),
  }
}

/** `CognitoUserPool.getCurrentUser()`: who is logged in, or null. */
export function currentUser(auth: Auth): CompatUser | null {
  const user = userOf(auth.session)
  if (!user) return null
  return {
    getUsername: () => user.username ?? user.sub,
    getSession: (callback) => settle(auth.ready().then(toCompat), callback),
    getUserAttributes: (callback) => settle(auth.ready().then(attributes), callback),
    refreshSession: (_, callback) => renew(auth, callback),
    signOut: (callback) => settle(auth.logout(), () => callback?.()),
    globalSignOut: (callbacks) => {
      // Without onFailure, an error is an unhandled rejection, which the browser reports.
      void auth.logout({ everywhere: true }).then(() => callbacks?.onSuccess?.('SUCCESS'), callbacks?.onFailure)
    },
  }
}

const hint = (loginHint: string | undefined) => (loginHint ? { loginHint } : {})

function userOf(session: Session): User | undefined {
  return 'user' in session ? session.user : undefined
}

function renew(auth: Auth, callback: NodeCallback<CompatSession> = () => {}): void {
  settle(auth.refresh().then(toCompat), callback)
}

function settle<T>(promise: Promise<T>, callback: NodeCallback<T>): void {
  promise.then(
    (result) => callback(null, result),
    (error: Error) => callback(error, null),
  )
}

function toCompat(session: Session): CompatSession {
  if (session.status !== 'authenticated') throw notLoggedIn(session)
  const { user, expiresAt } = session
  return {
    isValid: () => true,
    getIdToken: () => ({ payload: user, getExpiration: () => Math.floor(+expiresAt / 1000) }),
  }
}

function notLoggedIn(session: Session): Error {
  return 'error' in session ? session.error : new ApiError('nobody is logged in', { status: 401, code: 'not_authenticated' })
}

function attributes(session: Session): { Name: string; Value: string }[] {
  const user = userOf(session)
  if (!user) throw notLoggedIn(session)
  return Object.entries(user).map(([Name, value]) => ({ Name, Value: String(value) }))
}
