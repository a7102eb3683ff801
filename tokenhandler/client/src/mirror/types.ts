import type { Auth } from 'cognito-token-handler'
import type { ObjectStorage } from 'cognito-token-handler/storage'

/** What a mirror needs of the client. */
export type MirrorAuth = Pick<Auth, 'session' | 'subscribe'>
/** What a mirror needs of the storage. */
export type MirrorStorage = Pick<ObjectStorage, 'upload' | 'download' | 'head'>

/**
 * `loading`: the session or the first copy is not here yet; `synced`: the folder has this value; `pending`: it will be sent;
 * `syncing`: it is being sent or compared; `offline`: the service or S3 does not answer, and will be asked again; `conflict`:
 * another browser has written another value, and nothing is overwritten until `resolve`; `failed`: the folder refuses the value;
 * `signedOut`: nobody is logged in.
 */
export type MirrorStatus = 'loading' | 'synced' | 'pending' | 'syncing' | 'offline' | 'conflict' | 'failed' | 'signedOut'

/** Two values that were made of one. */
export interface Conflict<T> {
  /** What both began with; `undefined` if they have nothing in common. */
  base: T | undefined
  mine: T
  theirs: T
}

export interface MirrorSnapshot<T> {
  value: T
  status: MirrorStatus
  conflict?: Conflict<T>
  /** Why the status is `offline` or `failed`. */
  error?: unknown
}

export interface MirrorOptions<T> {
  /** The value of a user who has none. */
  initial: T
  /** Makes one value of two. Without it, and where it returns `undefined`, the conflict waits for `resolve`. */
  merge?: (conflict: Conflict<T>) => T | undefined
  /**
   * Where the app kept the value before, in `localStorage`: the signed-in user's value becomes that, and the old key is deleted.
   * A key that is the same for all users is given to the first one who logs in.
   */
  adopt?: string | ((sub: string) => string)
  /** The object's key in the user's folder. The default is `mirror/<name>.json`. */
  path?: string
  /** How many milliseconds after the last change the value is sent. The default is 1,000; at most ten times that after the first. */
  delay?: number
  /** Keeps the copy in this browser when the user logs out. By default a copy that is synced is deleted. */
  keep?: boolean
}

/** A value of the signed-in user, in `localStorage` and in the user's folder. */
export interface Mirror<T> {
  /** The object is replaced when something changes. */
  readonly snapshot: MirrorSnapshot<T>
  readonly value: T
  /** Calls `listener` after every change of `snapshot`; the result ends that. Fits `useSyncExternalStore`. */
  subscribe(listener: () => void): () => void
  /** Keeps a value in this browser at once, and sends it later. The function gets the newest value of all tabs. */
  set(value: T | ((value: T) => T)): void
  /** Sends what is pending and looks for what other browsers have sent. Await it before `auth.logout()`. */
  sync(): Promise<void>
  /** Ends a conflict with the value that is right. */
  resolve(value: T): void
  /** Ends timers and listeners. */
  close(): void
}
