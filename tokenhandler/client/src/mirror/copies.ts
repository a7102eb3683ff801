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
  forget(): void
}

export function copies(sub: string, key: string): Copies {
  const name = `th:${sub}:${key}`
  const baseName = `${name}:base`
  const base = item(baseName)
  const text = item(name)
  return {
    name,
    get text() {
      return text.value
    },
    set text(value) {
      text.value = value
    },
    get base() {
      return JSON.parse(base.value ?? 'null') as Base | null
    },
    set base(value) {
      base.value = value && JSON.stringify(value)
    },
    get changed() {
      return this.text !== null && this.text !== this.base?.text
    },
    forget() {
      text.value = base.value = null
    },
  }
}

/** A key of `localStorage`. What does not fit into it is kept until the page is left. */
function item(name: string) {
  let unsaved: string | null = null
  return {
    get value() {
      return unsaved ?? localStorage.getItem(name)
    },
    set value(value: string | null) {
      unsaved = null
      try {
        if (value === null) localStorage.removeItem(name)
        else localStorage.setItem(name, value)
      } catch {
        unsaved = value
      }
    },
  }
}
