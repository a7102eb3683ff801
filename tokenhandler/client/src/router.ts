import { ApiError, type Auth, type User } from 'cognito-token-handler'

/** The arguments of a loader or an action, as far as they matter here. React Router passes more. */
interface Args {
  request: Request
}

/**
 * Makes a loader of React Router that only a signed-in user gets past: `loader: requireUser(auth)`, or with a loader of your
 * own, which gets the user. Anybody else is sent to the login and comes back to the page that they wanted. If a login does not
 * help, or the service does not answer, the route's error boundary gets an {@link ApiError}.
 */
export function requireUser<A extends Args, T = User>(auth: Auth, loader?: (args: A & { user: User }) => T | Promise<T>): (args: A) => Promise<T> {
  return async (args) => {
    const session = await auth.ready()
    if (session.status === 'anonymous') return leave(auth, args.request)
    const user = 'user' in session ? session.user : undefined
    if (!user) throw 'error' in session ? session.error : new ApiError('the session is not known on a server', { status: 0, code: 'unreachable' })
    return loader ? loader({ ...args, user }) : (user as T)
  }
}

/** Makes a loader that returns the JSON of a path, which it may compute. An error goes to the error boundary as {@link ApiError}. */
export function loadJSON<T, A extends Args>(auth: Auth, path: string | ((args: A & { user: User }) => string)): (args: A) => Promise<T> {
  return requireUser(auth, async (args: A & { user: User }) => {
    const answer = await auth.fetch(typeof path === 'string' ? path : path(args), { signal: args.request.signal })
    if (answer.ok) return (await answer.json()) as T
    const error = await ApiError.from(answer)
    if (error.code === 'not_authenticated' || error.code === 'session_expired') return leave(auth, args.request)
    throw error
  })
}

/** Goes to the login. The navigation waits meanwhile. */
function leave(auth: Auth, { url }: Request): Promise<never> {
  // The service may be on another origin, where a path would be one of its own.
  if (auth.login({ returnTo: url, auto: true })) return new Promise(() => {})
  throw new ApiError('a login did not help', { status: 401, code: 'not_authenticated' })
}
