/** A path, or a function of the user's id. There is no identity pool: `identityId` is the user's `sub`. */
export interface WithPath {
  path: string | ((input: { identityId?: string }) => string)
  /** Deprecated in Amplify, and `public/` by default: name the `path`. */
  key?: never
}

export interface CommonOptions {
  /** The service has one bucket. */
  bucket?: never
  /** The service's `storage.expected_bucket_owner` sets it. */
  expectedBucketOwner?: never
  /** URLs of the service are those of the bucket itself. */
  useAccelerateEndpoint?: never
}

export interface ContentDisposition {
  type: 'attachment' | 'inline'
  filename?: string
}

export interface TransferProgressEvent {
  transferredBytes: number
  totalBytes?: number
}

interface TransferOptions {
  onProgress?(event: TransferProgressEvent): void
}

export interface UploadDataWithPathInput extends WithPath {
  data: Blob | ArrayBufferView | ArrayBuffer | string
  options?: CommonOptions &
    TransferOptions & {
      contentDisposition?: ContentDisposition | string
      contentType?: string
      cacheControl?: string
      metadata?: Record<string, string>
      preventOverwrite?: boolean
      /** S3 compares the SHA-256 of small data in any case. */
      checksumAlgorithm?: 'crc-32'
      /** The service signs no `Content-Encoding`. */
      contentEncoding?: never
    }
}

export interface DownloadDataWithPathInput extends WithPath {
  options?: CommonOptions &
    TransferOptions & {
      bytesRange?: { start: number; end: number }
      cacheControl?: never
    }
}

export interface GetUrlWithPathInput extends WithPath {
  options?: CommonOptions & {
    /** An upload is `uploadData`: its URL is for certain bytes. */
    method?: 'GET'
    /** The service always looks. */
    validateObjectExistence?: boolean
    contentDisposition?: ContentDisposition
    /** The service's `storage.expires` sets it for all URLs. */
    expiresIn?: never
    /** The service signs the stored type, or one that is safe to show. */
    contentType?: never
    cacheControl?: never
  }
}

export type SubpathStrategy = { strategy: 'include' } | { strategy: 'exclude'; delimiter?: '/' }

export interface ListPaginateWithPathInput extends WithPath {
  options?: CommonOptions & { listAll?: false; pageSize?: number; nextToken?: string; subpathStrategy?: SubpathStrategy }
}

export interface ListAllWithPathInput extends WithPath {
  options?: CommonOptions & { listAll: true; subpathStrategy?: SubpathStrategy }
}

export interface RemoveWithPathInput extends WithPath {
  options?: CommonOptions
}

export interface GetPropertiesWithPathInput extends WithPath {
  options?: CommonOptions
}

interface CopySource extends WithPath {
  /** The service copies what is there now. */
  eTag?: never
  notModifiedSince?: never
  bucket?: never
  expectedBucketOwner?: never
}

export interface CopyWithPathInput {
  source: CopySource
  destination: WithPath & { bucket?: never; expectedBucketOwner?: never }
  tagConfig?: never
}

export interface ItemWithPath {
  path: string
  size?: number
  eTag?: string
  lastModified?: Date
  contentType?: string
  metadata?: Record<string, string>
}

export type TransferTaskState = 'IN_PROGRESS' | 'PAUSED' | 'CANCELED' | 'SUCCESS' | 'ERROR'

export interface DownloadTask<Result> {
  readonly state: TransferTaskState
  result: Promise<Result>
  cancel(message?: string): void
}

export interface UploadTask<Result> extends DownloadTask<Result> {
  pause(): void
  resume(): void
}

export type UploadDataWithPathOutput = UploadTask<ItemWithPath>
export type DownloadDataWithPathOutput = DownloadTask<ItemWithPath & { body: { blob(): Promise<Blob>; text(): Promise<string>; json(): Promise<unknown> } }>

export interface ListAllWithPathOutput {
  items: ItemWithPath[]
  excludedSubpaths?: string[]
}

export interface ListPaginateWithPathOutput extends ListAllWithPathOutput {
  nextToken?: string
}

export interface RemoveOperation<T> extends Promise<T> {
  readonly state: TransferTaskState
  result: Promise<T>
  cancel(message?: string): void
}
