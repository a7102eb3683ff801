import { defineConfig } from 'vite'
import { VitePWA } from 'vite-plugin-pwa'

export default defineConfig({
  build: { rolldownOptions: { external: ['/auth/client.js'] } }, // the service has it
  plugins: [
    VitePWA({
      registerType: 'autoUpdate',
      workbox: { navigateFallbackDenylist: [/^\/(auth|api|storage)\//], globPatterns: ['**/*.{js,css,html,svg}'] },
    }),
  ],
})
