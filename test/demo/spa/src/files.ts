import type { StoredObject } from 'cognito-token-handler/storage'
import { useCallback, useEffect, useRef, useState } from 'react'
import { storage } from './auth'

/** The user's files, newest first. They are asked for again when `saves` changes. */
export function useFiles(saves: number) {
  const [files, setFiles] = useState<StoredObject[]>()
  const [error, setError] = useState('')
  const asked = useRef(0)

  const reload = useCallback(async () => {
    const turn = ++asked.current // of two answers the later request's is shown
    try {
      const found = await storage.list().all()
      if (turn !== asked.current) return
      setFiles(found.sort((a, b) => +b.lastModified - +a.lastModified))
      setError('')
    } catch (failure) {
      if (turn === asked.current) setError((failure as Error).message)
    }
  }, [])
  useEffect(() => void reload(), [reload, saves])

  const remove = async (key: string) => {
    await storage.remove(key)
    await reload()
  }
  return { files, error, reload, remove }
}

/** The part of the key behind the last slash. */
export function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1)
}

/** Whether the name is that of an image which browsers show. A list does not say what type a file has. */
export function isImage(key: string): boolean {
  return /\.(avif|gif|jpe?g|png|webp)$/i.test(key)
}

/** A number of bytes, as `714 bytes` or `2.3 MB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  const power = Math.min(4, Math.floor(Math.log10(bytes) / 3))
  return `${(bytes / 1000 ** power).toFixed(1)} ${['', 'KB', 'MB', 'GB', 'TB'][power]}`
}

/** Day and time, to the minute. */
export function timeText(date: Date): string {
  return date.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })
}
