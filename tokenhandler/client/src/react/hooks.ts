import type { Auth, AuthenticatedSession, LoginOptions, LogoutOptions, Session, User } from 'cognito-token-handler'
import { createContext, createElement, useContext, useEffect, useState, useSyncExternalStore, type ReactElement, type ReactNode, type SyntheticEvent } from 'react'

const Context = createContext<Auth | undefined>(undefined)

/** Gives the components below it the session. `auth` comes from `createAuth()`, which is called once, outside of components. */
export function AuthProvider({ auth, children }: { auth: Auth; children?: ReactNode }): ReactElement {
  return createElement(Context.Provider, { value: auth }, children)
}

/** The client that {@link AuthProvider} was given. */
export function useAuthClient(): Auth {
  const auth = useContext(Context)
  if (!auth) throw new Error('no <AuthProvider> above')
  return auth
}

/** What a server renders, and a browser at first. */
const loading: Session = { status: 'loading' }

/** The session. The component renders again when it changes. */
export function useSession(): Session {
  const auth = useAuthClient()
  return useSyncExternalStore(auth.subscribe, () => auth.session, () => loading)
}

/** What {@link useAuth} returns. The functions are always the same ones. */
export interface AuthHook {
  isLoggedIn: boolean
  /** Also fits `onClick={login}`: of a React event no option is taken. So do `logout` and `signUp`. */
  login: (options?: LoginOptions | SyntheticEvent) => boolean
  logout: (options?: LogoutOptions | SyntheticEvent) => Promise<void>
  signUp: (options?: LoginOptions | SyntheticEvent) => boolean
  /** Prolongs the session ("stay logged in"). Tokens are renewed without it. */
  refreshSession: () => Promise<Session>
  getCurrentUser: () => User | null
  user: User | undefined
  status: Session['status']
  /** When the session ends if the user does nothing, by the server's clock. */
  expiresAt: Date | undefined
}

/** Who is logged in, and what changes it. */
export function useAuth(): AuthHook {
  // No option has the name of a property of React's events.
  const { login, logout, signUp, refresh } = useAuthClient() as Pick<AuthHook, 'login' | 'logout' | 'signUp'> & Auth
  const session = useSession()
  const user = userOf(session)
  return {
    isLoggedIn: session.status === 'authenticated',
    login,
    logout,
    signUp,
    refreshSession: refresh,
    getCurrentUser: () => user ?? null,
    user,
    status: session.status,
    expiresAt: endOf(session),
  }
}

/** The user, or undefined if nobody is logged in. During an outage it is who was. */
export function useUser(): User | undefined {
  return userOf(useSession())
}

export function userOf(session: Session): User | undefined {
  return (session as { user?: User }).user
}

/** Undefined without a session: neither end is before the other then. */
function endOf(session: Session): Date | undefined {
  const { expiresAt, idleExpiresAt } = session as Partial<AuthenticatedSession>
  return idleExpiresAt! < expiresAt! ? idleExpiresAt : expiresAt
}

/**
 * The milliseconds until the session ends if the user does nothing, every second. Undefined without a session, and while more
 * than `within` are left: the component then does not render until they are not.
 */
export function useTimeLeft(within = Infinity): number | undefined {
  const auth = useAuthClient()
  const end = endOf(useSession())
  const [, render] = useState({})
  const left = +end! - auth.now() // NaN without a session
  useEffect(() => {
    const timer = left > 0 ? setTimeout(() => render({}), left > within ? Math.min(left - within, 2e9) : left % 1000 || 1000) : 0
    return () => clearTimeout(timer)
  })
  return left <= within ? Math.max(0, left) : undefined
}
