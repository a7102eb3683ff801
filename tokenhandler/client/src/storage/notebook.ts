import type { UnfinishedUpload } from './types'

const name = 'th:uploads'

interface Entry extends UnfinishedUpload {
  id: string
  sub: string | undefined
}

/** The unfinished uploads that this browser remembers. The ids in it work with the session of their user only. */
export function remembered(): Entry[] {
  try {
    return JSON.parse(localStorage.getItem(name) ?? '[]') as Entry[]
  } catch {
    return [] // on a server, or where the browser forbids it
  }
}

export const find = (fingerprint: string) => remembered().find((entry) => entry.fingerprint === fingerprint)?.id

/** Replaces what is remembered of an upload; without an entry it is forgotten. */
export function remember(fingerprint: string, ...entries: Entry[]): void {
  try {
    const others = remembered().filter((entry) => entry.fingerprint !== fingerprint)
    localStorage.setItem(name, JSON.stringify([...others, ...entries]))
  } catch {
    // A full or forbidden localStorage: the upload goes on, but not after a reload.
  }
}
