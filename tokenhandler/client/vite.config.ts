import { defineConfig } from 'vitest/config'

/** The modules that apps import, by the name of their file in `dist`. Each has a line in `exports` of package.json. */
const entries = {
  client: 'src/index.ts',
}

export default defineConfig({
  build: {
    target: 'es2022',
    lib: { entry: entries, formats: ['es'], fileName: (_format, name) => `${name}.js` },
    rolldownOptions: {
      // The core is one file, which the service also serves: the other entries import it by the package's name.
      external: [/^cognito-token-handler/, /^react(-dom|-router)?(\/|$)/, /^vite$/, /^node:/],
      output: { minify: true, chunkFileNames: 'shared/[name].js' },
    },
  },
  test: {
    alias: { 'cognito-token-handler': new URL('./src/index.ts', import.meta.url).pathname },
    environmentOptions: { happyDOM: { url: 'https://app.example.com/orders?id=7#top' } },
    restoreMocks: true,
  },
})
