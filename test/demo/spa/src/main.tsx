import { AuthProvider } from 'cognito-token-handler/react'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './App'
import { auth } from './auth'
import './styles/base.css'
import './styles/frame.css'
import './styles/welcome.css'
import './styles/dashboard.css'
import './styles/files.css'

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <AuthProvider auth={auth}>
      <App />
    </AuthProvider>
  </StrictMode>,
)
