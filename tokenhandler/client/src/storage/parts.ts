import type { ApiError } from 'cognito-token-handler'
import { entryOf, giveUp, type PartsJob } from './left'
import { find, remember } from './notebook'
import { head } from './objects'
import { retrying } from './retry'
import { base64, digest } from './single'
import type { Work } from './task'
import { transfer } from './transfer'
import type { ObjectProperties, Uploaded } from './types'
import type { ObjectAnswer, PartsUploadAnswer, SignedPartsAnswer, StoredPartsAnswer } from './wire'

type Begun = Pick<PartsUploadAnswer, 'upload_id' | 'part_size' | 'part_count'>

/** An upload in parts. What S3 has is remembered over pauses, and with a fingerprint over reloads. */
export function inParts(job: PartsJob): Work {
  const { api, what, data, retries, checked, parallel, fingerprint } = job
  const { key, size } = what
  const done = new Map<number, ArrayBuffer | undefined>() // the parts that S3 has, with their checksums
  let begun: Begun | undefined
  let completing = false // whether an earlier try may have completed it
  let replaced: string | undefined // the ETag of the object before

  const part = (number: number) => data.slice((number - 1) * begun!.part_size, number * begun!.part_size)

  const discard = async (forGood: boolean) => {
    await giveUp(job, begun?.upload_id, forGood)
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
      stored = await retrying(retries, signal, () => api.json<StoredPartsAnswer>(`/multipart/${upload_id}?key=${encodeURIComponent(key)}`, signal))
    } catch (error) {
      if ((error as Partial<ApiError>).status !== 404) throw error
      return remember(upload_id)
    }
    begun = { ...stored, upload_id }
    for (const { part_number, size, checksum } of stored.parts) {
      const sum = await digest(part(part_number), checked)
      if (size === part(part_number).size && (!checked || base64(sum) === checksum)) done.set(part_number, sum)
    }
  }

  /** Its request is not aborted: nobody would know the upload that it may have begun. */
  const begin = async (signal: AbortSignal) => {
    const body = { ...what, checksum_algorithm: checked ? 'SHA256' : undefined }
    begun = await retrying(retries, signal, () => api.json<PartsUploadAnswer>('/multipart', undefined, body))
    if (fingerprint) remember(fingerprint, entryOf(job, begun.upload_id))
  }

  /** Sends one part. Each try is signed anew, because the URL may have expired. */
  const send = async (number: number, signal: AbortSignal, onLoaded: (bytes: number) => void): Promise<void> => {
    const sum = await digest(part(number), checked)
    await retrying(retries, signal, async () => {
      onLoaded(0)
      const body = { key, part_numbers: [number], checksums: sum && [base64(sum)] }
      const { parts } = await api.json<SignedPartsAnswer>(`/multipart/${begun!.upload_id}/parts`, signal, body)
      await transfer(parts[0]!, part(number), signal, onLoaded)
    })
    done.set(number, sum)
  }

  /** Sends what is missing, some parts at once. A failure of one fails the upload. */
  const sendAll = async (signal: AbortSignal, onLoaded: (bytes: number) => void) => {
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
    await Promise.all(Array.from({ length: parallel }, sender))
  }

  /** Whether the object is what this upload has made, and not an earlier one of the same size. */
  const isOurs = async (found: ObjectProperties): Promise<boolean> => {
    const end = `-${begun!.part_count}`
    if (found.size !== size || !found.etag.endsWith(`${end}"`)) return false
    if (!checked) return found.etag !== replaced
    const sums = Array.from({ length: begun!.part_count }, (_, i) => done.get(i + 1)!)
    return found.checksumSha256 === base64(await digest(new Blob(sums), checked)) + end
  }

  /** Completes the upload. If an answer was lost, also in a pause, a second try finds no upload: then the object must be there. */
  const complete = (signal: AbortSignal): Promise<Uploaded> =>
    retrying(retries, signal, async () => {
      const { upload_id } = begun!
      const again = completing
      if (!checked && !again) replaced = (await head(api, key).catch(() => undefined))?.etag
      signal.throwIfAborted()
      completing = true
      try {
        const { etag } = await api.json<ObjectAnswer>(`/multipart/${upload_id}/complete`, signal, { key })
        return { key, size, etag }
      } catch (error) {
        const { status } = error as Partial<ApiError>
        if (status === 404 && again) {
          const found = await head(api, key)
          if (await isOurs(found)) return { key, size, etag: found.etag }
        }
        if (status === 409 || status === 412) await discard(true).catch(() => {})
        throw error
      }
    })

  return {
    run: async (signal, onLoaded) => {
      if (!begun) await recall(signal)
      if (!begun) await begin(signal)
      signal.throwIfAborted()
      await sendAll(signal, onLoaded)
      const uploaded = await complete(signal)
      remember(begun!.upload_id)
      return uploaded
    },
    discard,
  }
}
