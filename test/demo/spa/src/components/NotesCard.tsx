import { useState, type FormEvent } from 'react'
import { timeOfDay } from '../clock'
import { saveNotes, useNotes, type Note, type Saved } from '../notes'
import { Icon } from './Icon'

type Saving =
  | { step: 'idle' }
  | { step: 'busy' }
  | { step: 'saved'; saved: Saved; notes: Note[] }
  | { step: 'failed'; text: string }

export function NotesCard({ sub, onSaved }: { sub: string; onSaved: () => void }) {
  const { notes, add, remove } = useNotes(sub)
  const [saving, setSaving] = useState<Saving>({ step: 'idle' })

  const save = async () => {
    try {
      setSaving({ step: 'busy' })
      setSaving({ step: 'saved', saved: await saveNotes(notes), notes })
      onSaved()
    } catch (error) {
      setSaving({ step: 'failed', text: (error as Error).message })
    }
  }
  const removeAndStay = (id: number) => {
    remove(id)
    document.getElementById('note')?.focus()
  }
  return (
    <section className="card" aria-labelledby="notes-title">
      <div className="card-head">
        <div>
          <h2 id="notes-title">Notes</h2>
          <p>Kept in this browser until you save them to your own S3 folder.</p>
        </div>
        <button type="button" onClick={() => void save()} disabled={saving.step === 'busy'} data-testid="notes-save">
          Save to my S3 folder
        </button>
      </div>
      <NoteForm onAdd={add} />
      {notes.length === 0 && <p className="empty">No notes yet.</p>}
      <ul className="notes" aria-label="Your notes" data-testid="note-list">
        {notes.map((note) => (
          <NoteItem key={note.id} note={note} onDelete={() => removeAndStay(note.id)} />
        ))}
      </ul>
      <div role="status">
        <SavingLine saving={saving} changed={saving.step === 'saved' && saving.notes !== notes} />
      </div>
    </section>
  )
}

function NoteForm({ onAdd }: { onAdd: (text: string) => void }) {
  const [text, setText] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (text.trim() === '') return
    onAdd(text.trim())
    setText('')
  }
  return (
    <form className="note-form" onSubmit={submit}>
      <label className="visually-hidden" htmlFor="note">
        New note
      </label>
      <input
        id="note"
        value={text}
        onChange={(event) => setText(event.target.value)}
        placeholder="Write a note…"
        maxLength={500}
        autoComplete="off"
        data-testid="note-input"
      />
      <button type="submit" className="quiet" data-testid="note-add">
        Add
      </button>
    </form>
  )
}

function NoteItem({ note, onDelete }: { note: Note; onDelete: () => void }) {
  return (
    <li data-testid="note-item">
      <span className="note-text">{note.text}</span>
      <time dateTime={note.at}>{timeOfDay(new Date(note.at))}</time>
      <button type="button" className="icon-button" aria-label={`Delete note: ${note.text}`} onClick={onDelete} data-testid="note-delete">
        <Icon name="cross" />
      </button>
    </li>
  )
}

function SavingLine({ saving, changed }: { saving: Saving; changed: boolean }) {
  switch (saving.step) {
    case 'idle':
      return null
    case 'busy':
      return (
        <p className="outcome">
          <progress aria-hidden="true" /> Sending to S3…
        </p>
      )
    case 'failed':
      return (
        <p className="outcome bad" data-testid="notes-error">
          <Icon name="alert" /> {saving.text}
        </p>
      )
    case 'saved':
      return (
        <p className="outcome good" data-testid="notes-saved">
          <Icon name="check" />
          <span>
            Saved <code>{saving.saved.key}</code> at {timeOfDay(saving.saved.at)}, {saving.saved.bytes} bytes
            {changed && <span className="fine"> · changed since</span>}
          </span>
        </p>
      )
  }
}
