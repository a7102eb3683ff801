import type { ObjectStorage, Progress, UploadData, Uploaded, UploadOptions, UploadState, UploadTask } from 'cognito-token-handler/storage'
import { useEffect, useState } from 'react'
import { useAuthClient } from './hooks'

/** What {@link useUpload} returns. */
export interface UploadHook {
  state: UploadState | 'idle'
  progress: Progress | undefined
  /** Why the last upload failed or was canceled. */
  error: Error | undefined
  /** What the last upload has made. */
  uploaded: Uploaded | undefined
  /** Starts an upload. One that this component has under way goes on, unseen. */
  upload: (key: string, data: UploadData, options?: UploadOptions) => UploadTask
  pause: () => void
  resume: () => void
  cancel: () => void
}

interface Shown {
  task?: UploadTask
  error?: Error
  uploaded?: Uploaded
}

/** One upload at a time, with its progress. It goes on when the component is gone. */
export function useUpload(storage: Pick<ObjectStorage, 'upload'>): UploadHook {
  const [{ task, error, uploaded }, show] = useState<Shown>({})
  const act = (how: 'pause' | 'resume' | 'cancel') => () => {
    task?.[how]()
    show((shown) => ({ ...shown }))
  }
  return {
    state: task?.state ?? 'idle',
    progress: task?.progress,
    error,
    uploaded,
    upload(key, data, options) {
      // An older upload shows nothing any more.
      const update = (change: Shown) => show((shown) => (shown.task === own ? { ...shown, ...change } : shown))
      const onProgress: UploadOptions['onProgress'] = (progress) => {
        options?.onProgress?.(progress)
        update({})
      }
      const own = storage.upload(key, data, { ...options, onProgress })
      show({ task: own })
      own.then(
        (done) => update({ uploaded: done }),
        (reason: Error) => update({ error: reason }),
      )
      return own
    },
    pause: act('pause'),
    resume: act('resume'),
    cancel: act('cancel'),
  }
}

/**
 * A URL of an object that works without the session, for a player or a viewer that sends no cookies. It is replaced shortly
 * before it ends. For an `<img>` of the own page, `storage.src(key)` does without.
 */
export function useObjectUrl(storage: Pick<ObjectStorage, 'url'>, key: string | undefined): { url?: string; error?: Error } {
  const { now } = useAuthClient()
  const [result, show] = useState<{ of?: string; url?: string; error?: Error }>({})
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    let live = !!key
    const ask = async () => {
      try {
        const { url, expiresAt } = await storage.url(key!)
        if (!live) return
        show({ of: key!, url })
        timer = setTimeout(ask, (+expiresAt - now()) * 0.8)
      } catch (error) {
        if (live) show({ of: key!, error: error as Error })
      }
    }
    if (live) void ask()
    return () => {
      live = false
      clearTimeout(timer)
    }
  }, [storage, key, now])
  return result.of === key ? result : {}
}
