import { useEffect, useRef } from 'react'
import { withReturn } from '../address'
import type { Notice } from '../notices'
import { Icon } from './Icon'

/** Takes the focus, so that it is read out and the next key press begins here: what had the focus may be gone. */
export function NoticeBanner({ notice, onDismiss }: { notice: Notice; onDismiss: () => void }) {
  const banner = useRef<HTMLDivElement>(null)
  useEffect(() => banner.current?.focus(), [notice])
  const { tone, title, detail, requestId, loginUrl } = notice
  const href = loginUrl?.includes('return_to=') ? loginUrl : loginUrl && withReturn(loginUrl)
  return (
    <div
      className={`notice ${tone}`}
      role={tone === 'bad' ? 'alert' : 'status'}
      tabIndex={-1}
      ref={banner}
      data-testid={tone === 'bad' ? 'error' : 'notice'}
    >
      <Icon name={tone === 'bad' ? 'alert' : 'check'} />
      <div>
        <strong>{title}</strong>
        <p>{detail}</p>
        {requestId && (
          <p className="fine">
            If you ask for help, mention <code>{requestId}</code>
          </p>
        )}
      </div>
      {href && (
        <a className="button" href={href} data-testid="login-again">
          Log in again
        </a>
      )}
      <button type="button" className="icon-button" aria-label="Dismiss" onClick={onDismiss} data-testid="dismiss">
        <Icon name="cross" />
      </button>
    </div>
  )
}
