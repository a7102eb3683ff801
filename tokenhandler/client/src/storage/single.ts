import { ApiError } from 'cognito-token-handler'
import type { Endpoints } from './requests'
import { retrying } from './retry'
import type { Work } from './task'
import { transfer } from './transfer'
import type { ObjectProperties } from './types'
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
  head: (key: string) => Promise<ObjectProperties>
}

/** An upload in one piece. */
export function inOnePiece({ api, what, data, retries, head }: Job, checked: boolean): Work {
  const { key, size } = what
  let lost = false // whether an earlier try may have arrived although its answer did not
  return {
    run: async ({ signal }, onLoaded) => {
      onLoaded(0)
      const checksum_sha256 = await digest(data, checked)
      return retrying(retries, signal, async () => {
        const signed = await api.post<UploadAnswer>('/uploads', { ...what, checksum_sha256 }, signal)
        try {
          return { key, size, etag: await transfer(signed, data, signal, onLoaded, !!what.if_none_match) }
        } catch (error) {
          const { status } = error as Partial<ApiError>
          // The condition of a repeated request fails because of the first one, if the object is what it has sent.
          if (lost && checksum_sha256 && (status === 409 || status === 412)) {
            const { etag, checksumSha256 } = await head(key)
            if (checksumSha256 === checksum_sha256) return { key, size, etag }
          }
          lost ||= !(status! > 0 && status! < 500) // a pause has no status
          throw error
        }
      })
    },
  }
}

/** The SHA-256 in base64, if it is to be checked. */
export async function digest(data: Blob, checked: boolean): Promise<string | undefined> {
  if (checked) return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', await data.arrayBuffer()))))
}
