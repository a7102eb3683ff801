import { useState, useSyncExternalStore } from 'react'
import type { Sample } from '../samples'
import { Icon } from './Icon'

/** A window as wide as this has the code beside each card, and open. */
const wide = '(min-width: 72rem)'

function onWidth(listener: () => void) {
  const query = matchMedia(wide)
  query.addEventListener('change', listener)
  return () => query.removeEventListener('change', listener)
}

/** The code that does what the card shows. */
export function Code({ samples, of }: { samples: Sample[]; of: string }) {
  const open = useSyncExternalStore(onWidth, () => matchMedia(wide).matches)
  return (
    <details className="code" open={open}>
      <summary>
        The code <span className="visually-hidden">of {of}</span>
      </summary>
      {samples.map((sample) => (
        <Listing key={sample.file} {...sample} />
      ))}
    </details>
  )
}

function Listing({ file, text }: Sample) {
  const [said, setSaid] = useState('')
  const copy = () => {
    const done = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error('no clipboard'))
    done.then(
      () => setSaid('Copied'),
      () => setSaid('Select it by hand'),
    )
  }
  return (
    <figure className="listing">
      <figcaption>
        <span className="mono">{file}</span>
        <span className="fine" role="status">
          {said}
        </span>
        <button type="button" className="plain" onClick={copy} data-testid={`copy-${file}`}>
          <Icon name="copy" /> Copy <span className="visually-hidden">{file}</span>
        </button>
      </figcaption>
      <pre tabIndex={0} role="group" aria-label={`Code of ${file}`}>
        {highlighted(text)}
      </pre>
    </figure>
  )
}

const token = /(\/\*\*?[\s\S]*?\*\/|(?:^|(?<=\s))\/\/.*)|('[^'\n]*'|`[^`]*`|"[^"\n]*")|\b(import|export|from|const|let|function|return|await|async|if|new|type|interface|void|null|undefined|true|false|throw)\b/gm

function highlighted(text: string) {
  const parts: React.ReactNode[] = []
  let done = 0
  for (const match of text.matchAll(token)) {
    parts.push(text.slice(done, match.index))
    const kind = match[1] ? 'comment' : match[2] ? 'string' : 'keyword'
    parts.push(<span key={match.index} className={`code-${kind}`}>{match[0]}</span>)
    done = match.index + match[0].length
  }
  parts.push(text.slice(done))
  return parts
}
