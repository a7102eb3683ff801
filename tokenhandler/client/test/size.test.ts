import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'

// The largest size of each entry in bytes, gzipped. `npm run build` has built them.
const budgets: Record<string, number> = {
  client: 3 * 1024,
  react: 1.5 * 1024,
  router: 1024,
  vite: 1024,
  compat: 1.5 * 1024,
  storage: 4 * 1024,
  mirror: 2 * 1024,
}

test.each(Object.entries(budgets))('%s keeps its budget', (name, budget) => {
  const size = gzipSync(readFileSync(new URL(`../dist/${name}.js`, import.meta.url)), { level: 9 }).length
  console.log(`${name}: ${size} of ${budget} bytes gzipped`)
  expect(size).toBeLessThanOrEqual(budget)
})
