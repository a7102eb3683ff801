import type { StoredObject } from 'cognito-token-handler/storage'
import { useCallback, useEffect, useRef, useState } from 'react'
import { storage } from './auth'

/** Everything that the user uploads is below this; keys are relative to the user's own folder. */
export const folder = 'files/'

/** The user's files, newest first. */
export function useFiles() {
  const [files, setFiles] = useState<StoredObject[]>()
  const [error, setError] = useState('')
  const asked = useRef(0)

  const reload = useCallback(async () => {
    const turn = ++asked.current // of two answers the later request's is shown
    try {
      const found = await storage.list(folder).all()
      if (turn !== asked.current) return
      setFiles(found.sort((a, b) => +b.lastModified - +a.lastModified))
      setError('')
    } catch (failure) {
      if (turn === asked.current) setError((failure as Error).message)
    }
  }, [])
  useEffect(() => void reload(), [reload])
  return { files, error, reload }
}

// #region files
/** Deletes the version that the page shows. If there is a newer one, it stays: 412 precondition_failed. */
export const deleteFile = ({ key, etag }: StoredObject) => storage.remove(key, { ifMatch: etag })

/** A file gets another name: S3 has no rename, so it is copied and the original deleted. A newer original stays beside the copy. */
export async function renameFile(file: StoredObject, name: string) {
  await storage.copy(file.key, folder + name, { ifAbsent: true }) // 409 already_exists, and nothing is overwritten
  await deleteFile(file)
}

/** For <img src> and <a href>. The service redirects to S3, with an address that works for some minutes. */
export const pictureOf = (key: string) => storage.src(key)
export const downloadOf = (key: string) => storage.src(key, { download: true })
// #endregion

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
