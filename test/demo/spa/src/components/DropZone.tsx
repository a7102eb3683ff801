import { useState, type ChangeEvent, type DragEvent } from 'react'
import { Icon } from './Icon'

/** Takes files that are dropped on it, or chosen. */
export function DropZone({ onFiles }: { onFiles: (files: File[]) => void }) {
  const [over, setOver] = useState(false)
  const drag = (event: DragEvent) => {
    event.preventDefault()
    setOver(event.type === 'dragover')
    if (event.type === 'drop') onFiles([...event.dataTransfer.files])
  }
  const pick = (event: ChangeEvent<HTMLInputElement>) => {
    onFiles([...(event.target.files ?? [])])
    event.target.value = '' // so that the same file can be chosen again
  }
  return (
    <div className={`drop ${over ? 'over' : ''}`} onDragOver={drag} onDragLeave={drag} onDrop={drag} data-testid="drop">
      <Icon name="upload" />
      <span className="drop-text">Drop files here, or</span>
      <input className="visually-hidden" type="file" multiple id="file" onChange={pick} data-testid="file-input" />
      <label className="button quiet" htmlFor="file">
        Choose files…
      </label>
    </div>
  )
}
