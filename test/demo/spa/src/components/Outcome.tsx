import type { ReactNode } from 'react'
import { Icon, type IconName } from './Icon'

const icons = { good: 'check', bad: 'alert', info: 'clock' } satisfies Record<string, IconName>

/** One line that says how something went. */
export function Outcome({ tone, children }: { tone: keyof typeof icons; children: ReactNode }) {
  return (
    <p className={`outcome ${tone}`}>
      <Icon name={icons[tone]} />
      <span>{children}</span>
    </p>
  )
}
