import type { ApiError } from 'cognito-token-handler'
import type { ObjectStorage, Progress, UploadData, Uploaded, UploadOptions, UploadState, UploadTask } from 'cognito-token-handler/storage'
import { useEffect, useState } from 'react'
import { useAuthClient, useUser } from './hooks'

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
  task: Partial<UploadTask>
  error?: Error
  uploaded?: Uploaded
}

/** One upload at a time, with its progress. It goes on when the component is gone. */
export function useUpload(storage: Pick<ObjectStorage, 'upload'>): UploadHook {
  const [{ task, error, uploaded }, show] = useState<Shown>({ task: {} })
  const act = (how: 'pause' | 'resume' | 'cancel') => () => {
    task[how]?.()
    show((shown) => ({ ...shown }))
  }
  return {
    state: task.state ?? 'idle',
    progress: task.progress,
    error,
    uploaded,
    upload(key, data, options) {
      // An older upload shows nothing any more.
      const update = (change: Partial<Shown>) => show((shown) => (shown.task === own ? { ...shown, ...change } : shown))
      const own = storage.upload(key, data, {
        ...options,
        onProgress(progress) {
          options?.onProgress?.(progress)
          update({})
        },
      })
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

/** The pauses after tries that failed, in milliseconds: the first one, doubled after each failure, and the longest. */
const firstPause = 1000
const longestPause = 60_000

interface Link {
  /** The user and the key whose URL it is. */
  of?: string
  url?: string
  error?: Error
}

/**
 * A URL of an object that works without the session, for a player or a viewer that sends no cookies. It is replaced shortly
 * before it ends. If the service does not answer, it is asked again with growing pauses, and the URL stays until it ends; `error`
 * is why the last try failed. Nobody gets the URL of another user. For an `<img>` of the own page, `storage.src(key)` does without.
 */
export function useObjectUrl(storage: Pick<ObjectStorage, 'url'>, key: string | undefined): { url?: string; error?: Error } {
  const auth = useAuthClient()
  const sub = useUser()?.sub
  const wanted = key && sub && `${sub} ${key}`
  const [{ of, ...result }, show] = useState<Link>({})
  useEffect(() => {
    if (!wanted) return
    let timer: ReturnType<typeof setTimeout>
    let live = true
    let link: Partial<{ url: string; expiresAt: Date }> = {}
    let failures = 0
    const ask = async () => {
      let error: ApiError | undefined
      try {
        link = await storage.url(key!)
        failures = 0
      } catch (thrown) {
        error = thrown as ApiError
      }
      if (!live) return
      const passing = !error || /^(0|429|5..)$/.test(`${error.status}`)
      const left = +link.expiresAt! - auth.now() // NaN without a URL
      const valid = passing && left > 0
      const ms = error ? Math.max(Math.min(firstPause * 2 ** failures++, longestPause), error.retryAfterMs ?? 0) : left * 0.8
      show({ of: wanted, ...(valid && { url: link.url! }), ...(error && { error }) })
      // A URL that works is asked for again when it ends, at the latest.
      if (passing) timer = setTimeout(ask, valid ? Math.min(ms, left) : ms)
    }
    void ask()
    return () => {
      live = false
      clearTimeout(timer)
    }
  }, [storage, key, auth, wanted])
  return of === wanted ? result : {}
}
