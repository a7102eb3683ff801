import type { ApiError } from 'cognito-token-handler'
import { find, remember, remembered, type Entry } from './notebook'
import type { Endpoints } from './requests'
import type { Job } from './single'

/** An upload in parts. */
export interface PartsJob extends Job {
  /** How many parts go up at once. */
  parallel: number
  /** `undefined` if the upload cannot go on after a reload. */
  fingerprint: string | undefined
}

/** What a later visit needs to go on with the upload or delete it. One without a fingerprint has its id for that. */
export const entryOf = ({ api, what: { key, size }, fingerprint }: PartsJob, id: string, entry: Partial<Entry> = {}): Entry => ({
  key,
  size,
  startedAt: Date.now(),
  ...entry,
  fingerprint: fingerprint ?? id,
  id,
  sub: api.sub,
})

/**
 * Deletes what S3 has of an upload, unless it is kept for a later visit. What cannot be deleted now is deleted later.
 *
 * @param begun the id of the upload, if it has one already
 */
export async function giveUp(job: PartsJob, begun: string | undefined, forGood: boolean): Promise<void> {
  const kept = find(job.fingerprint)
  const id = begun ?? kept?.id
  if (!id || (kept?.id === id && !forGood)) return
  await drop(job.api, entryOf(job, id, { ...kept, over: true })).catch((error: unknown) => {
    globalThis.addEventListener?.('online', () => void deleteLeft(job.api), { once: true })
    throw error
  })
}

/** Deletes the uploads of the user that are over, except for one that goes on. What cannot be reached now is left for the next time. */
export async function deleteLeft(api: Endpoints, except?: string): Promise<void> {
  for (const { fingerprint } of remembered()) {
    const entry = find(fingerprint) // it may have been taken up again meanwhile
    if (entry?.over && entry.sub === api.sub && fingerprint !== except) await drop(api, entry).catch(() => {})
  }
}

/**
 * Deletes the parts of an upload. One that is no more is no error. Meanwhile it is remembered by its id, so that the same data begins
 * a new upload; after a failure by its fingerprint again, unless a new one has that.
 */
export async function drop(api: Endpoints, entry: Entry): Promise<void> {
  const { fingerprint, id } = entry
  remember(id, { ...entry, fingerprint: id, over: true })
  try {
    await api.send(`/multipart/${id}`, { method: 'DELETE' })
  } catch (error) {
    if ((error as Partial<ApiError>).status !== 404) {
      if (!find(fingerprint)) remember(id, entry)
      throw error
    }
  }
  remember(id)
}
