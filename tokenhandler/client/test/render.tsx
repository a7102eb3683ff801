import { act, type ReactNode, StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { AuthProvider } from 'cognito-token-handler/react'
import type { Auth } from 'cognito-token-handler'

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true })

/** Renders an app in StrictMode, and returns what shows its text and clicks its buttons. */
export async function render(auth: Auth, app: ReactNode) {
  const root = document.createElement('div')
  document.body.replaceChildren(root)
  const react = createRoot(root)
  await act(async () => {
    react.render(
      <StrictMode>
        <AuthProvider auth={auth}>{app}</AuthProvider>
      </StrictMode>,
    )
  })
  return {
    root,
    text: () => root.textContent,
    click: (name: string) => act(async () => [...root.querySelectorAll('button')].find((b) => b.textContent === name)!.click()),
    unmount: () => act(async () => react.unmount()),
  }
}
