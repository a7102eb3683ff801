import { ApiError } from 'cognito-token-handler'
import { objectPath, type Endpoints } from './requests'
import { noAnswer, refusal } from './transfer'
import type { Downloaded, DownloadOptions, ListOptions, ObjectList, ObjectPage, ObjectProperties, StoredObject, UrlOptions } from './types'
import type { DownloadAnswer, ObjectAnswer, ObjectsAnswer } from './wire'

export const storedObject = ({ last_modified, ...object }: ObjectAnswer): StoredObject => ({ ...object, lastModified: new Date(last_modified) })

export async function url(api: Endpoints, key: string, { download, signal }: UrlOptions = {}) {
  const { url, expires_at } = await api.json<DownloadAnswer>(`${objectPath(key)}?redirect=false${asAttachment('&', download)}`, signal)
  return { url, expiresAt: new Date(expires_at) }
}

export const asAttachment = (joint: string, download: string | true | undefined) =>
  download === undefined ? '' : `${joint}download=${download === true ? '' : encodeURIComponent(download)}`

const reader = (headers: Headers) => (name: string) => headers.get(name) ?? undefined

/**
 * Asks for the URL and loads it without the headers of the session: carried along a redirect they would need more of the bucket's
 * CORS rules, and pages on other origins cannot follow it.
 */
export async function download(api: Endpoints, key: string, { signal, range, onProgress }: DownloadOptions = {}): Promise<Downloaded> {
  const { url: address } = await url(api, key, signal && { signal })
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let loaded = 0
  try {
    const headers: HeadersInit = range ? { Range: `bytes=${range[0]}-${range[1]}` } : {}
    const response = await fetch(address, { signal, headers, credentials: 'omit' } as RequestInit)
    if (!response.ok) throw refusal(response.status, await response.text())
    const text = reader(response.headers)
    const total = Number(text('Content-Length'))
    for (const reader = response.body!.getReader(); ; ) {
      const { done, value } = await reader.read()
      if (done) break
      chunks.push(value)
      onProgress?.({ loaded: (loaded += value.length), total: total || loaded })
    }
    const contentType = text('Content-Type') ?? ''
    return { key, blob: new Blob(chunks, { type: contentType }), contentType, etag: text('ETag') }
  } catch (error) {
    signal?.throwIfAborted()
    throw error instanceof ApiError ? error : noAnswer(error)
  }
}

export async function head(api: Endpoints, key: string, signal?: AbortSignal): Promise<ObjectProperties> {
  const { headers } = await api.send(objectPath(key), { method: 'HEAD', signal })
  const text = reader(headers)
  const metadata: Record<string, string> = {}
  headers.forEach((value, name) => name.startsWith('x-amz-meta-') && (metadata[name.slice(11)] = value))
  return {
    key,
    size: Number(text('Content-Length')),
    etag: text('ETag') ?? '',
    lastModified: new Date(text('Last-Modified')!),
    contentType: text('Content-Type') ?? '',
    contentDisposition: text('Content-Disposition'),
    cacheControl: text('X-Object-Cache-Control'),
    checksumSha256: text('X-Amz-Checksum-Sha256'),
    metadata,
  }
}

export function list(endpoints: () => Endpoints, prefix: string, { delimiter, limit, cursor, signal }: ListOptions): ObjectList {
  async function* pages(): AsyncGenerator<ObjectPage, undefined> {
    const api = endpoints()
    let next = cursor
    do {
      const query = new URLSearchParams()
      for (const [name, value] of Object.entries({ prefix, delimiter, limit, cursor: next })) if (value) query.set(name, `${value}`)
      const answer = await api.json<ObjectsAnswer>(`/objects?${query}`, signal)
      next = answer.next_cursor
      yield { objects: answer.objects.map(storedObject), folders: answer.prefixes, cursor: next }
    } while (next)
  }
  async function* objects() {
    for await (const page of pages()) yield* page.objects
  }
  return {
    page: async () => (await pages().next()).value!,
    pages,
    [Symbol.asyncIterator]: objects,
    all: async () => {
      const found: StoredObject[] = []
      for await (const object of objects()) found.push(object)
      return found
    },
  }
}
