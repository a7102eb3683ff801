import type { ApiError } from 'cognito-token-handler'
import { useRef, useState } from 'react'
import { storage } from '../auth'
import { deleteFile, nameOf, renameFile, sizeText, useFiles } from '../files'
import { samples } from '../samples'
import { DropZone } from './DropZone'
import { Feature } from './Feature'
import { FileItem } from './FileItem'
import { Outcome } from './Outcome'
import { Unfinished } from './Unfinished'
import { UploadRow } from './UploadRow'

export function FilesCard({ sub }: { sub: string }) {
  const { files, error, reload } = useFiles()
  const [uploads, setUploads] = useState<{ id: number; file: File }[]>([])
  const [said, setSaid] = useState({ text: '', bad: false })
  const title = useRef<HTMLHeadingElement>(null)
  const made = useRef(0)

  const add = (chosen: File[]) => setUploads((all) => [...chosen.map((file) => ({ id: ++made.current, file })), ...all])
  const dismiss = (id: number) => {
    setUploads((all) => all.filter((upload) => upload.id !== id))
    title.current?.focus()
  }

  const act = async (what: Promise<unknown>, done: string) => {
    try {
      await what
      await reload()
      setSaid({ text: done, bad: false })
      title.current?.focus()
    } catch (failure) {
      const { code, message } = failure as ApiError
      if (code !== 'precondition_failed') return setSaid({ text: message, bad: true })
      await reload()
      setSaid({ text: 'The file was changed meanwhile, so nothing was deleted. The list has the newest versions now.', bad: true })
      title.current?.focus()
    }
  }
  const total = (files ?? []).reduce((sum, { size }) => sum + size, 0)
  return (
    <Feature
      id="files"
      title="Files"
      lead="Straight between this browser and your own S3 folder, without AWS credentials in the page."
      aside={files && files.length > 0 && <span className="state">{`${files.length} · ${sizeText(total)}`}</span>}
      code={samples.files}
      titleRef={title}
    >
      <DropZone onFiles={add} />
      <ul className="uploads" aria-label="Uploads">
        {uploads.map(({ id, file }) => (
          <UploadRow key={id} file={file} onUploaded={() => void reload()} onDismiss={() => dismiss(id)} />
        ))}
      </ul>
      <Unfinished active={uploads.map(({ file }) => file.name)} onDiscard={(upload) => void act(storage.discard(upload), `Discarded ${nameOf(upload.key)}.`)} />
      {files?.length === 0 && <p className="empty">No files yet. A picture gets a thumbnail.</p>}
      <ul className="files" aria-label="Your files" data-testid="file-list">
        {files?.map((file) => (
          <FileItem
            key={file.key + file.etag}
            file={file}
            sub={sub}
            onRename={(name) => act(renameFile(file, name), `${nameOf(file.key)} is now called ${name}.`)}
            onDelete={() => act(deleteFile(file), `Deleted ${nameOf(file.key)}.`)}
          />
        ))}
      </ul>
      <div role="status" data-testid="files-said">
        {said.text && <Outcome tone={said.bad ? 'bad' : 'good'}>{said.text}</Outcome>}
        {error && <Outcome tone="bad">{error}</Outcome>}
      </div>
    </Feature>
  )
}
