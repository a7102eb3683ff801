import { useEffect, useRef, type RefObject } from 'react'
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
  const last = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (started.current) return
    started.current = true
    void start(false)
  })
  const active = state === 'running' || state === 'paused'
  const actions: Partial<Record<typeof state, Action>> = {
    running: { label: 'Pause', quiet: true, testid: 'upload-pause', act: pause },
    paused: { label: 'Resume', quiet: false, testid: 'upload-resume', act: resume },
    ...(taken && { failed: { label: 'Replace it', quiet: true, testid: 'upload-replace', act: () => void start(true) } }),
  }
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
        <ActionButton action={actions[state]} next={last} />
        <button
          ref={last}
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

interface Action {
  label: string
  quiet: boolean
  testid: string
  act: () => void
}

/** One button for what can be done now, so that it keeps the focus. When there is nothing more to do, `next` gets it. */
function ActionButton({ action, next }: { action: Action | undefined; next: RefObject<HTMLButtonElement | null> }) {
  const focused = useRef(false)
  const gone = action === undefined
  useEffect(() => {
    if (gone && focused.current) next.current?.focus()
    focused.current &&= !gone
  }, [gone, next])
  if (gone) return null
  const { label, quiet, testid, act } = action
  return (
    <button
      type="button"
      className={quiet ? 'quiet' : undefined}
      onFocus={() => (focused.current = true)}
      onBlur={() => (focused.current = false)}
      onClick={act}
      data-testid={testid}
    >
      {label}
    </button>
  )
}
