import { ApiError, createAuth, type Auth, type AuthenticatedSession } from 'cognito-token-handler'
import { createStorage, type ObjectStorage } from 'cognito-token-handler/storage'

export interface Clients {
  auth: Auth
  storage: ObjectStorage
}

let clients: Partial<Clients> = {}

/**
 * Gives the functions of `cognito-token-handler/amplify/…` the clients that the app has already; this takes the place of
 * `Amplify.configure`. Without it they make their own with the defaults.
 */
export function configure(given: Partial<Clients>): void {
  clients = { ...given }
}

export const auth = (): Auth => (clients.auth ??= createAuth())
export const storage = (): ObjectStorage => (clients.storage ??= createStorage(auth()))

/** What Amplify's errors have. */
export interface ErrorParams {
  name: string
  message: string
  recoverySuggestion?: string
  underlyingError?: unknown
}

/** An error of Amplify. `underlyingError` is the `ApiError`. */
export class AmplifyError extends Error {
  declare readonly underlyingError?: unknown
  declare readonly recoverySuggestion?: string
  constructor({ message, ...rest }: ErrorParams) {
    super(message)
    Object.assign(this, rest)
  }
}

export class AuthError extends AmplifyError {}
export class StorageError extends AmplifyError {}

/** The session of the user who is logged in; else Amplify's error. */
export async function signedIn(): Promise<AuthenticatedSession> {
  const session = await auth().ready()
  if (session.status === 'authenticated') return session
  throw session.status === 'unknown'
    ? new AuthError({ name: 'NetworkError', message: 'The session is not known now.', underlyingError: session.error })
    : new AuthError({ name: 'UserUnAuthenticatedException', message: 'User needs to be authenticated to call this API.' })
}

const names: Record<string, string> = {
  not_found: 'NotFound',
  already_exists: 'PreconditionFailed',
  precondition_failed: 'PreconditionFailed',
  unreachable: 'NetworkError',
}

/** The error that Amplify's storage would throw. */
export function storageError(error: unknown): unknown {
  if (!(error instanceof ApiError)) return error
  return new StorageError({ name: names[error.code] ?? 'Unknown', message: error.message, underlyingError: error })
}
