import { ApiError } from 'cognito-token-handler'
import { giveUp, type PartsJob } from './left'
import { retrying } from './retry'
import type { Work } from './task'

let code: Promise<typeof import('./parts')> | undefined

/** Loads the code of uploads in parts. After a failure the next call tries it again. */
function load() {
  return (code ??= import('./parts').catch((cause: unknown) => {
    code = undefined
    throw new ApiError('the code of uploads in parts cannot be loaded', { status: 0, code: 'unreachable', cause })
  }))
}

/** Loads it in the background where uploads are possible, so that it is there when the network or the app's old files are not. */
export function loadEarly(): void {
  if (globalThis.XMLHttpRequest) load().catch(() => {})
}

/** The code, unless the wait for it is ended before. */
function loaded(signal: AbortSignal) {
  return new Promise<Awaited<ReturnType<typeof load>>>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    load().then(resolve, reject)
  })
}

/** An upload in parts, which waits for its code. */
export function inParts(job: PartsJob): Work {
  let work: Work | undefined
  return {
    run: async (signal, onLoaded) => {
      work ??= (await retrying(job.retries, signal, () => loaded(signal))).inParts(job)
      signal.throwIfAborted()
      return work.run(signal, onLoaded)
    },
    discard: (canceled) => (work ? work.discard!(canceled) : giveUp(job, undefined, canceled)),
  }
}
