import { ApiError } from 'cognito-token-handler'
import { codes } from './requests'
import type { UploadAnswer } from './wire'

/** A presigned request, as the service describes it. */
type Signed = Pick<UploadAnswer, 'method' | 'url' | 'headers'>

/** A connection that carries nothing for so many milliseconds is given up. */
const stalledAfter = 60_000

/** Sends data to S3 and returns the ETag. `fetch` would tell nothing of an upload's progress. */
export function transfer(signed: Signed, body: Blob, signal: AbortSignal, onLoaded: (bytes: number) => void): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const xhr = new XMLHttpRequest()
    let watch: ReturnType<typeof setTimeout>
    const abort = () => xhr.abort()
    const alive = () => {
      clearTimeout(watch)
      watch = setTimeout(abort, stalledAfter)
    }
    signal.addEventListener('abort', abort)
    xhr.open(signed.method, signed.url)
    for (const name in signed.headers) xhr.setRequestHeader(name, signed.headers[name]!)
    xhr.upload.onprogress = (event) => {
      alive()
      onLoaded(event.loaded)
    }
    xhr.onloadend = () => {
      clearTimeout(watch)
      signal.removeEventListener('abort', abort)
      if (signal.aborted) reject(signal.reason)
      else if (xhr.status === 200) resolve(xhr.getResponseHeader('ETag') ?? undefined)
      else reject(xhr.status ? refusal(xhr.status, xhr.responseText) : noAnswer())
    }
    alive()
    xhr.send(body)
  })
}

/** S3 did not answer, or the browser withholds the answer. */
export const noAnswer = (cause?: unknown) =>
  new ApiError('no answer, or CORS rules refuse this page', { status: 0, code: 'unreachable', cause })

/** The error that S3's answer stands for. Of its XML only the code is used. */
export function refusal(status: number, text: string): ApiError {
  const reason = /<Code>(\w+)/.exec(text)?.[1] ?? status
  return new ApiError(`S3 refused: ${reason}`, { status, code: codes[status] ?? 'storage_refused' })
}
