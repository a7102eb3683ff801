import { inParts, loadEarly } from './large'
import { deleteLeft, drop } from './left'
import { find, remembered } from './notebook'
import { asAttachment, download, head, list, storedObject, url } from './objects'
import { endpoints, objectPath, type Endpoints } from './requests'
import { inOnePiece, type Description } from './single'
import { createTask } from './task'
import type { ObjectStorage, RemoveOptions, StorageAuth, StorageOptions, UploadData, UploadOptions, UploadTask } from './types'
import type { DeletedAnswer, ObjectAnswer, UsageAnswer } from './wire'

export type * from './types'

/** Creates the client of the signed-in user's folder. */
export function createStorage(auth: StorageAuth, options: StorageOptions = {}): ObjectStorage {
  const base = options.path ?? '/storage'
  const api = () => endpoints(auth, base)
  loadEarly()
  return {
    upload: (key, data, how = {}) => upload(api(), options, key, data, how),
    unfinished: () => {
      const { sub } = api()
      return remembered().filter((entry) => entry.sub === sub && !entry.over)
    },
    discard: async ({ fingerprint }) => {
      const entry = find(fingerprint)
      if (entry) await drop(api(), entry)
    },
    download: (key, how) => download(api(), key, how),
    url: (key, how) => url(api(), key, how),
    src: (key, how = {}) => base + objectPath(key) + asAttachment('?', how.download),
    list: (prefix = '', how = {}) => list(api, prefix, how),
    head: (key, how = {}) => head(api(), key, how.signal),
    copy: async (from, to, { ifAbsent, signal } = {}) =>
      storedObject(await api().json<ObjectAnswer>('/copies', signal, { from, to, if_none_match: ifAbsent ? '*' : undefined })),
    remove: (key, how = {}) => remove(api(), key, how),
    usage: async ({ signal } = {}) => {
      const { quota_bytes: quotaBytes, quota_objects: quotaObjects, as_of, ...counted } = await api().json<UsageAnswer>('/usage', signal)
      return { ...counted, quotaBytes, quotaObjects, asOf: new Date(as_of) }
    },
  }
}

function upload(api: Endpoints, options: StorageOptions, key: string, data: UploadData, how: UploadOptions): UploadTask {
  const { partsFrom = 8 << 20, parallel = 4, retries = 6 } = options
  const blob = data instanceof Blob ? data : new Blob([data], { type: typeof data === 'string' ? 'text/plain;charset=utf-8' : '' })
  const { size, type } = blob
  const what: Description = {
    key,
    content_type: how.contentType ?? type,
    size,
    if_none_match: how.ifAbsent ? '*' : undefined,
    if_match: how.ifMatch,
    metadata: how.metadata,
    cache_control: how.cacheControl,
    content_disposition: how.contentDisposition,
  }
  // Without Web Crypto, which is on plain http off localhost, nothing is checked.
  const checked = how.checksum !== false && !!crypto.subtle
  const job = { api, what, data: blob, retries, checked, parallel, fingerprint: fingerprint(api, data, what, how, checked) }
  const work = size > partsFrom ? inParts(job) : inOnePiece(job)
  void deleteLeft(api, job.fingerprint)
  return createTask(work, size, how.onProgress, how.signal)
}

/** What must be the same for an upload to go on: the user, the data, and what the upload was begun with. */
function fingerprint({ sub }: Endpoints, data: UploadData, what: Description, how: UploadOptions, checked: boolean): string | undefined {
  const { name, lastModified } = data as Partial<File>
  const mark = how.fingerprint ?? (name && [name, lastModified])
  return mark && JSON.stringify([mark, sub, what, checked])
}

async function remove(api: Endpoints, key: string, { ifMatch, recursive, signal, onProgress }: RemoveOptions): Promise<number> {
  const path = objectPath(key)
  if (!recursive) {
    await api.send(path, { method: 'DELETE', signal, headers: ifMatch ? { 'If-Match': ifMatch } : {} })
    return 1
  }
  let deleted = 0
  let more
  do {
    const answer = await api.send(path.replace(/\/?$/, '/?recursive=true'), { method: 'DELETE', signal })
    const step = (await answer.json()) as DeletedAnswer
    deleted += step.deleted
    onProgress?.(deleted)
    more = step.more
  } while (more)
  return deleted
}
