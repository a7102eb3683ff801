import type { ReactNode, Ref } from 'react'
import type { Sample } from '../samples'
import { Code } from './Code'

interface Props {
  id: string
  title: string
  lead: string
  /** Stands at the right of the title. */
  aside?: ReactNode
  code: Sample[]
  titleRef?: Ref<HTMLHeadingElement>
  children: ReactNode
}

/** A card, with the code that does it. */
export function Feature({ id, title, lead, aside, code, titleRef, children }: Props) {
  return (
    <section className="feature" aria-labelledby={`${id}-title`} id={id}>
      <div className="card">
        <div className="card-head">
          <div>
            <h2 id={`${id}-title`} ref={titleRef} tabIndex={-1}>
              {title}
            </h2>
            <p>{lead}</p>
          </div>
          {aside}
        </div>
        {children}
      </div>
      <Code samples={code} of={title} />
    </section>
  )
}
