import type { Auth, AuthOptions } from './types'

/** Creates the client. In a browser it asks for the session at once; on a server it does nothing. */
export function createAuth(options: AuthOptions = {}): Auth {
  throw new Error(`not in this build yet: ${Object.keys(options).join()}`)
}
