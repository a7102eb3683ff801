/** What the folder had at the last comparison. */
export interface Base {
  etag: string
  text: string
}

/** The copies of one value of one user in this browser: the value itself, and what the folder had. Both are JSON. */
export interface Copies {
  readonly name: string
  text: string | null
  base: Base | null
  /** The value is not the folder's. */
  readonly changed: boolean
  /** The value is in `localStorage`, and not in this page only. */
  fits(): boolean
  /** Where the app has the value too, because it does not fit here. It can go when the folder has it. */
  adopted?: string
  forget(): void
}

export function copies(sub: string, key: string): Copies {
  const name = `th:${sub}:${key}`
  const text = item(name)
  const base = item(`${name}:base`)
  return {
    name,
    get text() {
      return text.get()
    },
    set text(value) {
      const made = base.get()
      const fits = text.set(value)
      // Other tabs move the base in localStorage on. The one that an unsaved value was made of stays with it.
      base.set(made, fits)
    },
    get base() {
      try {
        return JSON.parse(base.get()!) as Base | null
      } catch {
        return null
      }
    },
    set base(value) {
      base.set(value && JSON.stringify(value), text.fits())
    },
    get changed() {
      return this.text !== null && this.text !== this.base?.text
    },
    fits: text.fits,
    forget() {
      text.set(null)
      base.set(null)
    },
  }
}

/** A value in `localStorage`. There is none where the browser refuses that to the page. */
export function stored(name: string): string | null {
  try {
    return localStorage.getItem(name)
  } catch {
    return null
  }
}

/** A key of `localStorage`. What does not fit into it is kept until the page is left. */
function item(name: string) {
  let unsaved: string | null | undefined
  const fits = () => unsaved === undefined
  return {
    fits,
    get: () => (fits() ? stored(name) : unsaved!),
    /** Keeps a value, in `localStorage` if that `may` be, and tells whether it is there. */
    set: (value: string | null, may = true) => {
      unsaved = value
      try {
        if (may) {
          if (value === null) localStorage.removeItem(name)
          else localStorage.setItem(name, value)
          unsaved = undefined
        }
      } catch {}
      return fits()
    },
  }
}
