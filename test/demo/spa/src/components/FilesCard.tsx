import type { StoredObject } from 'cognito-token-handler/storage'
import { useRef, useState } from 'react'
import { storage } from '../auth'
import { isImage, nameOf, sizeText, timeText, useFiles } from '../files'
import { Icon } from './Icon'
import { Uploader } from './Uploader'

export function FilesCard({ sub, saves }: { sub: string; saves: number }) {
  const { files, error, reload, remove } = useFiles(saves)
  const [said, setSaid] = useState({ text: '', bad: false })
  const title = useRef<HTMLHeadingElement>(null)

  const removeAndSay = async (key: string) => {
    try {
      await remove(key)
      setSaid({ text: `Deleted ${nameOf(key)}.`, bad: false })
      title.current?.focus()
    } catch (failure) {
      setSaid({ text: (failure as Error).message, bad: true })
    }
  }
  return (
    <section className="card" aria-labelledby="files-title">
      <div className="card-head">
        <div>
          <h2 id="files-title" ref={title} tabIndex={-1}>
            Files
          </h2>
          <p>What your own S3 folder holds. Contents go between this browser and S3, without AWS credentials in this page.</p>
        </div>
      </div>
      <Uploader onUploaded={() => void reload()} />
      {files?.length === 0 && <p className="empty">No files yet.</p>}
      <ul className="files" aria-label="Your files" data-testid="file-list">
        {files?.map((file) => (
          <FileItem key={file.key + file.etag} file={file} sub={sub} onDelete={() => removeAndSay(file.key)} />
        ))}
      </ul>
      <div role="status" data-testid="files-said">
        {said.text && <Line text={said.text} bad={said.bad} />}
        {error && <Line text={error} bad />}
      </div>
    </section>
  )
}

function Line({ text, bad }: { text: string; bad: boolean }) {
  return (
    <p className={`outcome ${bad ? 'bad' : 'good'}`}>
      <Icon name={bad ? 'alert' : 'check'} /> {text}
    </p>
  )
}

function FileItem({ file, sub, onDelete }: { file: StoredObject; sub: string; onDelete: () => Promise<void> }) {
  const [busy, setBusy] = useState(false)
  const name = nameOf(file.key)
  const remove = () => {
    setBusy(true)
    void onDelete().finally(() => setBusy(false))
  }
  return (
    <li data-testid="file-item" data-key={file.key}>
      {isImage(file.key) ? (
        <img className="thumb" src={storage.src(file.key)} alt="" loading="lazy" data-testid="file-thumb" />
      ) : (
        <span className="thumb">
          <Icon name="file" />
        </span>
      )}
      <div className="file-text">
        <strong>{name}</strong>
        {/* The service's storage.prefix is users/{sub}/, unless it is configured otherwise. */}
        <code data-testid="file-key">{`users/${sub}/${file.key}`}</code>
        <span className="fine">
          <span data-testid="file-size">{sizeText(file.size)}</span> ·{' '}
          <time dateTime={file.lastModified.toISOString()}>{timeText(file.lastModified)}</time>
        </span>
      </div>
      <a
        className="button icon-button"
        href={storage.src(file.key, { download: true })}
        aria-label={`Download ${name}`}
        data-testid="file-download"
      >
        <Icon name="download" />
      </a>
      <button
        type="button"
        className="icon-button"
        aria-label={`Delete ${name}`}
        disabled={busy}
        onClick={remove}
        data-testid="file-delete"
      >
        <Icon name="cross" />
      </button>
    </li>
  )
}
