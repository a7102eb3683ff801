import apiSource from './api.ts?raw'
import authSource from './auth.ts?raw'
import warningSource from './components/Warning.tsx?raw'
import uploadSource from './components/UploadRow.tsx?raw'
import filesSource from './files.ts?raw'
import liveSource from './live.ts?raw'
import notesSource from './notes.ts?raw'
import sessionSource from './session.ts?raw'

export interface Sample {
  file: string
  text: string
}

/** The code beside the cards. It is cut out of the sources that this page is built of, so it cannot be out of date. */
export const samples = {
  notes: [cut('auth.ts', authSource, 'session'), cut('notes.ts', notesSource, 'notes')],
  files: [cut('UploadRow.tsx', uploadSource, 'upload'), cut('files.ts', filesSource, 'files')],
  account: [cut('Warning.tsx', warningSource, 'warning'), cut('session.ts', sessionSource, 'logout')],
  api: [cut('api.ts', apiSource, 'api')],
  live: [cut('live.ts', liveSource, 'live')],
} satisfies Record<string, Sample[]>

/** The lines between `// #region name` and `// #endregion`. */
function cut(file: string, source: string, region: string): Sample {
  const [, text] = source.match(new RegExp(`^// #region ${region}\\n(.*?)^// #endregion`, 'ms')) ?? []
  if (text === undefined) throw new Error(`${file} has no region ${region}`)
  return { file, text: text.trim() }
}
