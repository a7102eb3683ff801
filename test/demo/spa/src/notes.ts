import { useCallback, useEffect, useState } from 'react'
import { ApiError, request, unreachable } from './api'

export interface Note {
  id: number
  text: string
  at: string
}

/** The notes of one user, kept in this browser under `notes:<sub>`. */
export function useNotes(sub: string) {
  const key = `notes:${sub}`
  const [notes, setNotes] = useState<Note[]>(() => read(key))

  useEffect(() => {
    const onStorage = (event: StorageEvent) => {
      if (event.key === key) setNotes(read(key))
    }
    window.addEventListener('storage', onStorage)
    return () => window.removeEventListener('storage', onStorage)
  }, [key])

  const write = useCallback(
    (next: Note[]) => {
      localStorage.setItem(key, JSON.stringify(next))
      setNotes(next)
    },
    [key],
  )

  const add = (text: string) => {
    const id = Math.max(0, ...notes.map((note) => note.id)) + 1
    write([{ id, text, at: new Date().toISOString() }, ...notes])
  }
  const remove = (id: number) => write(notes.filter((note) => note.id !== id))
  return { notes, add, remove }
}

interface Upload {
  method: string
  url: string
  headers: Record<string, string>
  key: string
}

export interface Saved {
  key: string
  bytes: number
  at: Date
}

/** Asks for a presigned PUT, which binds size, type and checksum, then sends exactly these bytes to S3. */
export async function saveNotes(notes: Note[], onStep: (step: string) => void): Promise<Saved> {
  const bytes = new TextEncoder().encode(JSON.stringify(notes, null, 2))
  onStep('Asking for an upload address…')
  const upload = await request<Upload>('POST', '/storage/uploads', {
    key: 'notes/notes.json',
    content_type: 'application/json',
    size: bytes.byteLength,
    ...(await checksum(bytes)),
  })
  onStep('Sending to S3…')
  await put(upload, bytes)
  return { key: upload.key, bytes: bytes.byteLength, at: new Date() }
}

async function put(upload: Upload, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const response = await fetch(upload.url, {
    method: upload.method,
    headers: upload.headers,
    body: bytes,
    credentials: 'omit',
  }).catch(() => {
    throw unreachable('S3 did not answer, or its CORS rules refuse this page.')
  })
  if (response.ok) return
  const code = /<Code>(\w+)<\/Code>/.exec(await response.text())?.[1] ?? 'no reason given'
  const detail = `S3 refused the upload (${response.status}, ${code}).`
  throw new ApiError({ title: 'Not saved', status: response.status, code: 'storage_refused', detail })
}

/** Web Crypto exists on https and on localhost only; without it the upload goes unchecked. */
async function checksum(bytes: Uint8Array<ArrayBuffer>): Promise<{ checksum_sha256?: string }> {
  if (!crypto.subtle) return {}
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return { checksum_sha256: btoa(String.fromCharCode(...digest)) }
}

function read(key: string): Note[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? '[]')
    return Array.isArray(value) ? value.filter(isNote) : []
  } catch {
    return []
  }
}

function isNote(value: unknown): value is Note {
  const note = value as Note | null
  return typeof note?.id === 'number' && typeof note.text === 'string' && typeof note.at === 'string'
}
