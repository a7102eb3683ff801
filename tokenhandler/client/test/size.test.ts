import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'

// The largest size of each entry in bytes, gzipped. `npm run build` has built them.
const budgets: Record<string, number> = {
  client: 3 * 1024,
  react: 1.5 * 1024,
  router: 1024,
  vite: 1024,
  testing: 2 * 1024,
  compat: 1.5 * 1024,
  storage: 4 * 1024,
  mirror: 2 * 1024,
  'amplify/auth': 4 * 1024,
  'amplify/storage': 4 * 1024,
  'shared/parts': 1024,
}

/** What an entry loads in the background, which counts without what the entry has already. */
const background: Record<string, string> = { 'shared/parts': 'storage' }

const dist = new URL('../dist/', import.meta.url)
const textOf = (file: string) => readFileSync(new URL(`${file}.js`, dist), 'utf8')

/** A file and all that is loaded with it. */
function filesOf(file: string): string[] {
  const imports = [...textOf(file).matchAll(/\b(?:from|import)["'`](\.[^"'`]+)\.js["'`]/g)]
  return [file, ...imports.flatMap(([, path]) => filesOf(new URL(path!, new URL(file, dist)).href.slice(dist.href.length)))]
}

test.each(Object.entries(budgets))('%s keeps its budget', (name, budget) => {
  const before = background[name] ? filesOf(background[name]) : []
  const files = new Set(filesOf(name).filter((file) => !before.includes(file)))
  const size = [...files].reduce((sum, file) => sum + gzipSync(textOf(file), { level: 9 }).length, 0)
  console.log(`${name}: ${size} of ${budget} bytes gzipped`)
  expect(size).toBeLessThanOrEqual(budget)
})

test('no code is without a budget', () => {
  const counted = new Set(Object.keys(budgets).flatMap(filesOf))
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.js'))
  const others = files.map((file) => file.slice(0, -3)).filter((file) => !counted.has(file))
  expect(others.sort()).toEqual(['amplify/utils', 'init'])
})
