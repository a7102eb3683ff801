export interface Listeners<Events> {
  add<E extends keyof Events>(event: E, listener: (detail: Events[E]) => void): () => void
  emit<E extends keyof Events>(event: E, detail: Events[E]): void
}

/** Keeps listeners by the name of their event. The error of one is reported as any uncaught one, and stops no other. */
export function createListeners<Events>(): Listeners<Events> {
  const all = new Set<{ event: keyof Events; listener: (detail: never) => void }>()
  return {
    add(event, listener) {
      const entry = { event, listener }
      all.add(entry)
      return () => void all.delete(entry)
    },
    emit(event, detail) {
      for (const entry of [...all]) {
        if (entry.event !== event) continue
        try {
          entry.listener(detail as never)
        } catch (error) {
          reportError(error)
        }
      }
    },
  }
}
