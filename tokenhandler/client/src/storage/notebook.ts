import type { UnfinishedUpload } from './types'

const name = 'th:uploads'

export interface Entry extends UnfinishedUpload {
  id: string
  sub: string | undefined
  /** It is canceled, but could not be deleted then. */
  over?: boolean
}

/** The unfinished uploads that this browser remembers. The ids in it work with the session of their user only. */
export function remembered(): Entry[] {
  try {
    return JSON.parse(localStorage.getItem(name) ?? '[]') as Entry[]
  } catch {
    return [] // on a server, or where the browser forbids it
  }
}

export const find = (fingerprint: string | undefined) => remembered().find((entry) => entry.fingerprint === fingerprint)

/** Replaces what is remembered of the upload with this fingerprint or id; without an entry it is forgotten. */
export function remember(upload: string, ...entries: Entry[]): void {
  try {
    const others = remembered().filter((entry) => entry.fingerprint !== upload && entry.id !== upload)
    localStorage.setItem(name, JSON.stringify([...others, ...entries]))
  } catch {
    // A full or forbidden localStorage: the upload goes on, but not after a reload.
  }
}
