// What the service's storage answers, field by field. A Go test compares these interfaces with the real JSON.

/** The answer to `POST /storage/uploads`. */
export interface UploadAnswer {
  method: string
  url: string
  headers: Record<string, string>
  key: string
  expires_at: string
}

/** The answer to `GET /storage/objects/{key}?redirect=false`. */
export interface DownloadAnswer {
  url: string
  expires_at: string
}

/** An object; also the answer to a copy and to the completion of an upload in parts. */
export interface ObjectAnswer {
  key: string
  size: number
  etag: string
  last_modified: string
}

/** The answer to `GET /storage/objects`: a page. */
export interface ObjectsAnswer {
  objects: ObjectAnswer[]
  prefixes: string[]
  next_cursor?: string
}

/** The answer to a step of a recursive deletion. */
export interface DeletedAnswer {
  deleted: number
  more: boolean
}

/** The answer to `POST /storage/multipart`. */
export interface PartsUploadAnswer {
  upload_id: string
  key: string
  part_size: number
  part_count: number
}

export interface SignedPart {
  part_number: number
  size: number
  method: string
  url: string
  headers: Record<string, string>
}

/** The answer to `POST /storage/multipart/{upload_id}/parts`. */
export interface SignedPartsAnswer {
  parts: SignedPart[]
  expires_at: string
}

export interface StoredPart {
  part_number: number
  size: number
  etag: string
  checksum?: string
}

/** The answer to `GET /storage/multipart/{upload_id}`. */
export interface StoredPartsAnswer {
  key: string
  size: number
  part_size: number
  part_count: number
  parts: StoredPart[]
}

/** The answer to `GET /storage/usage`. */
export interface UsageAnswer {
  bytes: number
  objects: number
  quota_bytes: number | null
  quota_objects: number | null
  as_of: string
}
