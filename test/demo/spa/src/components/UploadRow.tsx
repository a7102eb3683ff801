import { useEffect, useRef } from 'react'
import { sizeText } from '../files'
import { Icon } from './Icon'
import { Outcome } from './Outcome'
// #region upload
import { ApiError } from 'cognito-token-handler'
import { useUpload } from 'cognito-token-handler/react'
import { storage } from '../auth'
import { folder } from '../files'

/** One file on its way to S3, in parts if it is large. Progress, pause and resume come from the hook. */
function useFileUpload(file: File, onUploaded: () => void) {
  const { state, progress, error, upload, pause, resume, cancel } = useUpload(storage)
  const start = (overwrite: boolean) =>
    upload(folder + file.name, file, { ifAbsent: !overwrite }).then(onUploaded, () => {}) // the hook has the error
  const taken = error instanceof ApiError && error.code === 'already_exists'
  return { state, progress, error, taken, start, pause, resume, cancel }
}
// #endregion

interface Props {
  file: File
  onUploaded: () => void
  onDismiss: () => void
}

export function UploadRow({ file, onUploaded, onDismiss }: Props) {
  const { state, progress, error, taken, start, pause, resume, cancel } = useFileUpload(file, onUploaded)
  const started = useRef(false)
  useEffect(() => {
    if (started.current) return
    started.current = true
    void start(false)
  })
  const active = state === 'running' || state === 'paused'
  const { loaded, total } = progress ?? { loaded: 0, total: file.size }
  return (
    <li className="upload" data-testid="upload-said" data-state={state}>
      <div className="upload-text">
        <strong>{file.name}</strong>
        {active && (
          <>
            <progress max={total || 1} value={loaded} aria-label={`Upload of ${file.name}`} />
            <span className="fine">
              {sizeText(loaded)} of {sizeText(total)}
              {state === 'paused' && ', paused'}
            </span>
          </>
        )}
        <div role="status">
          {state === 'done' && <Outcome tone="good">Uploaded</Outcome>}
          {state === 'canceled' && <Outcome tone="info">Not uploaded</Outcome>}
          {state === 'failed' && <Outcome tone="bad">{taken ? 'There is already a file of this name.' : error?.message}</Outcome>}
        </div>
      </div>
      <div className="actions">
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
        {taken && state === 'failed' && (
          <button type="button" className="quiet" onClick={() => void start(true)} data-testid="upload-replace">
            Replace it
          </button>
        )}
        <button
          type="button"
          className="icon-button"
          aria-label={active ? `Cancel the upload of ${file.name}` : `Dismiss ${file.name}`}
          onClick={active ? cancel : onDismiss}
          data-testid={active ? 'upload-cancel' : 'upload-dismiss'}
        >
          <Icon name="cross" />
        </button>
      </div>
    </li>
  )
}
