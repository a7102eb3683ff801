import type { LoginOptions } from './types'

/** The keys in sessionStorage, which is the tab's own. */
const stateKey = 'tokenhandler:state'
const autoKey = 'tokenhandler:auto'

/** A login that starts by itself within this time after the last one did not help: another would not either. */
const autoMs = 60_000

/** Where the app goes on, as `return_to` says it. To a service on another origin, a path would be one of its own. */
export function returnAddress(crossOrigin: boolean, to: string): string {
  return crossOrigin ? new URL(to, location.href).href : to
}

/** The address of a page of the service with the options of a login there. */
export function pageUrl(page: string, crossOrigin: boolean, options: LoginOptions): string {
  const { pathname, search, hash } = location
  return withQuery(page, {
    return_to: returnAddress(crossOrigin, options.returnTo ?? pathname + search + hash),
    identity_provider: options.provider,
    login_hint: options.loginHint,
    lang: options.lang,
    prompt: options.prompt,
  })
}

/** The address with those parameters that have a value. */
export function withQuery(address: string, values: Record<string, string | false | undefined>): string {
  const url = new URL(address)
  for (const name in values) if (values[name]) url.searchParams.set(name, values[name])
  return url.href
}

/** What is kept in this tab while the user is at the login. */
interface Kept {
  sub?: string | undefined
  value?: unknown
}

/** Keeps a value in this tab until the user `sub` is back from the login. */
export function keepState(value: unknown, sub: string | undefined): void {
  write(stateKey, { sub, value })
}

/** The value that was kept, once, and only for the user who was logged in then, if there was one. */
export function takeState(sub: string): unknown {
  const { sub: owner = sub, value } = read(stateKey, true)
  return owner === sub ? value : undefined
}

/** Whether a login may start by itself now. If so, it counts as started. */
export function mayStartByItself(): boolean {
  if (Math.abs(Date.now() - (read(autoKey).value as number)) < autoMs) return false
  write(autoKey, { value: Date.now() })
  return true
}

// A browser may refuse storage to a page; then nothing is kept.

function read(key: string, once?: boolean): Kept {
  try {
    const text = sessionStorage.getItem(key)
    if (once) sessionStorage.removeItem(key)
    return JSON.parse(text!) ?? {}
  } catch {
    return {}
  }
}

function write(key: string, kept: Kept): void {
  try {
    sessionStorage.setItem(key, JSON.stringify(kept))
  } catch {}
}
