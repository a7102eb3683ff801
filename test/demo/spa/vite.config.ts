import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** The browser client's sources, in this repository. */
const client = fileURLToPath(new URL('../../../tokenhandler/client/src', import.meta.url))

export default defineConfig({
  plugins: [react()],
  resolve: {
    alias: [
      { find: /^cognito-token-handler$/, replacement: `${client}/index.ts` },
      { find: /^cognito-token-handler\/(.*)$/, replacement: `${client}/$1` },
    ],
    dedupe: ['react'], // the client's folder may have a React of its own, or none
  },
  build: {
    // Every asset is a hashed file of its own: the page's policy allows neither inline scripts nor inline styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
})
