import { ApiError } from 'cognito-token-handler'
import { find, remember, remembered, type Entry } from './notebook'
import type { Endpoints } from './requests'
import { retrying } from './retry'
import { digest, type Job } from './single'
import type { Work } from './task'
import { transfer } from './transfer'
import type { ObjectProperties, Uploaded } from './types'
import type { ObjectAnswer, PartsUploadAnswer, SignedPartsAnswer, StoredPartsAnswer } from './wire'

type Begun = Pick<PartsUploadAnswer, 'upload_id' | 'part_size' | 'part_count'>

/**
 * An upload in parts. What S3 has is remembered over pauses, and with a fingerprint over reloads.
 *
 * @param fingerprint `undefined` if the upload cannot go on after a reload
 */
export function inParts({ api, what, data, retries, head }: Job, checked: boolean, parallel: number, fingerprint: string | undefined): Work {
  const { key, size } = what
  const done = new Map<number, string | undefined>() // the parts that S3 has, with their checksums
  let begun: Begun | undefined
  let completing = false // whether an earlier try may have completed it
  let replaced: string | undefined // the ETag of the object before

  const part = (number: number) => data.slice((number - 1) * begun!.part_size, number * begun!.part_size)

  /** What a later visit needs to go on with the upload or delete it. One without a fingerprint has its id for that. */
  const entryOf = (id: string, entry: Partial<Entry> = {}): Entry => ({ key, size, startedAt: Date.now(), ...entry, fingerprint: fingerprint ?? id, id, sub: api.sub })

  /** Deletes what S3 has, unless it is kept for a later visit. What cannot be deleted now is deleted later. */
  const discard = async (forGood: boolean) => {
    const kept = find(fingerprint)
    const id = begun?.upload_id ?? kept?.id
    if (!id || (kept?.id === id && !forGood)) return
    await drop(api, entryOf(id, { ...kept, over: true })).catch((error: unknown) => {
      globalThis.addEventListener?.('online', () => void deleteLeft(api), { once: true })
      throw error
    })
    begun = undefined
    done.clear()
  }

  /** Finds the upload that an earlier visit has begun, if S3 still has it. Parts that are not of this data are sent again. */
  const recall = async (signal: AbortSignal) => {
    const entry = find(fingerprint)
    if (!entry) return
    const upload_id = entry.id
    remember(upload_id, { ...entry, over: false })
    let stored
    try {
      stored = await retrying(retries, signal, () => api.get<StoredPartsAnswer>(`/multipart/${upload_id}?key=${encodeURIComponent(key)}`, signal))
    } catch (error) {
      if ((error as Partial<ApiError>).status !== 404) throw error
      return remember(upload_id)
    }
    begun = { ...stored, upload_id }
    for (const { part_number, size, checksum } of stored.parts) {
      const sum = await digest(part(part_number), checked)
      if (size === part(part_number).size && (!checked || sum === checksum)) done.set(part_number, sum)
    }
  }

  /** Its request is not aborted: nobody would know the upload that it may have begun. */
  const begin = async (signal: AbortSignal) => {
    const body = { ...what, checksum_algorithm: checked ? 'SHA256' : undefined }
    begun = await retrying(retries, signal, () => api.post<PartsUploadAnswer>('/multipart', body, undefined))
    if (fingerprint) remember(fingerprint, entryOf(begun.upload_id))
  }

  /** Sends one part. Each try is signed anew, because the URL may have expired. */
  const send = async (number: number, signal: AbortSignal, onLoaded: (bytes: number) => void): Promise<void> => {
    const sum = await digest(part(number), checked)
    await retrying(retries, signal, async () => {
      onLoaded(0)
      const body = { key, part_numbers: [number], checksums: sum && [sum] }
      const { parts } = await api.post<SignedPartsAnswer>(`/multipart/${begun!.upload_id}/parts`, body, signal)
      await transfer(parts[0]!, part(number), signal, onLoaded)
    })
    done.set(number, sum)
  }

  /** Sends what is missing, some parts at once. The first failure ends all of them. */
  const sendAll = async (controller: AbortController, onLoaded: (bytes: number) => void) => {
    const { signal } = controller
    const missing = Array.from({ length: begun!.part_count }, (_, i) => i + 1).filter((number) => !done.has(number))
    let loaded = 0
    for (const number of done.keys()) loaded += part(number).size
    onLoaded(loaded)
    const sender = async () => {
      for (let number; (number = missing.shift()); ) {
        let own = 0
        const count = (bytes: number) => {
          loaded += bytes - own
          own = bytes
          onLoaded(loaded)
        }
        await send(number, signal, count)
        count(part(number).size)
      }
    }
    try {
      await Promise.all(Array.from({ length: parallel }, sender))
    } catch (error) {
      controller.abort(error)
      throw error
    }
  }

  /** Whether the object is what this upload has made, and not an earlier one of the same size. */
  const isOurs = async (found: ObjectProperties): Promise<boolean> => {
    const end = `-${begun!.part_count}`
    if (found.size !== size || !found.etag.endsWith(`${end}"`)) return false
    if (!checked) return found.etag !== replaced
    const sums = Array.from({ length: begun!.part_count }, (_, i) => Uint8Array.from(atob(done.get(i + 1)!), (c) => c.charCodeAt(0)))
    return found.checksumSha256 === (await digest(new Blob(sums), checked)) + end
  }

  /** Completes the upload. If an answer was lost, also in a pause, a second try finds no upload: then the object must be there. */
  const complete = (signal: AbortSignal): Promise<Uploaded> =>
    retrying(retries, signal, async () => {
      const { upload_id } = begun!
      const again = completing
      if (!checked && !again) replaced = (await head(key).catch(() => undefined))?.etag
      signal.throwIfAborted()
      completing = true
      try {
        const { etag } = await api.post<ObjectAnswer>(`/multipart/${upload_id}/complete`, { key }, signal)
        return { key, size, etag }
      } catch (error) {
        const { status } = error as Partial<ApiError>
        if (status === 404 && again) {
          const found = await head(key)
          if (await isOurs(found)) return { key, size, etag: found.etag }
        }
        if (status === 409 || status === 412) await discard(true).catch(() => {})
        throw error
      }
    })

  return {
    run: async (controller, onLoaded) => {
      const { signal } = controller
      if (!begun) await recall(signal)
      if (!begun) await begin(signal)
      signal.throwIfAborted()
      await sendAll(controller, onLoaded)
      const uploaded = await complete(signal)
      remember(begun!.upload_id)
      return uploaded
    },
    discard,
  }
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
    await api.send('DELETE', `/multipart/${id}`, { signal: undefined })
  } catch (error) {
    if ((error as Partial<ApiError>).status !== 404) {
      if (!find(fingerprint)) remember(id, entry)
      throw error
    }
  }
  remember(id)
}
