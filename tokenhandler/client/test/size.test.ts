import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'

// The largest size of each entry in bytes, gzipped. `npm run build` has built them.
const budgets: Record<string, number> = {
  client: 3 * 1024,
  react: 1.7 * 1024,
  router: 1024,
  vite: 1024,
  testing: 2 * 1024,
  compat: 1.5 * 1024,
  storage: 4.4 * 1024,
  mirror: 2 * 1024,
  'amplify/auth': 4 * 1024,
  'amplify/storage': 4 * 1024,
}

/** The size of a file and of what it shares with other entries. */
function sizeOf(file: URL): number {
  const text = readFileSync(file, 'utf8')
  const shared = [...text.matchAll(/from"(\.[^"]+)"/g)].map(([, path]) => sizeOf(new URL(path!, file)))
  return shared.reduce((sum, size) => sum + size, gzipSync(text, { level: 9 }).length)
}

test.each(Object.entries(budgets))('%s keeps its budget', (name, budget) => {
  const size = sizeOf(new URL(`../dist/${name}.js`, import.meta.url))
  console.log(`${name}: ${size} of ${budget} bytes gzipped`)
  expect(size).toBeLessThanOrEqual(budget)
})
