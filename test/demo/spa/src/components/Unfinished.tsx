import type { UnfinishedUpload } from 'cognito-token-handler/storage'
import { storage } from '../auth'
import { nameOf, sizeText } from '../files'

/** Uploads that a reload has interrupted. S3 still has their parts. It reads anew, because one may have gone on and ended since. */
export function Unfinished({ active, onDiscard }: { active: string[]; onDiscard: (upload: UnfinishedUpload) => void }) {
  const waiting = storage.unfinished().filter(({ key }) => !active.includes(nameOf(key)))
  return (
    <ul className="uploads" aria-label="Interrupted uploads">
      {waiting.map((upload) => (
        <li className="upload" key={upload.key} data-testid="unfinished">
          <div className="upload-text">
            <strong>{nameOf(upload.key)}</strong>
            <span className="fine">{sizeText(upload.size)}, interrupted. Choose the same file again to go on.</span>
          </div>
          <button type="button" className="quiet" onClick={() => onDiscard(upload)} data-testid="discard">
            Discard
          </button>
        </li>
      ))}
    </ul>
  )
}
