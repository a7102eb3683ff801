import { createHash, randomUUID } from 'node:crypto'
import { vi } from 'vitest'
import { ApiError, type Session } from 'cognito-token-handler'
import type { StorageAuth } from '../../src/storage'

interface Stored {
  data: Buffer
  etag: string
  type: string
  metadata: Record<string, string>
  sha256?: string | undefined
  modified: Date
}

interface Upload {
  sub: string
  what: Body
  parts: Map<number, Buffer>
}

/** What a request's body or a presigned URL can hold. */
interface Body {
  key: string
  size: number
  content_type: string
  metadata?: Record<string, string>
  checksum_sha256?: string
  if_none_match?: string
  if_match?: string
  part_numbers: number[]
  checksum_algorithm?: string
  checksums?: string[]
  from: string
  to: string
  id: string
  n: number
  sub: string
  until: number
}

/** What a test does with a request: answer it, lose it, lose its answer, or never answer although it arrived. */
export type Fault = Response | 'lose' | 'lose the answer' | 'keep the answer' | undefined | Promise<void>

const s3 = 'https://bucket.test/'
/** Smaller than the 8 MiB of the service, for the sake of speed. */
export const partSize = 1000

/**
 * The endpoints under /storage as oauthproxy/storage/README.md describes them, and the bucket behind them: `fetch` is replaced by
 * one that reaches the bucket.
 */
export class FakeService {
  sub = 'ada'
  readonly folders = new Map<string, Map<string, Stored>>()
  readonly uploads = new Map<string, Upload>()
  /** Every request, such as `POST /uploads` or `PUT s3 notes.txt`. */
  readonly log: string[] = []
  /** May interfere with a request. */
  fault: (line: string) => Fault = () => undefined
  /** Presigned URLs work for so long. */
  expires = 900_000
  clock = 0

  constructor() {
    const reach = (url: string, init: RequestInit = {}) => this.#through(`${init.method ?? 'GET'} s3 `, url, init, () => this.#bucket(url, init))
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      if (init.credentials !== 'omit') throw new Error('cookies would go to S3')
      return reach(url, init)
    })
    // The real one answers from another thread: on a busy machine the fake clock would run on meanwhile.
    vi.spyOn(crypto.subtle, 'digest').mockImplementation((_, data) => Promise.resolve(new Uint8Array(createHash('sha256').update(new Uint8Array(data as ArrayBuffer)).digest()).buffer))
    vi.stubGlobal('XMLHttpRequest', class extends FakeXHR {
      reach = reach
    })
  }

  readonly auth: StorageAuth = {
    session: undefined as never,
    fetch: (input, init = {}) =>
      this.#through(`${init.method ?? 'GET'} `, String(input).replace(/^\/storage/, ''), init, () => {
        if (init.expectedSub && init.expectedSub !== this.sub) return problem(409, 'user_changed')
        return this.#service(init.method ?? 'GET', new URL(String(input), 'https://app.test'), init)
      }),
  }

  /** The page believes that this user is logged in. */
  login(sub: string): this {
    this.sub = sub
    const never = new Date(8.64e15)
    Object.assign(this.auth, {
      session: { status: 'authenticated', user: { sub }, expiresAt: never, idleExpiresAt: never, accessTokenExpiresAt: never } satisfies Session,
    })
    return this
  }

  get folder(): Map<string, Stored> {
    const folder = this.folders.get(this.sub) ?? new Map<string, Stored>()
    this.folders.set(this.sub, folder)
    return folder
  }

  text(key: string): string | undefined {
    return this.folder.get(key)?.data.toString()
  }

  /** Another browser writes. */
  write(key: string, text: string): string {
    return this.#store(this.folder, key, Buffer.from(text), 'text/plain', {}, quoted(md5(Buffer.from(text)))).etag
  }

  count(part: string): number {
    return this.log.filter((line) => line.includes(part)).length
  }

  async #through(prefix: string, url: string, init: RequestInit, answer: () => Promise<Response> | Response): Promise<Response> {
    const line = prefix + (prefix.includes(' s3 ') ? decodeURIComponent(url.slice(s3.length)).replace(/&.*/, '') : url)
    this.log.push(line)
    const { signal } = init
    signal?.throwIfAborted()
    let abort = () => {}
    const aborted = new Promise<never>((_, reject) => (abort = () => reject(signal?.reason)))
    signal?.addEventListener('abort', abort)
    try {
      return await Promise.race([this.#answer(this.fault(line), answer), aborted])
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  async #answer(interference: Fault, answer: () => Promise<Response> | Response): Promise<Response> {
    const fault = await interference
    if (fault instanceof Response) return fault
    if (fault === 'lose') throw new ApiError('no answer', { status: 0, code: 'unreachable' })
    const response = await answer()
    if (fault === 'lose the answer') throw new ApiError('no answer', { status: 0, code: 'unreachable' })
    if (fault === 'keep the answer') await new Promise(() => {})
    return response
  }

  async #service(method: string, url: URL, init: RequestInit): Promise<Response> {
    const [, , kind, ...rest] = url.pathname.split('/')
    const name = rest.map(decodeURIComponent).join('/')
    const body = typeof init.body === 'string' ? (JSON.parse(init.body) as Body) : ({} as Body)
    const headers = new Headers(init.headers)
    switch (`${method} ${kind}`) {
      case 'POST uploads':
        return json(201, { method: 'PUT', url: this.#sign(body), headers: { 'Content-Type': body.content_type }, key: body.key })
      case 'GET objects':
        return name ? this.#get(name) : this.#list(url.searchParams)
      case 'HEAD objects':
        return this.#head(name)
      case 'DELETE objects':
        return this.#delete(name, url.searchParams.has('recursive'), headers.get('If-Match'))
      case 'POST copies':
        return this.#copy(body)
      case 'GET usage':
        return json(200, { bytes: 12, objects: 1, quota_bytes: null, quota_objects: 9, as_of: '2026-03-04T12:00:00Z' })
    }
    return this.#multipart(method, rest, body)
  }

  #multipart(method: string, [id, action]: string[], body: Body): Response {
    if (!id) {
      const upload_id = randomUUID()
      this.uploads.set(upload_id, { sub: this.sub, what: body, parts: new Map() })
      return json(201, { upload_id, key: body.key, part_size: partSize, part_count: Math.ceil(body.size / partSize) })
    }
    const upload = this.uploads.get(id)
    if (!upload || upload.sub !== this.sub) return problem(404, 'not_found')
    const count = Math.ceil(upload.what.size / partSize)
    switch (`${method} ${action ?? ''}`) {
      case 'POST parts': {
        const { key, part_numbers, checksums } = body
        if ((upload.what.checksum_algorithm === 'SHA256') !== (checksums?.length === part_numbers.length)) return problem(400, 'invalid_request')
        const parts = part_numbers.map((n, i) => {
          const url = this.#sign({ key, id, n, ...(checksums ? { checksum_sha256: checksums[i]! } : {}) })
          return { part_number: n, method: 'PUT', url, headers: {} }
        })
        return json(200, { parts })
      }
      case 'GET ': {
        const parts = [...upload.parts].map(([part_number, data]) => ({ part_number, size: data.length, etag: quoted(md5(data)), ...(upload.what.checksum_algorithm ? { checksum: sha256(data) } : {}) }))
        return json(200, { key: upload.what.key, size: upload.what.size, part_size: partSize, part_count: count, parts })
      }
      case 'POST complete':
        return this.#complete(id, upload, count)
      case 'DELETE ':
        this.uploads.delete(id)
        return new Response(null, { status: 204 })
    }
    return problem(405, 'method_not_allowed')
  }

  #complete(id: string, { what, parts }: Upload, count: number): Response {
    if (parts.size < count) return problem(400, 'invalid_request')
    const refused = this.#refuses(what)
    if (refused) return problem(refused, refused === 409 ? 'already_exists' : 'precondition_failed')
    const all = Array.from({ length: count }, (_, i) => parts.get(i + 1)!)
    const etag = quoted(`${md5(Buffer.concat(all.map((part) => Buffer.from(md5(part), 'hex'))))}-${count}`)
    const sums = all.map((part) => Buffer.from(sha256(part), 'base64'))
    const sum = what.checksum_algorithm && `${sha256(Buffer.concat(sums))}-${count}`
    this.uploads.delete(id)
    return json(201, wire(what.key, this.#store(this.folder, what.key, Buffer.concat(all), what.content_type, what.metadata ?? {}, etag, sum)))
  }

  #refuses(what: Body): 409 | 412 | undefined {
    const found = this.folder.get(what.key)
    if (what.if_none_match && found) return 409
    if (what.if_match && found?.etag !== what.if_match) return 412
    return undefined
  }

  #sign(request: Pick<Body, 'key'> & Partial<Body>): string {
    const sealed = Buffer.from(JSON.stringify({ ...request, sub: this.sub, until: Date.now() + this.expires })).toString('base64url')
    return `${s3}${encodeURIComponent(request.key)}${request.n ? `?part=${request.n}` : '?'}&sealed=${sealed}`
  }

  async #bucket(url: string, init: RequestInit): Promise<Response> {
    const signed = JSON.parse(Buffer.from(url.split('sealed=')[1]!, 'base64url').toString()) as Body
    if (Date.now() > signed.until) return xml(403, 'AccessDenied')
    const folder = this.folders.get(signed.sub) ?? this.folder
    if (init.method !== 'PUT') return this.#read(folder.get(signed.key), new Headers(init.headers).get('Range'))
    const data = Buffer.from(await (init.body as Blob).arrayBuffer())
    if (signed.checksum_sha256 && signed.checksum_sha256 !== sha256(data)) return xml(400, 'BadDigest')
    if (signed.n) {
      const upload = this.uploads.get(signed.id)
      upload?.parts.set(signed.n, data)
      return upload ? new Response(null, { headers: { ETag: quoted(md5(data)) } }) : xml(404, 'NoSuchUpload')
    }
    return this.#put(folder, signed, data)
  }

  #put(folder: Map<string, Stored>, signed: Body, data: Buffer): Response {
    if (data.length !== signed.size) return xml(403, 'SignatureDoesNotMatch')
    if (this.#refuses(signed)) return xml(412, 'PreconditionFailed')
    const { etag } = this.#store(folder, signed.key, data, signed.content_type, signed.metadata ?? {}, quoted(md5(data)), signed.checksum_sha256)
    return new Response(null, { headers: { ETag: etag } })
  }

  #store(folder: Map<string, Stored>, key: string, data: Buffer, type: string, metadata: Record<string, string>, etag: string, sha256?: string): Stored {
    const stored = { data, etag, type, metadata, sha256, modified: new Date(Date.UTC(2026, 2, 4) + 1000 * this.clock++) }
    folder.set(key, stored)
    return stored
  }

  #read(found: Stored | undefined, range: string | null): Response {
    if (!found) return xml(404, 'NoSuchKey')
    const [first, last] = range?.replace('bytes=', '').split('-').map(Number) ?? [0, found.data.length]
    const data = found.data.subarray(first, last! + 1)
    return new Response(new Uint8Array(data), {
      status: range ? 206 : 200,
      headers: { 'Content-Type': found.type, ETag: found.etag, 'Content-Length': String(data.length) },
    })
  }

  #get(key: string): Response {
    if (!this.folder.has(key)) return problem(404, 'not_found')
    return json(200, { url: this.#sign({ key }), expires_at: '2026-03-04T12:15:00Z' })
  }

  #head(key: string): Response {
    const found = this.folder.get(key)
    if (!found) return new Response(null, { status: 404 })
    const headers: Record<string, string> = {
      'Content-Length': String(found.data.length),
      'Content-Type': found.type,
      'Last-Modified': found.modified.toUTCString(),
      ETag: found.etag,
    }
    for (const [name, value] of Object.entries(found.metadata)) headers[`X-Amz-Meta-${name}`] = value
    if (found.sha256) headers['X-Amz-Checksum-Sha256'] = found.sha256
    return new Response(null, { headers })
  }

  #list(query: URLSearchParams): Response {
    const prefix = query.get('prefix') ?? ''
    const limit = Number(query.get('limit') ?? 1000)
    const objects: object[] = []
    const prefixes = new Set<string>()
    for (const [key, stored] of [...this.folder].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (!key.startsWith(prefix)) continue
      const slash = key.indexOf('/', prefix.length)
      if (query.get('delimiter') && slash > 0) prefixes.add(key.slice(0, slash + 1))
      else objects.push(wire(key, stored))
    }
    const from = Number(query.get('cursor') ?? 0)
    const more = from + limit < objects.length ? { next_cursor: String(from + limit) } : {}
    return json(200, { objects: objects.slice(from, from + limit), prefixes: [...prefixes], ...more })
  }

  #delete(key: string, recursive: boolean, ifMatch: string | null): Response {
    if (key.endsWith('/')) {
      if (!recursive) return problem(400, 'invalid_request')
      const below = [...this.folder.keys()].filter((name) => name.startsWith(key))
      const now = below.slice(0, 1000)
      for (const name of now) this.folder.delete(name)
      return json(200, { deleted: now.length, more: now.length < below.length })
    }
    const found = this.folder.get(key)
    if (!found) return problem(404, 'not_found')
    if (ifMatch && ifMatch !== found.etag) return problem(412, 'precondition_failed')
    this.folder.delete(key)
    return new Response(null, { status: 204 })
  }

  #copy({ from, to, if_none_match }: Body): Response {
    const found = this.folder.get(from)
    if (!found) return problem(404, 'not_found')
    if (if_none_match && this.folder.has(to)) return problem(409, 'already_exists')
    return json(201, wire(to, this.#store(this.folder, to, found.data, found.type, found.metadata, found.etag, found.sha256)))
  }
}

const md5 = (data: Buffer) => createHash('md5').update(data).digest('hex')
const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('base64')
const quoted = (text: string) => `"${text}"`
const wire = (key: string, { data, etag, modified }: Stored) => ({ key, size: data.length, etag, last_modified: modified.toISOString() })
const json = (status: number, body: unknown) => Response.json(body, { status })
const xml = (status: number, code: string) => new Response(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`, { status })

export const problem = (status: number, code: string) =>
  Response.json({ title: code, status, code, request_id: 'r-1' }, { status, headers: { 'Content-Type': 'application/problem+json' } })

/** As much of XMLHttpRequest as an upload needs. It reports half of the data, then all of it. */
abstract class FakeXHR {
  abstract reach: (url: string, init: RequestInit) => Promise<Response>
  status = 0
  responseText = ''
  upload: { onprogress?: (event: { loaded: number }) => void } = {}
  onloadend = () => {}
  #init: RequestInit & { headers: Record<string, string> } = { headers: {} }
  #url = ''
  #answer: Response | undefined
  #controller = new AbortController()

  open(method: string, url: string): void {
    this.#init.method = method
    this.#url = url
  }

  setRequestHeader(name: string, value: string): void {
    this.#init.headers[name] = value
  }

  getResponseHeader(name: string): string | null {
    return this.#answer?.headers.get(name) ?? null
  }

  abort(): void {
    this.#controller.abort()
  }

  send(body: Blob): void {
    this.upload.onprogress?.({ loaded: Math.floor(body.size / 2) })
    void this.reach(this.#url, { ...this.#init, body, signal: this.#controller.signal })
      .then(async (answer) => {
        this.upload.onprogress?.({ loaded: body.size })
        this.#answer = answer
        this.responseText = await answer.text()
        this.status = answer.status
      })
      .catch(() => {})
      .then(() => this.onloadend())
  }
}

/** A place to remember uploads in. */
export class Memory {
  readonly items = new Map<string, string>()
  getItem = (name: string) => this.items.get(name) ?? null
  setItem = (name: string, value: string) => void this.items.set(name, value)
  removeItem = (name: string) => void this.items.delete(name)
}

/** Lets the fake clock run until the promise is settled, and returns its outcome. */
export async function settled<T>(promise: PromiseLike<T>): Promise<{ value?: T; error?: unknown }> {
  let outcome: { value?: T; error?: unknown } | undefined
  promise.then(
    (value) => (outcome = { value }),
    (error: unknown) => (outcome = { error }),
  )
  await until(() => outcome !== undefined, 1000)
  return outcome!
}

/** Lets the fake clock run in steps of so many milliseconds until the condition holds. */
export async function until(holds: () => boolean, step = 10): Promise<void> {
  for (let steps = 0; !holds(); steps++) {
    if (steps === 10_000) throw new Error(`this never came: ${holds}`)
    await pass(step)
  }
}

/** Lets so many milliseconds of the fake clock pass, and what is under way on other threads come in. */
export async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms)
  await new Promise((resolve) => setImmediate(resolve))
}
