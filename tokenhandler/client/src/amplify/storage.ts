import type { StoredObject, UploadOptions, UploadTask as Task } from 'cognito-token-handler/storage'
import { signedIn, storage, StorageError, storageError } from './client'
import type * as Types from './types'

export { configure, StorageError } from './client'
export type * from './types'

/** The size of a part, which the service chooses. It is larger for objects of more than 80 GB. */
export const DEFAULT_PART_SIZE = 8 * 1024 * 1024

/** A path of Amplify: the key in the user's folder, and what stands before it in the app's paths. */
interface Place {
  key: string
  path: (key: string) => string
}

/**
 * `private/<sub>/a.txt` and `protected/<sub>/a.txt` are `a.txt` in the user's folder, and so is `a.txt`. The folders of others, and
 * `public/`, do not exist.
 */
async function place({ path }: Types.WithPath): Promise<Place> {
  const { sub } = (await signedIn()).user
  const given = typeof path === 'function' ? path({ identityId: sub }) : path
  const own = ['private', 'protected'].map((level) => `${level}/${sub}/`).find((start) => given.startsWith(start)) ?? ''
  if (!own && /^(public|private|protected)\//.test(given)) {
    throw new StorageError({ name: 'InvalidStoragePath', message: `"${given}" is not in the user's own folder` })
  }
  return { key: given.slice(own.length), path: (key) => own + key }
}

const item = ({ path }: Place, { key, size, etag, lastModified }: StoredObject): Types.ItemWithPath => ({ path: path(key), size, eTag: etag, lastModified })

const rejected = (error: unknown): never => {
  throw storageError(error)
}

/** What can be canceled. `work` gets the signal for it. */
function cancelable<T>(work: (signal: AbortSignal) => Promise<T>) {
  const controller = new AbortController()
  const task = {
    state: 'IN_PROGRESS' as Types.TransferTaskState,
    result: work(controller.signal).then(
      (value) => {
        task.state = 'SUCCESS'
        return value
      },
      (error: unknown) => {
        task.state = controller.signal.aborted ? 'CANCELED' : 'ERROR'
        return rejected(error)
      },
    ),
    cancel: (message = 'Upload or download was canceled.') => controller.abort(new StorageError({ name: 'CanceledError', message })),
  }
  task.result.catch(() => {})
  return task
}

export const isCancelError = (error: unknown): boolean => (error as Partial<Error> | undefined)?.name === 'CanceledError'

export function uploadData(input: Types.UploadDataWithPathInput): Types.UploadDataWithPathOutput {
  let upload: Task | undefined
  let paused = false
  const task = cancelable(async (signal) => {
    const where = await place(input)
    upload = storage().upload(where.key, input.data as Blob, { ...uploadOptions(input.options), signal })
    if (paused) upload.pause()
    const { key, size, etag } = await upload
    const { contentType, metadata } = input.options ?? {}
    return { path: where.path(key), size, ...(etag ? { eTag: etag } : {}), ...(contentType ? { contentType } : {}), ...(metadata ? { metadata } : {}) }
  })
  const pause = (now: boolean) => () => {
    paused = now
    if (now) upload?.pause()
    else upload?.resume()
  }
  return {
    get state() {
      return paused && task.state === 'IN_PROGRESS' ? 'PAUSED' : task.state
    },
    result: task.result,
    cancel: task.cancel,
    pause: pause(true),
    resume: pause(false),
  }
}

function uploadOptions({ contentType, metadata, cacheControl, contentDisposition, preventOverwrite, onProgress }: NonNullable<Types.UploadDataWithPathInput['options']> = {}): UploadOptions {
  const disposition = typeof contentDisposition === 'object' ? header(contentDisposition) : contentDisposition
  return {
    ...(contentType ? { contentType } : {}),
    ...(metadata ? { metadata } : {}),
    ...(cacheControl ? { cacheControl } : {}),
    ...(disposition ? { contentDisposition: disposition } : {}),
    ...(preventOverwrite ? { ifAbsent: true } : {}),
    ...progress(onProgress),
  }
}

/** RFC 6266 §4, RFC 8187 §3.2. */
function header({ type, filename }: Types.ContentDisposition): string {
  const encoded = filename && encodeURIComponent(filename).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16)}`)
  return encoded ? `${type}; filename*=UTF-8''${encoded}` : type
}

const progress = (onProgress: ((event: Types.TransferProgressEvent) => void) | undefined): Pick<UploadOptions, 'onProgress'> =>
  onProgress ? { onProgress: ({ loaded, total }) => onProgress({ transferredBytes: loaded, totalBytes: total }) } : {}

export function downloadData(input: Types.DownloadDataWithPathInput): Types.DownloadDataWithPathOutput {
  return cancelable(async (signal) => {
    const { bytesRange, onProgress } = input.options ?? {}
    const where = await place(input)
    const options = { signal, ...progress(onProgress), ...(bytesRange ? { range: [bytesRange.start, bytesRange.end] as [number, number] } : {}) }
    const { key, blob, contentType, etag } = await storage().download(where.key, options)
    return {
      path: where.path(key),
      size: blob.size,
      contentType,
      ...(etag ? { eTag: etag } : {}),
      body: { blob: async () => blob, text: () => blob.text(), json: async () => JSON.parse(await blob.text()) as unknown },
    }
  })
}

export async function getUrl(input: Types.GetUrlWithPathInput): Promise<{ url: URL; expiresAt: Date }> {
  const { key } = await place(input)
  const { type, filename } = input.options?.contentDisposition ?? {}
  const { url, expiresAt } = await storage().url(key, type === 'attachment' ? { download: filename ?? true } : {}).catch(rejected)
  return { url: new URL(url), expiresAt }
}

export function list(input: Types.ListPaginateWithPathInput): Promise<Types.ListPaginateWithPathOutput>
export function list(input: Types.ListAllWithPathInput): Promise<Types.ListAllWithPathOutput>
export async function list(input: Types.ListPaginateWithPathInput | Types.ListAllWithPathInput): Promise<Types.ListPaginateWithPathOutput> {
  const where = await place(input)
  const { subpathStrategy, listAll, pageSize, nextToken } = (input.options ?? {}) as { listAll?: boolean } & NonNullable<Types.ListPaginateWithPathInput['options']>
  const found = storage().list(where.key, {
    ...(subpathStrategy?.strategy === 'exclude' ? { delimiter: '/' } : {}),
    ...(pageSize && !listAll ? { limit: pageSize } : {}),
    ...(nextToken ? { cursor: nextToken } : {}),
  })
  const output: Types.ListPaginateWithPathOutput & { excludedSubpaths: string[] } = { items: [], excludedSubpaths: [] }
  try {
    for await (const page of found.pages()) {
      output.items.push(...page.objects.map((object) => item(where, object)))
      output.excludedSubpaths.push(...page.folders.map(where.path))
      if (listAll) continue
      if (page.cursor) output.nextToken = page.cursor
      break
    }
  } catch (error) {
    rejected(error)
  }
  return output
}

/** A path with a slash at its end is a folder, and deleted with all that is in it. */
export function remove(input: Types.RemoveWithPathInput): Types.RemoveOperation<{ path: string }> {
  const task = cancelable(async (signal) => {
    const where = await place(input)
    const key = where.key.replace(/\/$/, '')
    await storage().remove(key, { signal, recursive: key !== where.key })
    return { path: where.path(where.key) }
  })
  return Object.defineProperties(task.result, Object.getOwnPropertyDescriptors({
    get state() {
      return task.state
    },
    result: task.result,
    cancel: task.cancel,
  })) as Types.RemoveOperation<{ path: string }>
}

export async function copy({ source, destination }: Types.CopyWithPathInput): Promise<{ path: string }> {
  const [from, to] = [await place(source), await place(destination)]
  const { key } = await storage().copy(from.key, to.key).catch(rejected)
  return { path: to.path(key) }
}

export async function getProperties(input: Types.GetPropertiesWithPathInput): Promise<Types.ItemWithPath> {
  const where = await place(input)
  const found = await storage().head(where.key).catch(rejected)
  return { ...item(where, found), contentType: found.contentType, metadata: found.metadata }
}
