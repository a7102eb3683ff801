import { AuthProvider } from 'cognito-token-handler/react'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { atPublicUrl } from './address'
import { App } from './App'
import { auth } from './auth'
import './styles/base.css'
import './styles/frame.css'
import './styles/welcome.css'
import './styles/dashboard.css'
import './styles/notes.css'
import './styles/files.css'
import './styles/code.css'
import './styles/contrast.css'

const elsewhere = atPublicUrl()
if (elsewhere) location.replace(elsewhere)
else {
  createRoot(document.getElementById('root')!).render(
    <StrictMode>
      <AuthProvider auth={auth}>
        <App />
      </AuthProvider>
    </StrictMode>,
  )
}
