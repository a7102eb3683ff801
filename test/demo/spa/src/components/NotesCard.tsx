import type { MirrorStatus } from 'cognito-token-handler/mirror'
import { useState, useSyncExternalStore } from 'react'
import { timeText } from '../clock'
import { addNote, changeNote, clashes, deleteNote, notes, settle, type Note } from '../notes'
import { samples } from '../samples'
import { Conflict } from './Conflict'
import { Icon } from './Icon'
import { Feature } from './Feature'

const labels: Record<MirrorStatus, string> = {
  loading: 'Loading from S3…',
  synced: 'Synced',
  pending: 'Saving soon…',
  syncing: 'Saving…',
  offline: 'Saved here, waiting for the network',
  conflict: 'Two versions',
  failed: 'Not saved in S3',
  signedOut: 'Saved here only',
}

export function NotesCard({ sub }: { sub: string }) {
  const { value, status, conflict, error } = useSyncExternalStore(notes.subscribe, () => notes.snapshot)
  const [fresh, setFresh] = useState('')
  const found = conflict ? clashes(conflict) : []
  const shown = conflict && found.length === 0 ? 'syncing' : status

  const remove = (id: string) => {
    deleteNote(id)
    document.getElementById('new-note')?.focus()
  }
  const state = (
    <span className={`state ${shown}`} role="status" data-testid="notes-status" data-status={shown}>
      {labels[shown]}
    </span>
  )
  return (
    <Feature
      id="notes"
      title="Notes"
      lead="In this browser while you type, and a second later in your own S3 folder. The same on every device."
      aside={state}
      code={samples.notes}
    >
      {conflict && found.length > 0 && <Conflict clashes={found} onChoose={(choice) => settle(conflict, choice)} />}
      <button id="new-note" type="button" className="quiet" onClick={() => setFresh(addNote().id)} disabled={status === 'loading'} data-testid="note-add">
        <Icon name="plus" /> New note
      </button>
      {value.length === 0 && status !== 'loading' && <p className="empty">Nothing written yet. Your first note is one click away.</p>}
      <ul className="notes" aria-label="Your notes" data-testid="note-list">
        {value.map((note) => (
          <NoteItem key={note.id} note={note} fresh={note.id === fresh} onDelete={() => remove(note.id)} />
        ))}
      </ul>
      {error !== undefined && <p className="fine">{(error as Error).message}</p>}
      <p className="key">
        <code data-testid="notes-key">{`users/${sub}/notes/notes.json`}</code>
      </p>
    </Feature>
  )
}

function NoteItem({ note, fresh, onDelete }: { note: Note; fresh: boolean; onDelete: () => void }) {
  const [first = ''] = note.text.split('\n')
  return (
    <li data-testid="note-item">
      <textarea
        aria-label={first === '' ? 'New note' : `Note: ${first}`}
        autoFocus={fresh}
        value={note.text}
        rows={note.text.split('\n').length}
        placeholder="Write something…"
        maxLength={4000}
        onChange={(event) => changeNote(note.id, event.target.value)}
        // With another window in front it still is the active element, and empty notes stay.
        onBlur={({ target }) => document.activeElement !== target && note.text.trim() === '' && deleteNote(note.id)}
      />
      <time dateTime={note.at}>{timeText(new Date(note.at))}</time>
      <button type="button" className="icon-button" aria-label={`Delete note: ${first}`} onClick={onDelete} data-testid="note-delete">
        <Icon name="bin" />
      </button>
    </li>
  )
}
