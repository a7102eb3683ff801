import type { ApiError } from 'cognito-token-handler'

/**
 * Calls `attempt` until it succeeds, at most `retries` times again after failures that may pass, with growing pauses. While the
 * browser is offline it waits, and that counts as no try.
 */
export async function retrying<T>(retries: number, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await attempt()
    } catch (error) {
      signal.throwIfAborted()
      if (failures >= retries || !mayPass(error as Partial<ApiError>)) throw error
      const pause = Math.min(30_000, 500 * 2 ** failures) * (0.5 + Math.random() / 2)
      await wait(Math.max(pause, (error as ApiError).retryAfterMs ?? 0), signal)
    }
  }
}

function mayPass({ status, code }: Partial<ApiError>): boolean {
  // 403 of S3: the URL has expired while the upload was paused. 409 of S3: two conditional writes at once.
  const passing = code === 'storage_refused' ? [403, 409] : [0, 408, 429]
  return status! >= 500 || passing.includes(status!)
}

/** Waits for so many milliseconds, and while the browser is offline. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      if (globalThis.navigator?.onLine === false) addEventListener('online', done, { once: true })
      else resolve()
    }
    setTimeout(done, ms)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
