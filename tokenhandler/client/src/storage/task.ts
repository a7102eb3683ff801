import type { Progress, Uploaded, UploadState, UploadTask } from './types'

/** What a task does. It is called again after a pause, and goes on with what it remembers. */
export interface Work {
  run(signal: AbortSignal, onLoaded: (bytes: number) => void): Promise<Uploaded>
  /** Deletes what is left at S3: of a canceled upload, and of a failed one that cannot go on later. */
  discard?(canceled: boolean): Promise<void>
}

const pausing = {}

export function createTask(work: Work, total: number, onProgress?: (progress: Progress) => void, abort?: AbortSignal): UploadTask {
  let running = new AbortController()
  let wake = () => {}

  const report = (loaded: number) => {
    task.progress = { loaded, total }
    onProgress?.(task.progress)
  }

  const end = (reason: unknown) => {
    if (task.state !== 'running' && task.state !== 'paused') return
    task.state = 'canceled'
    running.abort(reason)
    wake()
  }

  const loop = async (): Promise<Uploaded> => {
    await null // the caller has the task before anything is reported
    for (;;) {
      if (task.state === 'paused') await new Promise<void>((resolve) => (wake = resolve))
      const { signal } = running
      try {
        signal.throwIfAborted()
        const uploaded = await work.run(signal, (loaded) => signal.aborted || report(loaded))
        task.state = 'done'
        report(total)
        return uploaded
      } catch (error) {
        if (error === pausing) continue
        const canceled = task.state === 'canceled'
        if (!canceled) task.state = 'failed'
        running.abort(error) // whatever else the work has under way
        await work.discard?.(canceled).catch(() => {})
        throw error
      }
    }
  }

  const onAbort = () => end(abort?.reason)
  abort?.addEventListener('abort', onAbort)
  const result = loop().finally(() => abort?.removeEventListener('abort', onAbort))
  result.catch(() => {}) // whoever awaits it gets the error; a task that nobody awaits is no unhandled rejection

  const task = {
    state: 'running' as UploadState,
    progress: { loaded: 0, total },
    result,
    then: result.then.bind(result) as UploadTask['then'],
    pause: () => {
      if (task.state !== 'running') return
      task.state = 'paused'
      running.abort(pausing)
      running = new AbortController()
    },
    resume: () => {
      if (task.state !== 'paused') return
      task.state = 'running'
      wake()
    },
    cancel: () => end(new DOMException('canceled', 'AbortError')),
  }
  if (abort?.aborted) onAbort()
  return task
}
