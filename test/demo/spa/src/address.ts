/** A login or sign-up address that comes back to the page that we are on. */
export function withReturn(url: string, here = location.pathname + location.search): string {
  return `${url}${url.includes('?') ? '&' : '?'}return_to=${encodeURIComponent(here)}`
}

/** Where a logout ends, so that the page can say so. */
export const loggedOutPath = '/?logged_out'

/** Reads query parameters, and removes them from the address. */
export function takeParameters(names: string[]): Record<string, string> {
  const url = new URL(location.href)
  const found: Record<string, string> = {}
  for (const name of names) {
    const value = url.searchParams.get(name)
    if (value === null) continue
    found[name] = value
    url.searchParams.delete(name)
  }
  if (Object.keys(found).length > 0) history.replaceState(history.state, '', url)
  return found
}

/**
 * The same page at localhost, if this is an address of the same machine. Cookies belong to a name: a login that begins at
 * 127.0.0.1 ends at localhost, the public URL of the local stack.
 */
export function atPublicUrl(): string | undefined {
  if (!/^(127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname)) return undefined
  return location.href.replace(location.host, location.host.replace(location.hostname, 'localhost'))
}
