import { useUpload } from 'cognito-token-handler/react'
import { useState, type ChangeEvent } from 'react'
import { storage } from '../auth'
import { sizeText } from '../files'
import { Icon } from './Icon'

/** Uploads a file, which can be paused. A large one goes up in parts, and only the part under way is sent again. */
export function Uploader({ onUploaded }: { onUploaded: () => void }) {
  const { state, progress, error, upload, pause, resume, cancel } = useUpload(storage)
  const [name, setName] = useState('')
  const active = state === 'running' || state === 'paused'

  const pick = (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0]
    event.target.value = '' // so that the same file can be chosen again
    if (!file) return
    setName(file.name)
    upload(`files/${file.name}`, file).then(onUploaded, () => {}) // the hook has the error
  }
  return (
    <div className="uploader">
      <div className="actions">
        <input className="visually-hidden" type="file" id="file" onChange={pick} disabled={active} data-testid="file-input" />
        <label className="button quiet" htmlFor="file">
          Upload a file…
        </label>
        {state === 'running' && (
          <button type="button" className="quiet" onClick={pause} data-testid="upload-pause">
            Pause
          </button>
        )}
        {state === 'paused' && (
          <button type="button" onClick={resume} data-testid="upload-resume">
            Resume
          </button>
        )}
        {active && (
          <button type="button" className="quiet" onClick={cancel} data-testid="upload-cancel">
            Cancel
          </button>
        )}
      </div>
      {active && progress && (
        <p className="upload-progress">
          <progress max={progress.total || 1} value={progress.loaded} aria-label={`Upload of ${name}`} />
          <span className="fine">
            {sizeText(progress.loaded)} of {sizeText(progress.total)}
          </span>
        </p>
      )}
      <div role="status" data-testid="upload-said" data-state={state}>
        {state === 'paused' && <p className="fine">{name} waits until you go on.</p>}
        {state === 'canceled' && <p className="fine">{name} was not uploaded.</p>}
        {state === 'done' && (
          <p className="outcome good">
            <Icon name="check" /> {name} is uploaded.
          </p>
        )}
        {state === 'failed' && (
          <p className="outcome bad">
            <Icon name="alert" /> {error?.message ?? `${name} was not uploaded.`}
          </p>
        )}
      </div>
    </div>
  )
}
