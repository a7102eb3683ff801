import { ApiError } from 'cognito-token-handler'
import { objectPath, type Endpoints } from './requests'
import { noAnswer, refusal } from './transfer'
import type { Downloaded, DownloadOptions, ListOptions, ObjectList, ObjectPage, ObjectProperties, StoredObject, UrlOptions } from './types'
import type { DownloadAnswer, ObjectAnswer, ObjectsAnswer } from './wire'

export const storedObject = ({ key, size, etag, last_modified }: ObjectAnswer): StoredObject => ({
  key,
  size,
  etag,
  lastModified: new Date(last_modified),
})

export const url = (api: Endpoints, key: string, { download, signal }: UrlOptions = {}) => sign(api, key, asAttachment('&', download), signal)

async function sign(api: Endpoints, key: string, query: string, signal: AbortSignal | undefined) {
  const answer = await api.get<DownloadAnswer>(`${objectPath(key)}?redirect=false${query}`, signal)
  return { url: answer.url, expiresAt: new Date(answer.expires_at) }
}

export const asAttachment = (joint: string, download: string | true | undefined) =>
  download === undefined ? '' : `${joint}download=${download === true ? '' : encodeURIComponent(download)}`

/**
 * Asks for the URL and loads it without the headers of the session: carried along a redirect they would need more of the bucket's
 * CORS rules, and pages on other origins cannot follow it.
 */
export async function download(api: Endpoints, key: string, { signal, range, onProgress }: DownloadOptions = {}): Promise<Downloaded> {
  const { url: address } = await sign(api, key, '', signal)
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let loaded = 0
  try {
    const headers: HeadersInit = range ? { Range: `bytes=${range[0]}-${range[1]}` } : {}
    const response = await fetch(address, { signal, headers, credentials: 'omit' } as RequestInit)
    if (!response.ok) throw refusal(response.status, await response.text())
    const text = (name: string) => response.headers.get(name) ?? undefined
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
  const { headers } = await api.send('HEAD', objectPath(key), { signal })
  const text = (name: string) => headers.get(name) ?? undefined
  const metadata: Record<string, string> = {}
  headers.forEach((value, name) => name.startsWith('x-amz-meta-') && (metadata[name.slice(11)] = value))
  return {
    key,
    size: Number(text('Content-Length')),
    etag: text('ETag') ?? '',
    lastModified: new Date(text('Last-Modified') ?? ''),
    contentType: text('Content-Type') ?? '',
    contentDisposition: text('Content-Disposition'),
    cacheControl: text('X-Object-Cache-Control'),
    checksumSha256: text('X-Amz-Checksum-Sha256'),
    metadata,
  }
}

export function list(endpoints: () => Endpoints, prefix: string, { delimiter, limit, cursor: first, signal }: ListOptions): ObjectList {
  const load = async (api: Endpoints, cursor: string | undefined): Promise<ObjectPage> => {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries({ prefix, delimiter, limit, cursor })) if (value) query.set(name, `${value}`)
    const answer = await api.get<ObjectsAnswer>(`/objects?${query}`, signal)
    return { objects: answer.objects.map(storedObject), folders: answer.prefixes, cursor: answer.next_cursor }
  }
  async function* pages() {
    const api = endpoints()
    let cursor = first
    do {
      const page = await load(api, cursor)
      yield page
      cursor = page.cursor
    } while (cursor)
  }
  async function* objects() {
    for await (const page of pages()) yield* page.objects
  }
  return {
    page: () => load(endpoints(), first),
    pages,
    [Symbol.asyncIterator]: objects,
    all: async () => {
      const found: StoredObject[] = []
      for await (const object of objects()) found.push(object)
      return found
    },
  }
}
