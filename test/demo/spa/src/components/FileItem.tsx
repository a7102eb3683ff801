import type { StoredObject } from 'cognito-token-handler/storage'
import { useEffect, useRef, useState, type FormEvent } from 'react'
import { timeText } from '../clock'
import { downloadOf, isImage, nameOf, pictureOf, sizeText } from '../files'
import { Icon } from './Icon'

type Opened = 'rename' | 'delete'

interface Props {
  file: StoredObject
  sub: string
  onRename: (name: string) => Promise<void>
  onDelete: () => Promise<void>
}

export function FileItem({ file, sub, onRename, onDelete }: Props) {
  const [mode, setMode] = useState<'show' | 'busy' | Opened>('show')
  const [opened, setOpened] = useState<Opened>()
  const name = nameOf(file.key)
  const run = (what: Promise<void>) => {
    setMode('busy')
    void what.finally(() => setMode('show'))
  }
  const open = (what: Opened) => {
    setOpened(what)
    setMode(what)
  }
  const rename = (next: string) => (next === '' || next === name ? setMode('show') : run(onRename(next)))
  return (
    <li data-testid="file-item" data-key={file.key}>
      {isImage(file.key) ? (
        <img className="thumb" src={pictureOf(file.key)} alt="" loading="lazy" data-testid="file-thumb" />
      ) : (
        <span className="thumb">
          <Icon name="file" />
        </span>
      )}
      <div className="file-text">
        {mode === 'rename' ? <RenameForm name={name} onDone={rename} /> : <strong>{name}</strong>}
        {/* The service's storage.prefix is users/{sub}/, unless it is configured otherwise. */}
        <code data-testid="file-key">{`users/${sub}/${file.key}`}</code>
        <span className="fine">
          <span data-testid="file-size">{sizeText(file.size)}</span> ·{' '}
          <time dateTime={file.lastModified.toISOString()}>{timeText(file.lastModified)}</time>
        </span>
      </div>
      {mode === 'delete' ? (
        <ConfirmDelete name={name} onDelete={() => run(onDelete())} onKeep={() => setMode('show')} />
      ) : (
        mode !== 'rename' && <FileActions file={file} name={name} busy={mode === 'busy'} opened={opened} onOpen={open} />
      )}
    </li>
  )
}

interface ActionsProps {
  file: StoredObject
  name: string
  busy: boolean
  /** What was opened last. Its button gets the focus back. */
  opened: Opened | undefined
  onOpen: (what: Opened) => void
}

function FileActions({ file, name, busy, opened, onOpen }: ActionsProps) {
  const opener = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (!busy && document.activeElement === document.body) opener.current?.focus()
  }, [busy])
  const button = (what: Opened) => ({ ref: opened === what ? opener : null, disabled: busy, onClick: () => onOpen(what) })
  return (
    <div className="file-actions">
      <a className="button icon-button" href={downloadOf(file.key)} aria-label={`Download ${name}`} title="Download" data-testid="file-download">
        <Icon name="download" />
      </a>
      <button type="button" className="icon-button" aria-label={`Rename ${name}`} title="Rename" {...button('rename')} data-testid="file-rename">
        <Icon name="pencil" />
      </button>
      <button type="button" className="icon-button" aria-label={`Delete ${name}`} title="Delete" {...button('delete')} data-testid="file-delete">
        <Icon name="bin" />
      </button>
    </div>
  )
}

function RenameForm({ name, onDone }: { name: string; onDone: (name: string) => void }) {
  const [next, setNext] = useState(name)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    onDone(next.trim().replaceAll('/', '-'))
  }
  return (
    <form className="rename" onSubmit={submit} onKeyDown={(event) => event.key === 'Escape' && onDone(name)}>
      <input
        aria-label={`New name of ${name}`}
        value={next}
        onChange={(event) => setNext(event.target.value)}
        onFocus={(event) => event.target.setSelectionRange(0, name.lastIndexOf('.') > 0 ? name.lastIndexOf('.') : name.length)}
        autoFocus
        maxLength={200}
        data-testid="rename-input"
      />
      <button type="submit">Rename</button>
      <button type="button" className="quiet" onClick={() => onDone(name)}>
        Cancel
      </button>
    </form>
  )
}

function ConfirmDelete({ name, onDelete, onKeep }: { name: string; onDelete: () => void; onKeep: () => void }) {
  return (
    <div className="actions" role="group" aria-label={`Delete ${name}?`}>
      <button type="button" className="danger" autoFocus onClick={onDelete} data-testid="file-delete-yes">
        Delete
      </button>
      <button type="button" className="quiet" onClick={onKeep}>
        Keep
      </button>
    </div>
  )
}
