import { useState } from 'react'
import { storage } from '../auth'
import { nameOf, sizeText } from '../files'

/** Uploads that a reload has interrupted. S3 still has their parts. */
export function Unfinished({ active }: { active: string[] }) {
  const [uploads, setUploads] = useState(() => storage.unfinished())
  const waiting = uploads.filter(({ key }) => !active.includes(nameOf(key)))
  return (
    <ul className="uploads" aria-label="Interrupted uploads">
      {waiting.map((upload) => (
        <li className="upload" key={upload.key} data-testid="unfinished">
          <div className="upload-text">
            <strong>{nameOf(upload.key)}</strong>
            <span className="fine">{sizeText(upload.size)}, interrupted. Choose the same file again to go on.</span>
          </div>
          <button
            type="button"
            className="quiet"
            onClick={() => void storage.discard(upload).finally(() => setUploads(storage.unfinished()))}
            data-testid="discard"
          >
            Discard
          </button>
        </li>
      ))}
    </ul>
  )
}
