import { useCallback, useEffect, useState } from 'react'
import { storage } from './auth'

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

export interface Saved {
  key: string
  bytes: number
  at: Date
}

/** Writes the notes to the user's folder. */
export async function saveNotes(notes: Note[]): Promise<Saved> {
  const text = JSON.stringify(notes, null, 2)
  const { key, size } = await storage.upload('notes/notes.json', text, { contentType: 'application/json' })
  return { key, bytes: size, at: new Date() }
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
