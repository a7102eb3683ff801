import type { User } from 'cognito-token-handler'
import { auth } from './client'

export interface AuthUser {
  username: string
  userId: string
}

/** The events of Amplify's channel `auth`. */
export type AuthHubEventData =
  | { event: 'signInWithRedirect' }
  | { event: 'signInWithRedirect_failure'; data: { error?: Error } }
  | { event: 'tokenRefresh' }
  | { event: 'tokenRefresh_failure'; data: { error?: Error } }
  | { event: 'customOAuthState'; data: string }
  | { event: 'signedIn'; data: AuthUser }
  | { event: 'signedOut' }

export interface HubCapsule {
  channel: 'auth'
  payload: AuthHubEventData & { message?: string }
}

/** What `signInWithRedirect` leaves for the page after the login. */
export interface RedirectState {
  amplify: true
  customState?: string
}

type Callback = (capsule: HubCapsule) => void

let callbacks: Set<Callback> | undefined

export const authUser = (user: User): AuthUser => ({ username: user.username ?? user.sub, userId: user.sub })

const dispatch = (payload: AuthHubEventData) => callbacks?.forEach((callback) => callback({ channel: 'auth', payload }))

/** Translates the client's events. */
function begin(): Set<Callback> {
  const client = auth()
  client.on('signedIn', ({ user }) => dispatch({ event: 'signedIn', data: authUser(user) }))
  client.on('userChanged', ({ to }) => dispatch({ event: 'signedIn', data: authUser(to) }))
  client.on('refreshed', () => dispatch({ event: 'tokenRefresh' }))
  client.on('signedOut', ({ ended = 'logout' }) => {
    if (ended !== 'logout') dispatch({ event: 'tokenRefresh_failure', data: { error: new Error(`the session has ended: ${ended}`) } })
    dispatch({ event: 'signedOut' })
  })
  void client.ready().then(() => {
    const state = client.takeState<RedirectState>()
    if (!state?.amplify) return
    dispatch({ event: 'signInWithRedirect' })
    if (state.customState !== undefined) dispatch({ event: 'customOAuthState', data: state.customState })
  })
  return new Set()
}

/** Amplify's `Hub`, with its channel `auth`. A login that fails comes back to `auth.error_path`, not to a listener. */
export const Hub = {
  /** The result ends it. */
  listen(channel: 'auth', callback: Callback): () => void {
    callbacks ??= begin()
    if (channel === 'auth') callbacks.add(callback)
    return () => void callbacks?.delete(callback)
  },
}
