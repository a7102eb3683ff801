const token = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g

/** JSON with colours; the text of the element is the JSON itself. */
export function Json({ value }: { value: unknown }) {
  const text = JSON.stringify(value, null, 2)
  const parts: React.ReactNode[] = []
  let done = 0
  for (const match of text.matchAll(token)) {
    parts.push(text.slice(done, match.index))
    const kind = match[2] ? 'key' : match[1] ? 'string' : 'literal'
    parts.push(<span key={match.index} className={`json-${kind}`}>{match[0]}</span>)
    done = match.index + match[0].length
  }
  parts.push(text.slice(done))
  return (
    <pre tabIndex={0} role="group" aria-label="Answer" data-testid="api-result">
      {parts}
    </pre>
  )
}
