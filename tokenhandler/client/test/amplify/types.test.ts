import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (file: string) => readFileSync(`${root}/${file}`, 'utf8')

test('calls and results have the types of aws-amplify, and what was before compiles', () => {
  const tsc = () => execFileSync('node_modules/.bin/tsc', ['-p', 'test/amplify'], { cwd: root, encoding: 'utf8', stdio: 'pipe' })
  try {
    tsc()
  } catch (error) {
    expect.fail((error as { stdout: string }).stdout)
  }
}, 300_000)

test('docs/amplify.md changes the import lines only', () => {
  const [, after] = read('docs/amplify.md').match(/^```ts\n\/\/ before: .+\n([\s\S]+?)^```$/m)!
  const [, before] = read('test/amplify/before-amplify.ts').match(/^\/\/.+\n([\s\S]+)$/)!
  expect(before).toBe(after!.replaceAll("'cognito-token-handler/amplify/", "'aws-amplify/"))
})

test("README.md's tables name what the other libraries have", () => {
  const tables = [/^If callbacks are all over [\s\S]+?^```/m, /^## From Amplify Auth[\s\S]+?^## /m].map((part) => read('README.md').match(part)![0])
  const codes = [...tables.join('\n').matchAll(/^\|(.+?[^\\])\|/gm)].flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, code]) => code!))
  const names = codes.flatMap((code) => code.match(/\b[a-z]\w+(?=\()|\bCognito\w+|^[a-z]\w+$/gi) ?? [])
  // A timer, a name of the AWS SDK, and components of another package.
  const others = ['setTimeout', 'CognitoIdentityCredentials', 'withAuthenticator', 'useAuthenticator']
  expect(new Set(names).size).toBeGreaterThan(30)
  const compiled = read('test/amplify/before.ts').split('\n\n').slice(1).join()
  expect(names.filter((name) => !others.includes(name) && !compiled.match(`\\b${name}\\b`))).toEqual([])
})
