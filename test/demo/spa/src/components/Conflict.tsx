import { useEffect, useRef } from 'react'
import type { Choice, Clash } from '../notes'

const choices: [Choice, string][] = [
  ['mine', 'Keep mine'],
  ['theirs', 'Take theirs'],
  ['both', 'Keep both'],
]

/** Asks which version is right. Until then nothing is overwritten, on neither side. */
export function Conflict({ clashes, onChoose }: { clashes: Clash[]; onChoose: (choice: Choice) => void }) {
  const chosen = useRef(false)
  useEffect(() => () => void (chosen.current && document.getElementById('new-note')?.focus()), [])
  const choose = (choice: Choice) => {
    chosen.current = document.activeElement?.closest('.clash') !== null
    onChoose(choice)
  }
  return (
    <div className="clash" role="group" aria-labelledby="conflict-title" data-testid="conflict">
      <h3 id="conflict-title">
        <span role="alert">Another device changed {clashes.length === 1 ? 'the same note' : `the same ${clashes.length} notes`}</span>
      </h3>
      {clashes.map(({ id, mine, theirs }) => (
        <div className="versions" key={id}>
          <Version title="Here" text={mine?.text} />
          <Version title="On the other device" text={theirs?.text} />
        </div>
      ))}
      <div className="actions">
        {choices.map(([choice, label]) => (
          <button key={choice} type="button" className="quiet" onClick={() => choose(choice)} data-testid={`conflict-${choice}`}>
            {label}
          </button>
        ))}
      </div>
    </div>
  )
}

function Version({ title, text }: { title: string; text: string | undefined }) {
  return (
    <div>
      <h4>{title}</h4>
      <p>{text ?? <em>deleted</em>}</p>
    </div>
  )
}
