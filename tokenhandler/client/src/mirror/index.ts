import type { ApiError } from 'cognito-token-handler'
import { copies, stored, type Base, type Copies } from './copies'
import type { Conflict, Mirror, MirrorAuth, MirrorOptions, MirrorSnapshot, MirrorStatus, MirrorStorage } from './types'

export { mergeById } from './merge'
export type * from './types'

/** How soon after a look into the folder a tab that comes to the front looks again, in milliseconds. */
const freshFor = 5_000

/**
 * Keeps a value of the signed-in user in `localStorage`, and in their folder. What another browser has written meanwhile is never
 * overwritten: `merge` makes one value of both, or the conflict waits for `resolve`.
 */
export function createMirror<T>(auth: MirrorAuth, storage: MirrorStorage, key: string, options: MirrorOptions<T>): Mirror<T> {
  const { initial, merge, adopt, path = `mirror/${key}.json`, delay = 1000, keep } = options
  const listeners = new Set<() => void>()
  let snapshot: MirrorSnapshot<T> = { value: initial, status: 'loading' }
  let text: string | null = null // of the snapshot
  let sub: string | undefined
  let copy: Copies | undefined
  let rounds = Promise.resolve()
  let timer: ReturnType<typeof setTimeout> | undefined
  let changedAt = 0 // of the first change that has not been sent; 0 if there is none
  let lookedAt = 0
  let failures = 0
  let rival: Base | undefined // the other version of a conflict

  /** The value that a text stands for. One that nobody can read is as good as none: the folder may have a better one. */
  const read = (now: string | null): T => {
    try {
      if (now !== null) return JSON.parse(now) as T
    } catch {
      copy!.forget()
    }
    return initial
  }

  /** Shows the value of this browser with a status. */
  const show = (status: MirrorStatus, more: Pick<MirrorSnapshot<T>, 'conflict' | 'error'> = {}) => {
    const now = copy?.text ?? null
    const value = now === text ? snapshot.value : read(now)
    text = now
    snapshot = { value, status, ...more }
    for (const listener of listeners) {
      try {
        listener()
      } catch (thrown) {
        reportError(thrown)
      }
    }
  }
  const signedIn = () => auth.session.status === 'authenticated'
  const current = (): MirrorStatus => (!signedIn() ? 'signedOut' : copy?.changed ? 'pending' : 'synced')

  const later = (ms: number) => {
    clearTimeout(timer)
    timer = setTimeout(() => void sync(false), ms)
  }

  /** Compares and sends, one after the other. Unless `look` is set there must be something to send. */
  const sync = (look: boolean) => (rounds = rounds.then(() => round(look)).catch(reportError))

  const round = async (look: boolean) => {
    const mine = copy
    if (!mine || !signedIn() || (!look && !mine.changed)) return
    clearTimeout(timer)
    changedAt = 0
    show('syncing')
    try {
      const conflict = await alone(mine.name, () => reconcile(mine))
      if (mine !== copy) return
      failures = 0
      if (conflict) return show('conflict', { conflict })
      show(current())
      if (mine.changed) later(delay)
    } catch (error) {
      if (mine !== copy) return
      const passing = /^(0|429|5..)$/.test(`${(error as ApiError).status}`)
      if (passing) later(Math.min(60_000, 2000 * 2 ** failures++))
      show(passing ? 'offline' : signedIn() ? 'failed' : 'signedOut', { error })
    }
  }

  /** Brings both sides together. The result is a conflict that nobody has solved. */
  const reconcile = async (mine: Copies): Promise<Conflict<T> | undefined> => {
    for (;;) {
      const theirs = await load(mine.base?.etag)
      if (mine !== copy) return undefined // another user, whose folder is another
      const { base, text: own } = mine
      if (theirs && theirs !== 'same') {
        const value = JSON.parse(theirs.text) as T
        if (own !== null && own !== base?.text && own !== theirs.text) {
          const conflict = { base: base ? (JSON.parse(base.text) as T) : undefined, mine: JSON.parse(own) as T, theirs: value }
          const both = merge?.(conflict)
          rival = both === undefined ? theirs : undefined
          if (rival) return conflict
          mine.text = toText(both)
        } else {
          mine.text = theirs.text
        }
        mine.base = theirs
      } else if (!theirs) {
        mine.base = null // deleted elsewhere: this copy is the last one
      }
      if (mine.changed && !(await save(mine))) continue
      if (mine.adopted) localStorage.removeItem(mine.adopted)
      return undefined
    }
  }

  /** Loads what the folder has, unless it is the version that this browser knows. */
  const load = async (known: string | undefined) => {
    lookedAt = Date.now()
    try {
      if ((await storage.head(path)).etag === known) return 'same'
      const { blob, etag } = await storage.download(path)
      if (!etag) throw Error('CORS must expose ETag')
      return { etag, text: await blob.text() }
    } catch (error) {
      if ((error as ApiError).code === 'not_found') return undefined
      throw error
    }
  }

  /** Sends the value, unless the folder has another version than `base` by now. */
  const save = async (mine: Copies): Promise<boolean> => {
    const sent = mine.text!
    const { base } = mine
    try {
      const { etag } = await storage.upload(path, sent, { contentType: 'application/json', ...(base ? { ifMatch: base.etag } : { ifAbsent: true }) })
      mine.base = { etag: etag!, text: sent }
      return true
    } catch (error) {
      if (/^(already_exists|precondition_failed)$/.test((error as ApiError).code)) return false
      throw error
    }
  }

  /** Takes over what the app kept before it had a mirror. */
  const adoptFor = (user: string, mine: Copies) => {
    const old = typeof adopt === 'function' ? adopt(user) : adopt
    const found = old === undefined || mine.text !== null ? null : stored(old)
    if (found === null) return
    localStorage.removeItem(old!) // there may be no room for both
    try {
      JSON.parse(found)
      mine.text = found
    } catch {
      mine.text = JSON.stringify(found)
    }
    if (mine.fits()) return
    localStorage.setItem(old!, found)
    mine.adopted = old!
  }

  /** Follows the session. A session that ran out keeps what the page shows, so that nothing typed is lost; a logout does not. */
  const follow = () => {
    const { session } = auth
    if (session.status === 'anonymous') {
      if (copy && session.ended === 'logout') {
        if (!keep && !copy.changed) copy.forget()
        copy = sub = undefined
      }
      return show('signedOut')
    }
    if (session.status !== 'authenticated') return
    const user = session.user.sub
    if (user !== sub) {
      sub = user
      copy = copies(user, key)
      adoptFor(user, copy)
      show(copy.text === null ? 'loading' : current())
    } else if (!/signedOut|pending|offline/.test(snapshot.status)) return
    void sync(true)
  }

  const stops = [
    auth.subscribe(follow),
    on('storage', ({ key: name }: StorageEvent) => {
      if (!copy || !name?.startsWith(copy.name)) return
      if (snapshot.status !== 'conflict' || !copy.changed) show(current())
      if (copy.changed) later(3 * delay) // unless the tab that has changed it sends it
    }),
    on('online', () => void sync(true)),
    on('visibilitychange', () => {
      const hidden = document.visibilityState === 'hidden'
      if (hidden || Date.now() - lookedAt > freshFor) void sync(!hidden)
    }),
  ]
  follow()

  const set = (value: T | ((value: T) => T)) => {
    if (!copy) throw Error('nobody is logged in')
    if (value instanceof Function) value = value(read(copy.text))
    copy.text = toText(value)
    const { conflict } = snapshot
    if (conflict && rival) show('conflict', { conflict: { ...conflict, mine: value } })
    else show(current())
    changedAt ||= Date.now()
    later(Math.min(delay, changedAt + 10 * delay - Date.now()))
  }

  return {
    get snapshot() {
      return snapshot
    },
    get value() {
      return snapshot.value
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    set,
    sync: () => sync(true),
    resolve: (value) => {
      set(() => value)
      if (copy && rival) copy.base = rival
      rival = undefined
      void sync(true)
    },
    close: () => {
      clearTimeout(timer)
      for (const stop of stops) stop()
      copy = undefined
    },
  }
}

/** The value as JSON. `undefined` and functions have none. */
const toText = (value: unknown): string => JSON.stringify(value) ?? JSON.parse('not JSON')

/** One tab at a time, where the browser has Web Locks. Without them, ETags still keep tabs from overwriting each other. */
const alone = <R>(name: string, work: () => Promise<R>): Promise<R> => (navigator.locks ? navigator.locks.request(name, work) : work()) as Promise<R>

function on<E extends keyof WindowEventMap | 'visibilitychange'>(name: E, listener: (event: never) => void): () => void {
  globalThis.addEventListener?.(name, listener as () => void)
  return () => removeEventListener(name, listener as () => void)
}
