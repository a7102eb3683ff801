// #region notes
import { createMirror, mergeById, type Conflict } from 'cognito-token-handler/mirror'
import { auth, storage } from './auth'

export interface Note {
  id: string
  text: string
  at: string
}

/** In localStorage at once, and a second later in the user's folder in S3. */
export const notes = createMirror<Note[]>(auth, storage, 'notes', {
  initial: [],
  path: 'notes/notes.json',
  adopt: (sub) => `notes:${sub}`, // where this app kept them before
  // Two devices have written. What does not clash becomes one list; the rest is for the user to decide.
  merge: (conflict) => (clashes(conflict).length > 0 ? undefined : merged(conflict)),
})

/** A note whose text is as before counts as unchanged, though its time is another: else it would hide what the other side wrote. */
function merged({ base = [], mine, theirs }: Conflict<Note[]>): Note[] {
  const settled = (list: Note[]) => list.map((note) => base.find(({ id, text }) => id === note.id && text === note.text) ?? note)
  return mergeById<Note>('id')({ base, mine: settled(mine), theirs: settled(theirs) })
}

export function addNote(): Note {
  const note = { id: crypto.randomUUID(), text: '', at: new Date().toISOString() }
  notes.set((list) => [note, ...list])
  return note
}

export function changeNote(id: string, text: string) {
  const at = new Date().toISOString()
  notes.set((list) => list.map((note) => (note.id === id ? { ...note, text, at } : note)))
}

export const deleteNote = (id: string) => notes.set((list) => list.filter((note) => note.id !== id))
// #endregion

/** A note that both sides have changed, each in another way. `theirs` is undefined if the other side has deleted it. */
export interface Clash {
  id: string
  mine: Note | undefined
  theirs: Note | undefined
}

export function clashes({ base = [], mine, theirs }: Conflict<Note[]>): Clash[] {
  const ids = new Set([...mine, ...theirs].map((note) => note.id))
  return [...ids].flatMap((id) => {
    const [before, own, other] = [base, mine, theirs].map((list) => list.find((note) => note.id === id))
    const clash = own?.text !== other?.text && own?.text !== before?.text && other?.text !== before?.text
    return clash ? { id, mine: own, theirs: other } : []
  })
}

export type Choice = 'mine' | 'theirs' | 'both'

/** Ends a conflict with what the user has chosen. Notes that do not clash are merged. */
export function settle(conflict: Conflict<Note[]>, choice: Choice) {
  notes.resolve(clashes(conflict).reduce((list, clash) => apply(list, clash, choice), merged(conflict)))
}

function apply(list: Note[], { id, mine, theirs }: Clash, choice: Choice): Note[] {
  const kept = [mine, theirs].filter((note, i) => note && choice !== (i ? 'mine' : 'theirs')) as Note[]
  const replacement = kept.map((note, i) => (i ? { ...note, id: crypto.randomUUID() } : note))
  const at = list.findIndex((note) => note.id === id)
  const rest = list.filter((note) => note.id !== id)
  rest.splice(at < 0 ? 0 : at, 0, ...replacement)
  return rest
}
