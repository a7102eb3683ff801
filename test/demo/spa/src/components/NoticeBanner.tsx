import { withReturn } from '../api'
import type { Notice } from '../session'
import { Icon } from './Icon'

export function NoticeBanner({ notice, onDismiss }: { notice: Notice; onDismiss: () => void }) {
  return (
    <div className="notice" role="alert" data-testid="error">
      <Icon name="alert" />
      <div>
        <strong>{notice.title}</strong>
        <p>{notice.detail}</p>
        {notice.requestId && (
          <p className="fine">
            If you ask for help, mention <code>{notice.requestId}</code>
          </p>
        )}
      </div>
      {notice.loginUrl && (
        <a className="button small" href={withReturn(notice.loginUrl)} data-testid="login-again">
          Log in again
        </a>
      )}
      <button type="button" className="icon-button" aria-label="Dismiss" onClick={onDismiss}>
        <Icon name="cross" />
      </button>
    </div>
  )
}
