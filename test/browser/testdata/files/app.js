// An app that keeps files and notes in the user's folder.
import { createAuth } from '/client.js'
import { createMirror, mergeById } from '/mirror-client.js'
import { createStorage } from '/storage-client.js'

const tooLate = 3_600_000 // notes are sent when the test says so

window.auth = createAuth()
window.storage = createStorage(auth, { parallel: 1 })
window.notes = createMirror(auth, storage, 'notes', { initial: [], delay: tooLate, merge: mergeById('id'), adopt: 'old-notes' })
window.title = createMirror(auth, storage, 'title', { initial: '', delay: tooLate })

/** The same file at each call: three parts, of which the last is short. */
window.film = () => {
  const bytes = new Uint8Array((2 * 8 + 3) << 20)
  for (let i = 0; i < bytes.length; i += 997) bytes[i] = i % 251
  return new File([bytes], 'film.bin', { type: 'application/octet-stream', lastModified: 1 })
}

/** Uploads the film and pauses in the second part. */
window.begin = () => {
  window.task = storage.upload('films/film.bin', film(), {
    onProgress: ({ loaded }) => loaded > 9 << 20 && task.pause(),
  })
}
