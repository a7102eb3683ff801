import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('calls and results have the types of aws-amplify', () => {
  const tsc = () => execFileSync('node_modules/.bin/tsc', ['-p', 'test/amplify'], { cwd: root, encoding: 'utf8', stdio: 'pipe' })
  try {
    tsc()
  } catch (error) {
    expect.fail((error as { stdout: string }).stdout)
  }
}, 300_000)
