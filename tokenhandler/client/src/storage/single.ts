import type { ApiError } from 'cognito-token-handler'
import { head } from './objects'
import type { Endpoints } from './requests'
import { retrying } from './retry'
import type { Work } from './task'
import { transfer } from './transfer'
import type { UploadAnswer } from './wire'

/** An upload as `POST /storage/uploads` and `POST /storage/multipart` take it. */
export interface Description {
  key: string
  content_type: string
  size: number
  if_none_match: '*' | undefined
  if_match: string | undefined
  metadata: Record<string, string> | undefined
  cache_control: string | undefined
  content_disposition: string | undefined
}

/** What both kinds of upload work with. */
export interface Job {
  api: Endpoints
  what: Description
  data: Blob
  retries: number
  /** Whether S3 compares the SHA-256. */
  checked: boolean
}

/** An upload in one piece. */
export function inOnePiece({ api, what, data, retries, checked }: Job): Work {
  const { key, size } = what
  let lost = false // whether an earlier try may have arrived although its answer did not
  return {
    run: async (signal, onLoaded) => {
      onLoaded(0)
      const checksum_sha256 = base64(await digest(data, checked))
      return retrying(retries, signal, async () => {
        const signed = await api.json<UploadAnswer>('/uploads', signal, { ...what, checksum_sha256 })
        try {
          return { key, size, etag: await transfer(signed, data, signal, onLoaded) }
        } catch (error) {
          const { status } = error as Partial<ApiError>
          // The condition of a repeated request fails because of the first one, if the object is what it has sent.
          if (lost && checksum_sha256 && (status === 409 || status === 412)) {
            const { etag, checksumSha256 } = await head(api, key)
            if (checksumSha256 === checksum_sha256) return { key, size, etag }
          }
          lost ||= !(status! > 0 && status! < 500) // a pause has no status
          throw Object.assign(error as ApiError, what.if_none_match && status === 412 && { status: 409, code: 'already_exists' })
        }
      })
    },
  }
}

/** The SHA-256, if it is to be checked. */
export async function digest(data: Blob, checked: boolean): Promise<ArrayBuffer | undefined> {
  if (checked) return crypto.subtle.digest('SHA-256', await data.arrayBuffer())
}

export const base64 = (data: ArrayBuffer | undefined) => data && btoa(String.fromCharCode(...new Uint8Array(data)))
