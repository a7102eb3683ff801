import { defineConfig } from 'vite'

// Vite writes <meta property="csp-nonce" nonce="__CSP_NONCE__"> into index.html.
export default defineConfig({ html: { cspNonce: '__CSP_NONCE__' } })
