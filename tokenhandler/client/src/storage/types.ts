import type { Auth } from 'cognito-token-handler'

/** What the storage needs of the client. */
export type StorageAuth = Pick<Auth, 'fetch' | 'session'>

export interface StorageOptions {
  /** The service's `storage.path`, or the full URL of it on another origin. The default is `/storage`. */
  path?: string
  /** Data of more bytes than this goes up in parts, which can go on after an interruption. The default is 8 MiB. */
  partsFrom?: number
  /** How many parts go up at once. The default is 4. */
  parallel?: number
  /** How often a request is sent again after a failure that may pass. The default is 6. */
  retries?: number
}

/** What can be uploaded. */
export type UploadData = Blob | ArrayBuffer | ArrayBufferView<ArrayBuffer> | string

export interface Progress {
  /** The bytes that S3 has or that are on their way. Less than before when a part must be sent again. */
  loaded: number
  total: number
}

export interface UploadOptions {
  /** The default is the type of the blob, or `text/plain` for a string. */
  contentType?: string
  /** At most 2,048 bytes; names of lower-case letters, digits and dashes, values of printable ASCII. */
  metadata?: Record<string, string>
  cacheControl?: string | undefined
  /** `inline` or `attachment`, with a `filename` if it is not the end of the key. */
  contentDisposition?: string | undefined
  /** Overwrites this version only, else the error is 412 `precondition_failed`. */
  ifMatch?: string
  /** Overwrites nothing: if the object exists the error is 409 `already_exists`. */
  ifAbsent?: boolean
  /** S3 compares the SHA-256 of what arrives, for each part. The default is true, if the page has Web Crypto. */
  checksum?: boolean
  /** Cancels the upload. */
  signal?: AbortSignal
  onProgress?: (progress: Progress) => void
  /**
   * What makes the data recognisable when the same upload is asked for after a reload. A `File` has its name, size and time
   * of change. Without it other data begins again.
   */
  fingerprint?: string
}

/** What an upload or a copy has made. */
export interface Uploaded {
  key: string
  size: number
  /** In quotes, as `ifMatch` takes it. Absent if the bucket's CORS rules do not expose `ETag`. */
  etag?: string | undefined
}

export type UploadState = 'running' | 'paused' | 'done' | 'canceled' | 'failed'

/** An upload under way. It can be awaited; the promise is rejected when it fails or is canceled. */
export interface UploadTask extends PromiseLike<Uploaded> {
  readonly state: UploadState
  readonly progress: Progress
  /** The same promise, for `catch` and `finally`. */
  readonly result: Promise<Uploaded>
  /** Stops sending. Parts that S3 has stay; data that goes up in one piece begins again. */
  pause(): void
  resume(): void
  /** Gives the upload up, and deletes the parts that S3 has. */
  cancel(): void
}

/** An upload in parts that has not been completed. */
export interface UnfinishedUpload {
  key: string
  size: number
  fingerprint: string
  /** Milliseconds since 1970. */
  startedAt: number
}

export interface StoredObject {
  key: string
  size: number
  /** In quotes, as `ifMatch` takes it. */
  etag: string
  lastModified: Date
}

export interface ObjectProperties extends StoredObject {
  contentType: string
  contentDisposition?: string | undefined
  cacheControl?: string | undefined
  metadata: Record<string, string>
  /** In base64, if S3 stored one. */
  checksumSha256?: string | undefined
}

export interface ReadOptions {
  signal?: AbortSignal
}

export interface DownloadOptions extends ReadOptions {
  onProgress?: (progress: Progress) => void
  /** The first and the last byte, counted from 0. */
  range?: [first: number, last: number]
}

export interface Downloaded {
  key: string
  /** With the type that S3 has stored. */
  blob: Blob
  contentType: string
  /** Absent if the bucket's CORS rules do not expose `ETag`. */
  etag?: string | undefined
}

export interface UrlOptions extends ReadOptions {
  /** An attachment with this name; `true` gives it the object's own. */
  download?: string | true
}

export interface ListOptions extends ReadOptions {
  /** `/` sums up what is behind the next slash in `folders`. */
  delimiter?: '/'
  /** The size of a page: 1 to 1,000. The default is 1,000. */
  limit?: number
  /** Where an earlier page ended. */
  cursor?: string | undefined
}

export interface ObjectPage {
  objects: StoredObject[]
  /** With their slash at the end. Empty without `delimiter`. */
  folders: string[]
  /** Absent on the last page. */
  cursor?: string | undefined
}

/** A list of objects: `for await` over it gives objects, and over `pages()` gives pages. */
export interface ObjectList extends AsyncIterable<StoredObject> {
  /** One request. */
  page(): Promise<ObjectPage>
  pages(): AsyncIterable<ObjectPage>
  all(): Promise<StoredObject[]>
}

export interface RemoveOptions extends ReadOptions {
  /** Deletes this version only. */
  ifMatch?: string
  /** Deletes everything below the key, which is a folder then. */
  recursive?: boolean
  /** Called after each step of at most 1,000 objects, with their number so far. */
  onProgress?: (deleted: number) => void
}

export interface Usage {
  bytes: number
  objects: number
  /** `null` without a quota. */
  quotaBytes: number | null
  quotaObjects: number | null
  asOf: Date
}

/** The signed-in user's folder. Keys are relative to it. Every failure is an `ApiError`, but for an `AbortSignal`'s reason. */
export interface ObjectStorage {
  upload(key: string, data: UploadData, options?: UploadOptions): UploadTask
  /** The uploads of this user that were begun in this browser and have not ended. Upload the same file again to go on. */
  unfinished(): UnfinishedUpload[]
  /** Gives up an upload of {@link ObjectStorage.unfinished}, and deletes the parts that S3 has. */
  discard(upload: UnfinishedUpload): Promise<void>
  download(key: string, options?: DownloadOptions): Promise<Downloaded>
  /** A URL that works for everybody who has it, until `expiresAt`. */
  url(key: string, options?: UrlOptions): Promise<{ url: string; expiresAt: Date }>
  /** The address for `<img src>`, `<video src>` and `<a href>`, which works with the session. */
  src(key: string, options?: { download?: string | true }): string
  list(prefix?: string, options?: ListOptions): ObjectList
  head(key: string, options?: ReadOptions): Promise<ObjectProperties>
  copy(from: string, to: string, options?: ReadOptions & { ifAbsent?: boolean }): Promise<StoredObject>
  /** The number of objects that were deleted. */
  remove(key: string, options?: RemoveOptions): Promise<number>
  usage(options?: ReadOptions): Promise<Usage>
}
