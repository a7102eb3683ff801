import { minify } from '@swc/core'
import { defineConfig } from 'vitest/config'

/** The modules that apps import, by the name of their file in `dist`. Each has a line in `exports` of package.json. */
const entries = {
  client: 'src/index.ts',
  react: 'src/react/index.ts',
  router: 'src/router.ts',
  vite: 'src/vite.ts',
  testing: 'src/testing.ts',
  compat: 'src/compat.ts',
  storage: 'src/storage/index.ts',
  mirror: 'src/mirror/index.ts',
  'amplify/auth': 'src/amplify/auth.ts',
  'amplify/storage': 'src/amplify/storage.ts',
  'amplify/utils': 'src/amplify/utils.ts',
  init: 'src/init/index.ts', // a command: `bin` of package.json
}

/** Makes the code shorter than Rolldown's own compressor does, which then only shortens the names and the white space. */
const compressor = {
  name: 'compressor',
  renderChunk: (code: string) => minify(code, { module: true, compress: { passes: 3, directives: false }, mangle: false, ecma: 2022 }),
}

const src = new URL('./src', import.meta.url).pathname

export default defineConfig({
  build: {
    target: 'es2022',
    lib: { entry: entries, formats: ['es'], fileName: (_format, name) => `${name}.js` },
    rolldownOptions: {
      // The core is one file, which the service also serves: the other entries import it by the package's name.
      external: [/^cognito-token-handler/, /^react(-dom|-router)?(\/|$)/, /^vite$/, /^node:/],
      onLog: (level, log, handle) => log.code === 'MODULE_LEVEL_DIRECTIVE' || handle(level, log), // 'use client' is kept
      plugins: [compressor],
      output: {
        minify: { compress: false, mangle: true, codegen: true },
        chunkFileNames: 'shared/[name].js',
        // What an entry and its background chunk share is one file, and the entry re-exports from it.
        codeSplitting: { groups: [{ name: 'storage', test: /\/src\/storage\/(?!parts)/ }] },
      },
    },
  },
  test: {
    alias: [
      { find: /^cognito-token-handler$/, replacement: `${src}/index.ts` },
      { find: /^cognito-token-handler\/(.*)$/, replacement: `${src}/$1` },
    ],
    environmentOptions: { happyDOM: { url: 'https://app.example.com/orders?id=7#top' } },
    restoreMocks: true,
    // A busy machine does not reach them, only a hang does.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 300_000,
    projects: [
      { extends: true, test: { name: 'newest', include: ['test/**/*.test.{ts,tsx}'] } },
      {
        extends: true,
        test: {
          name: 'React 18',
          include: ['test/react.test.tsx', 'test/react-storage.test.tsx', 'test/compat.test.tsx'],
          alias: [{ find: /^(react|react-dom)(?=\/|$)/, replacement: new URL('./test/react18/node_modules/$1', import.meta.url).pathname }],
        },
      },
    ],
  },
})
